"""What Redis holds for the real adapters, for the in-memory ones:

shared by the stores and buses of one process.
"""

from __future__ import annotations

import asyncio
import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.store.errors import StoreUnavailable
from libs.store.model import DeadLetter, Entry, EntryId, Record


@dataclass(slots=True)
class HeldRecord:
    record: Record
    expires_at_ms: int | None


@dataclass(slots=True)
class PendingEntry:
    """An entry delivered to `consumer` and not yet acknowledged; `touched_ms` is the time of the last sign of
    life.
    """

    consumer: str
    deliveries: int
    touched_ms: int


@dataclass(slots=True)
class Group:
    """A consumer group:

    the place of the next undelivered entry, and what is delivered but not acknowledged.
    """

    next: EntryId = field(default_factory=lambda: EntryId(0, 0))
    pending: dict[EntryId, PendingEntry] = field(default_factory=dict)

    def held_by(self, consumer: str, entry_ids: Sequence[EntryId]) -> frozenset[EntryId]:
        return frozenset(
            entry_id
            for entry_id in entry_ids
            if entry_id in self.pending and self.pending[entry_id].consumer == consumer
        )


@dataclass(slots=True)
class Namespace:
    """All that is kept for one service."""

    revision: int = 0
    compact_revision: int = 0
    records: dict[str, HeldRecord] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    commits: dict[str, tuple[int, float]] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)
    dead_letters: dict[str, list[DeadLetter]] = field(default_factory=dict)
    appended: asyncio.Event = field(default_factory=asyncio.Event)

    def entries_from(self, start: EntryId, count: int) -> tuple[Entry, ...]:
        first = bisect.bisect_left(self.entries, start, key=lambda entry: entry.id)
        return tuple(self.entries[first : first + count])

    async def wait_for_entry(self, start: EntryId, timeout_seconds: float) -> None:
        try:
            async with asyncio.timeout(timeout_seconds):
                while not self.entries_from(start, 1):
                    await self.appended.wait()
        except TimeoutError:
            return

    def announce(self) -> None:
        self.appended.set()
        self.appended = asyncio.Event()


class MemoryServer:
    """Several stores and buses on one MemoryServer see each other, as on one Redis.

    Every operation yields to the event loop once, as a round trip to Redis would, and is atomic after that.
    `available = False` makes every operation raise StoreUnavailable until it is set back.
    """

    def __init__(self) -> None:
        self.available = True
        self._namespaces: dict[str, Namespace] = {}

    async def reach(self, service: str) -> Namespace:
        await asyncio.sleep(0)
        if not self.available:
            raise StoreUnavailable("the memory store was told to be away")
        return self._namespaces.setdefault(service, Namespace())
