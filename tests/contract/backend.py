"""What the contract tests open on one Redis, or on its twin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from libs.bus import Bus, MemoryBus, RedisBus
from libs.store import MemoryServer, MemoryStore, RedisStore
from libs.store.keys import ServiceKeys
from libs.store.model import Entry, EntryId

AnyStore = MemoryStore | RedisStore


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, by: timedelta) -> None:
        self.now += by


@dataclass
class Backend:
    """One Redis, or its twin, and the stores and buses that a test opens on it."""

    clock: ManualClock
    memory: MemoryServer | None = None
    redis: Redis | None = None
    stores: list[AnyStore] = field(default_factory=list)

    def store(self, service: str = "subscription") -> AnyStore:
        store: AnyStore
        if self.memory is not None:
            store = MemoryStore(service, self.memory, clock=self.clock)
        else:
            assert self.redis is not None
            store = RedisStore(service, self.redis, clock=self.clock)
        self.stores.append(store)
        return store

    async def append_raw(self, service: str, subject: str, payload: bytes) -> None:
        """Bytes in the place of an event, as no store of ours would write them."""
        entry_id = EntryId(10**6, 0)
        if self.memory is not None:
            space = await self.memory.reach(service)
            space.entries.append(Entry(entry_id, subject, payload))
            space.announce()
        else:
            assert self.redis is not None
            events = ServiceKeys(service).events
            await self.redis.xadd(events, {"subject": subject, "event": payload}, id=str(entry_id))

    def bus(self) -> Bus:
        if self.memory is not None:
            return MemoryBus(self.memory)
        assert self.redis is not None
        return RedisBus(self.redis)


async def until(condition: Callable[[], bool], timeout_seconds: float = 10.0) -> None:
    """Wait for `condition`, at most so long."""
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)
