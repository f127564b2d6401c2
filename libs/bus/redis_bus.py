"""The bus on Redis Streams; the streams are those that the stores' commits write."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from libs.bus.model import Claim, Delivery
from libs.store.keys import ServiceKeys
from libs.store.model import DeadLetter, EntryId
from libs.store.redis_client import Arguments, Script, once, repeated
from libs.store.redis_store import parse_entry

RELEASED_IDLE_MS = 24 * 3_600_000
FORGOTTEN_IDLE_MS = 3_600_000

T = TypeVar("T")


class RedisBus:
    """The consumer groups of every service in one Redis.

    A group that got lost is created anew, from the start.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._claim = Script(redis, "libs.bus", "claim.lua")
        self._hold = Script(redis, "libs.bus", "hold.lua")
        self._bury = Script(redis, "libs.bus", "bury.lua")
        self._retire = Script(redis, "libs.bus", "retire.lua")

    async def ensure_group(self, source: str, group: str) -> None:
        events = ServiceKeys(source).events
        try:
            await repeated(lambda: self._redis.xgroup_create(events, group, id="0", mkstream=True))
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def read_new(
        self, source: str, group: str, consumer: str, count: int, block_seconds: float
    ) -> tuple[Delivery, ...]:
        events = ServiceKeys(source).events
        read = functools.partial(
            self._redis.xreadgroup, group, consumer, {events: ">"}, count, int(block_seconds * 1_000)
        )
        streams: Any = await self._with_group(source, group, lambda: once(read))
        if not streams:
            return ()
        [(_, entries)] = streams
        return tuple(Delivery(parse_entry((entry_id, _flat(fields))), 1) for entry_id, fields in entries)

    async def claim_idle(
        self, source: str, group: str, consumer: str, min_idle_seconds: float, start: EntryId, count: int
    ) -> Claim:
        keys = [ServiceKeys(source).events]
        args: Arguments = [group, consumer, int(min_idle_seconds * 1_000), str(start), count]
        claim = functools.partial(repeated, lambda: self._claim(keys, args))
        last, *found = await self._with_group(source, group, claim)
        deliveries = tuple(Delivery(parse_entry(entry), count) for entry, count in found)
        return Claim(deliveries, EntryId.parse(last.decode()).following() if last else None)

    async def hold(
        self,
        source: str,
        group: str,
        consumer: str,
        entry_ids: Sequence[EntryId],
        deliveries: int | None = None,
    ) -> frozenset[EntryId]:
        count = "" if deliveries is None else str(deliveries)
        return await self._set_idle(source, group, consumer, 0, count, entry_ids)

    async def release(self, source: str, group: str, consumer: str, entry_ids: Sequence[EntryId]) -> None:
        await self._set_idle(source, group, consumer, RELEASED_IDLE_MS, "", entry_ids)

    async def acknowledge(self, source: str, group: str, entry_id: EntryId) -> None:
        events = ServiceKeys(source).events
        await repeated(lambda: self._redis.xack(events, group, str(entry_id)))

    async def bury(self, source: str, group: str, delivery: Delivery, error: str, now: datetime) -> None:
        service = ServiceKeys(source)
        entry = delivery.entry
        keys = [service.events, service.dead_letters(group)]
        args: Arguments = [
            group,
            str(entry.id),
            entry.subject,
            entry.payload,
            error,
            delivery.deliveries,
            now.isoformat(),
        ]
        await self._with_group(source, group, lambda: repeated(lambda: self._bury(keys, args)))

    async def dead_letters(
        self, source: str, group: str, after: EntryId | None = None, count: int = 100
    ) -> tuple[DeadLetter, ...]:
        key = ServiceKeys(source).dead_letters(group)
        start = "-" if after is None else f"({after}"
        found: Any = await repeated(lambda: self._redis.xrange(key, start, "+", count))
        return tuple(_dead_letter(letter_id, fields) for letter_id, fields in found)

    async def retire(self, source: str, group: str, consumer: str) -> None:
        keys = [ServiceKeys(source).events]
        args: Arguments = [group, consumer, FORGOTTEN_IDLE_MS]
        await self._with_group(source, group, lambda: repeated(lambda: self._retire(keys, args)))

    async def _set_idle(
        self,
        source: str,
        group: str,
        consumer: str,
        idle_ms: int,
        deliveries: str,
        entry_ids: Sequence[EntryId],
    ) -> frozenset[EntryId]:
        if not entry_ids:
            return frozenset()
        keys = [ServiceKeys(source).events]
        args: Arguments = [group, consumer, idle_ms, deliveries, *map(str, entry_ids)]
        held = await self._with_group(source, group, lambda: repeated(lambda: self._hold(keys, args)))
        return frozenset(EntryId.parse(entry_id.decode()) for entry_id in held)

    async def _with_group(self, source: str, group: str, call: Callable[[], Awaitable[T]]) -> T:
        try:
            return await call()
        except ResponseError as error:
            if "NOGROUP" not in str(error) and "no such key" not in str(error):
                raise
        await self.ensure_group(source, group)
        return await call()


def _flat(fields: dict[bytes, bytes]) -> list[bytes]:
    return [part for pair in fields.items() for part in pair]


def _dead_letter(letter_id: bytes, fields: dict[bytes, bytes]) -> DeadLetter:
    return DeadLetter(
        id=EntryId.parse(letter_id.decode()),
        entry_id=EntryId.parse(fields[b"entry"].decode()),
        subject=fields[b"subject"].decode(),
        payload=fields[b"event"],
        error=fields[b"error"].decode(),
        deliveries=int(fields[b"deliveries"]),
        time=datetime.fromisoformat(fields[b"time"].decode()),
    )
