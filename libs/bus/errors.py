"""How a handler tells the bus what to do with an event it could not handle."""

from __future__ import annotations


class PermanentError(Exception):
    """Handling this event can never succeed: to the dead letters at once."""


class TemporaryError(Exception):
    """A dependency is away: try again after `delay_seconds`, for as long as it takes.

    Such an attempt does not count towards the dead letters; the count of deliveries starts anew.
    """

    def __init__(self, message: str, delay_seconds: float = 5.0) -> None:
        super().__init__(message)
        self.delay_seconds = delay_seconds
