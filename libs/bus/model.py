"""What the bus hands out."""

from __future__ import annotations

from dataclasses import dataclass

from libs.store.model import Entry, EntryId


@dataclass(frozen=True, slots=True)
class Delivery:
    """An entry given to one consumer; `deliveries` counts this one too, over all consumers of the group."""

    entry: Entry
    deliveries: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Entries taken over, and from where to look on, or None if there was nothing more."""

    deliveries: tuple[Delivery, ...]
    next: EntryId | None


@dataclass(frozen=True, slots=True)
class ConsumerSettings:
    """How a consumer reads and retries."""

    min_idle_seconds: float = 30.0
    """A consumer that gives no sign of life for so long has died; others take over what it held."""

    max_deliveries: int = 8
    """After so many failures an event goes to the dead letters."""

    first_delay_seconds: float = 0.5
    max_delay_seconds: float = 30.0
    handler_timeout_seconds: float = 300.0
    concurrency: int = 16
    """Handlers at work at a time, per source."""

    window: int = 1_000
    """Events held of one source, waiting or in work."""

    block_seconds: float = 1.0
    outage_delay_seconds: float = 0.5
    shutdown_grace_seconds: float = 5.0

    def delay_seconds_after(self, deliveries: int) -> float:
        """How long to wait after the `deliveries`-th failure: doubling from the first to the longest."""
        return min(self.max_delay_seconds, self.first_delay_seconds * 2.0 ** min(deliveries - 1, 30))
