"""How one process is started and how one knows that it is ready."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


def nothing_to_prepare() -> None:
    """For processes that need neither files nor folders of their own."""


@dataclass(frozen=True)
class Launch:
    """Everything to start one process: `ports` must be free before, `healthy` is polled after.

    `healthy` raises nothing: a process that does not answer (yet) is unhealthy. `address` is for people.
    """

    command: tuple[str, ...]
    ports: tuple[int, ...]
    address: str
    healthy: Callable[[], bool]
    environment: Mapping[str, str]
    prepare: Callable[[], None] = nothing_to_prepare
    start_timeout_s: float = 60.0
    stop_timeout_s: float = 15.0
