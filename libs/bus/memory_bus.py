"""The in-memory twin of RedisBus, on the streams of the memory stores of one MemoryServer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from libs.bus.model import Claim, Delivery
from libs.store.memory_server import Group, MemoryServer, Namespace, PendingEntry
from libs.store.model import DeadLetter, EntryId

_ALWAYS_IDLE_MS = -(10**15)


class MemoryBus:
    """`monotonic` (seconds) decides how long a consumer has been silent."""

    def __init__(self, server: MemoryServer, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._monotonic = monotonic

    async def ensure_group(self, source: str, group: str) -> None:
        await self._reach(source, group)

    async def read_new(
        self, source: str, group: str, consumer: str, count: int, block_seconds: float
    ) -> tuple[Delivery, ...]:
        space, known = await self._reach(source, group)
        await space.wait_for_entry(known.next, block_seconds)
        entries = space.entries_from(known.next, count)
        for entry in entries:
            known.pending[entry.id] = PendingEntry(consumer, 1, self._now_ms())
            known.next = entry.id.following()
        return tuple(Delivery(entry, 1) for entry in entries)

    async def claim_idle(
        self, source: str, group: str, consumer: str, min_idle_seconds: float, start: EntryId, count: int
    ) -> Claim:
        space, known = await self._reach(source, group)
        silent_since_ms = self._now_ms() - int(min_idle_seconds * 1_000)
        idle = [
            entry_id
            for entry_id, pending in sorted(known.pending.items(), key=lambda item: item[0])
            if entry_id >= start and pending.touched_ms <= silent_since_ms
        ][:count]
        claimed = []
        for entry_id in idle:
            deliveries = known.pending[entry_id].deliveries + 1
            known.pending[entry_id] = PendingEntry(consumer, deliveries, self._now_ms())
            [entry] = space.entries_from(entry_id, 1)
            claimed.append(Delivery(entry, deliveries))
        return Claim(tuple(claimed), idle[-1].following() if len(idle) == count else None)

    async def hold(
        self,
        source: str,
        group: str,
        consumer: str,
        entry_ids: Sequence[EntryId],
        deliveries: int | None = None,
    ) -> frozenset[EntryId]:
        _, known = await self._reach(source, group)
        held = known.held_by(consumer, entry_ids)
        for entry_id in held:
            known.pending[entry_id].touched_ms = self._now_ms()
            if deliveries is not None:
                known.pending[entry_id].deliveries = deliveries
        return held

    async def release(self, source: str, group: str, consumer: str, entry_ids: Sequence[EntryId]) -> None:
        _, known = await self._reach(source, group)
        for entry_id in known.held_by(consumer, entry_ids):
            known.pending[entry_id].touched_ms = _ALWAYS_IDLE_MS

    async def acknowledge(self, source: str, group: str, entry_id: EntryId) -> None:
        _, known = await self._reach(source, group)
        known.pending.pop(entry_id, None)

    async def bury(self, source: str, group: str, delivery: Delivery, error: str, now: datetime) -> None:
        space, known = await self._reach(source, group)
        entry = delivery.entry
        if known.pending.pop(entry.id, None) is None:
            return
        letters = space.dead_letters.setdefault(group, [])
        letter_id = EntryId(len(letters) + 1, 0)
        letters.append(
            DeadLetter(letter_id, entry.id, entry.subject, entry.payload, error, delivery.deliveries, now)
        )

    async def dead_letters(
        self, source: str, group: str, after: EntryId | None = None, count: int = 100
    ) -> tuple[DeadLetter, ...]:
        letters = (await self._server.reach(source)).dead_letters.get(group, [])
        return tuple(letter for letter in letters if after is None or letter.id > after)[:count]

    async def retire(self, source: str, group: str, consumer: str) -> None:
        await self._reach(source, group)

    async def _reach(self, source: str, group: str) -> tuple[Namespace, Group]:
        space = await self._server.reach(source)
        return space, space.groups.setdefault(group, Group())

    def _now_ms(self) -> int:
        return int(self._monotonic() * 1_000)
