"""The consumer groups on the services' event streams. `RedisBus` and `MemoryBus` keep this contract.

`source` is the service whose events are read, `group` the service that reads them, `consumer` one of its
processes. Every method can raise StoreUnavailable; every one may be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from libs.bus.model import Claim, Delivery
from libs.store.model import DeadLetter, EntryId


class Bus(Protocol):
    async def ensure_group(self, source: str, group: str) -> None:
        """Create the group, if need be, before the first entry of the stream."""
        ...

    async def read_new(
        self, source: str, group: str, consumer: str, count: int, block_seconds: float
    ) -> tuple[Delivery, ...]:
        """Entries that no consumer of the group has had; waits for one, at most `block_seconds`.

        If the answer is lost the entries stay pending for `consumer`, and are claimed later.
        """
        ...

    async def claim_idle(
        self, source: str, group: str, consumer: str, min_idle_seconds: float, start: EntryId, count: int
    ) -> Claim:
        """Take over up to `count` entries, from `start` on, whose consumer has been silent for so long."""
        ...

    async def hold(
        self,
        source: str,
        group: str,
        consumer: str,
        entry_ids: Sequence[EntryId],
        deliveries: int | None = None,
    ) -> frozenset[EntryId]:
        """A sign of life for entries in work. Returns those that are still this consumer's.

        `deliveries`, if given, becomes their count of deliveries.
        """
        ...

    async def release(self, source: str, group: str, consumer: str, entry_ids: Sequence[EntryId]) -> None:
        """Let others claim these entries at once."""
        ...

    async def acknowledge(self, source: str, group: str, entry_id: EntryId) -> None:
        """The entry is handled, for the whole group."""
        ...

    async def bury(self, source: str, group: str, delivery: Delivery, error: str, now: datetime) -> None:
        """Move the entry to the group's dead letters, in one atomic step, unless somebody finished it."""
        ...

    async def dead_letters(
        self, source: str, group: str, after: EntryId | None = None, count: int = 100
    ) -> tuple[DeadLetter, ...]:
        """The oldest `count` dead letters after the one named `after`."""
        ...

    async def retire(self, source: str, group: str, consumer: str) -> None:
        """Forget `consumer`, and those not seen for an hour, as far as nothing is pending for them."""
        ...
