"""The store on Redis: one Lua script for each step that must be atomic."""

from __future__ import annotations

import builtins
import functools
import uuid
from collections.abc import AsyncGenerator, Sequence

from redis.asyncio import Redis

from libs.store.errors import Conflict
from libs.store.keys import ServiceKeys
from libs.store.model import (
    Absent,
    Anything,
    Commit,
    Entry,
    EntryId,
    EventBatch,
    Expectation,
    Notification,
    Page,
    Put,
    Record,
    Write,
    check_commit,
    check_page_size,
    utc_now,
)
from libs.store.ports import Clock
from libs.store.redis_client import Arguments, Script, once, repeated
from libs.store.watch import WatchHub
from sluice.event.v1 import event_pb2

COMMIT_ID_LIFETIME_MS = 600_000
_LAST_INDEX = 2**64 - 1


class RedisStore:
    """A Store in the namespace of `service`. Expiry goes by `clock`, not by that of Redis."""

    def __init__(self, service: str, redis: Redis, *, clock: Clock = utc_now) -> None:
        self._redis = redis
        self._keys = ServiceKeys(service)
        self._clock = clock
        self._hub = WatchHub(self)
        self._commit = Script(redis, "libs.store", "commit.lua")
        self._list = Script(redis, "libs.store", "list.lua")
        self._read = Script(redis, "libs.store", "read.lua")
        self._trim = Script(redis, "libs.store", "trim.lua")

    async def get(self, name: str) -> Record | None:
        return (await self.get_many([name]))[0]

    async def get_many(self, names: Sequence[str]) -> tuple[Record | None, ...]:
        if not names:
            return ()
        now_ms = self._now_ms()
        values = await repeated(lambda: self._redis.hmget(self._keys.records, builtins.list(names)))
        return tuple(_live_record(name, held, now_ms) for name, held in zip(names, values, strict=True))

    async def list(self, prefix: str, page_size: int = 100, after: str = "") -> Page:
        check_page_size(page_size)
        # UTF-8 has no byte 0xff: everything with the prefix sorts below prefix + 0xff.
        lowest = b"(" + after.encode() if after >= prefix and after else b"[" + prefix.encode()
        args: Arguments = [self._now_ms(), page_size + 1, lowest, b"(" + prefix.encode() + b"\xff"]
        keys = [self._keys.revision, self._keys.records, self._keys.names]
        revision, *found = await repeated(lambda: self._list(keys, args))
        records = tuple(
            _record(name.decode(), value) for name, value in zip(found[::2], found[1::2], strict=True)
        )
        page = records[:page_size]
        return Page(page, page[-1].name if len(records) > page_size else "", int(revision))

    async def commit(
        self,
        writes: Sequence[Write],
        events: Sequence[event_pb2.Event] = (),
        *,
        commit_id: str | None = None,
    ) -> Commit:
        check_commit(writes, events)
        keys = self._keys
        mark = keys.commit(commit_id or str(uuid.uuid4()))
        args: Arguments = [self._now_ms(), COMMIT_ID_LIFETIME_MS, len(writes)]
        for write in writes:
            args += _write_arguments(write)
        for event in events:
            args += [event.subject, event.SerializeToString(deterministic=True)]
        # Repeating is safe even if the first answer was lost: the script finds the mark.
        outcome, *rest = await repeated(
            lambda: self._commit(
                [keys.revision, keys.records, keys.names, keys.expiries, keys.events, mark], args
            )
        )
        if outcome == b"conflict":
            write = writes[int(rest[0])]
            raise Conflict(write.name, write.expect, int(rest[1]) if rest[1] else None)
        return Commit(int(rest[0]), replayed=outcome == b"replayed")

    def watch(
        self, start_revision: int, prefix: str = "", *, progress_interval_seconds: float = 10.0
    ) -> AsyncGenerator[Notification, None]:
        return self._hub.watch(start_revision, prefix, progress_interval_seconds)

    async def trim(self, keep_revisions: int, required_groups: Sequence[str] = ()) -> int:
        keys = [self._keys.revision, self._keys.events, self._keys.compact_revision]
        return int(await repeated(lambda: self._trim(keys, [keep_revisions, *required_groups])))

    async def close(self) -> None:
        self._hub.close()

    async def read_events(self, start: EntryId, count: int) -> EventBatch:
        keys = [self._keys.revision, self._keys.events, self._keys.compact_revision]
        revision, compact_revision, found = await repeated(lambda: self._read(keys, [str(start), count]))
        return EventBatch(tuple(map(parse_entry, found)), int(revision), int(compact_revision))

    async def wait_for_events(self, start: EntryId, timeout_seconds: float) -> None:
        if start.index > 0:
            before = EntryId(start.revision, start.index - 1)
        else:
            before = EntryId(start.revision - 1, _LAST_INDEX)
        read = functools.partial(
            self._redis.xread, {self._keys.events: str(before)}, count=1, block=int(timeout_seconds * 1_000)
        )
        await once(read)

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1_000)


def parse_entry(entry: Sequence[bytes | Sequence[bytes]]) -> Entry:
    """A stream entry as Lua returns it: [id, ["subject", subject, "event", payload]]."""
    entry_id, fields = entry
    assert isinstance(entry_id, bytes)
    assert isinstance(fields, list)
    return Entry(EntryId.parse(entry_id.decode()), fields[1].decode(), fields[3])


def _write_arguments(write: Write) -> Arguments:
    if isinstance(write, Put):
        expires_at_ms = 0 if write.expires_at is None else int(write.expires_at.timestamp() * 1_000)
        return ["put", write.name, _expected(write.expect), write.value, expires_at_ms]
    return ["delete", write.name, _expected(write.expect), b"", 0]


def _expected(expect: Expectation) -> str:
    match expect:
        case Anything():
            return "anything"
        case Absent():
            return "absent"
        case at:
            return str(at.revision)


def _record(name: str, held: bytes) -> Record:
    header, _, value = held.partition(b"\n")
    revision, created_revision, _ = header.split(b" ")
    return Record(name, value, int(revision), int(created_revision))


def _live_record(name: str, held: bytes | str | None, now_ms: int) -> Record | None:
    if held is None:
        return None
    assert isinstance(held, bytes)
    expires_at_ms = int(held[: held.index(b"\n")].split(b" ")[2])
    return None if 0 < expires_at_ms <= now_ms else _record(name, held)
