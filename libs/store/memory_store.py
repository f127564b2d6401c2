"""The in-memory twin of RedisStore, for unit tests and simulations."""

from __future__ import annotations

import bisect
import builtins
import time
import uuid
from collections.abc import AsyncGenerator, Sequence

from libs.store.errors import Conflict
from libs.store.memory_server import HeldRecord, MemoryServer, Namespace
from libs.store.model import (
    Absent,
    Anything,
    Commit,
    Entry,
    EntryId,
    EventBatch,
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
from libs.store.watch import WatchHub
from sluice.event.v1 import event_pb2

COMMIT_ID_LIFETIME_SECONDS = 600.0


class MemoryStore:
    """A Store over `server`, whose contents it shares with every other store of the same service there."""

    def __init__(self, service: str, server: MemoryServer | None = None, *, clock: Clock = utc_now) -> None:
        self._service = service
        self._server = server or MemoryServer()
        self._clock = clock
        self._hub = WatchHub(self)

    async def get(self, name: str) -> Record | None:
        return (await self.get_many([name]))[0]

    async def get_many(self, names: Sequence[str]) -> tuple[Record | None, ...]:
        space = await self._server.reach(self._service)
        return tuple(self._live(space, name) for name in names)

    async def list(self, prefix: str, page_size: int = 100, after: str = "") -> Page:
        check_page_size(page_size)
        space = await self._server.reach(self._service)
        index = max(bisect.bisect_left(space.names, prefix), bisect.bisect_right(space.names, after))
        records: builtins.list[Record] = []
        while index < len(space.names) and space.names[index].startswith(prefix):
            record = self._live(space, space.names[index])
            if record is not None:
                if len(records) == page_size:
                    return Page(tuple(records), records[-1].name, space.revision)
                records.append(record)
            index += 1
        return Page(tuple(records), "", space.revision)

    async def commit(
        self,
        writes: Sequence[Write],
        events: Sequence[event_pb2.Event] = (),
        *,
        commit_id: str | None = None,
    ) -> Commit:
        check_commit(writes, events)
        space = await self._server.reach(self._service)
        # As in Redis, commit ids live by real time: they bridge lost answers, which the clock knows nothing of.
        now = time.monotonic()
        space.commits = {known: kept for known, kept in space.commits.items() if kept[1] > now}
        commit_id = commit_id or str(uuid.uuid4())
        if commit_id in space.commits:
            return Commit(space.commits[commit_id][0], replayed=True)
        for write in writes:
            self._check(space, write)
        space.revision += 1
        for name in [name for name in space.names if self._live(space, name) is None]:
            _remove(space, name)
        for write in writes:
            self._apply(space, write)
        for index, event in enumerate(events):
            entry_id = EntryId(space.revision, index)
            space.entries.append(Entry(entry_id, event.subject, event.SerializeToString(deterministic=True)))
        space.commits[commit_id] = (space.revision, now + COMMIT_ID_LIFETIME_SECONDS)
        space.announce()
        return Commit(space.revision, replayed=False)

    def watch(
        self, start_revision: int, prefix: str = "", *, progress_interval_seconds: float = 10.0
    ) -> AsyncGenerator[Notification, None]:
        return self._hub.watch(start_revision, prefix, progress_interval_seconds)

    async def trim(self, keep_revisions: int, required_groups: Sequence[str] = ()) -> int:
        space = await self._server.reach(self._service)
        if any(name not in space.groups for name in required_groups):
            return space.compact_revision
        floor = space.revision - keep_revisions + 1
        for group in space.groups.values():
            undelivered = space.entries_from(group.next, 1)
            floor = min([floor, *(entry.id.revision for entry in undelivered)])
            floor = min([floor, *(entry_id.revision for entry_id in group.pending)])
        if floor - 1 > space.compact_revision:
            space.entries = list(space.entries_from(EntryId(floor, 0), len(space.entries)))
            space.compact_revision = floor - 1
        return space.compact_revision

    async def close(self) -> None:
        self._hub.close()

    async def read_events(self, start: EntryId, count: int) -> EventBatch:
        space = await self._server.reach(self._service)
        return EventBatch(space.entries_from(start, count), space.revision, space.compact_revision)

    async def wait_for_events(self, start: EntryId, timeout_seconds: float) -> None:
        space = await self._server.reach(self._service)
        await space.wait_for_entry(start, timeout_seconds)

    def _now_ms(self) -> int:
        return int(self._clock().timestamp() * 1_000)

    def _live(self, space: Namespace, name: str) -> Record | None:
        held = space.records.get(name)
        if held is None or (held.expires_at_ms is not None and held.expires_at_ms <= self._now_ms()):
            return None
        return held.record

    def _check(self, space: Namespace, write: Write) -> None:
        record = self._live(space, write.name)
        actual = None if record is None else record.revision
        match write.expect:
            case Anything():
                return
            case Absent():
                holds = actual is None
            case expected:
                holds = actual == expected.revision
        if not holds:
            raise Conflict(write.name, write.expect, actual)

    def _apply(self, space: Namespace, write: Write) -> None:
        if not isinstance(write, Put):
            _remove(space, write.name)
            return
        known = space.records.get(write.name)
        created = known.record.created_revision if known else space.revision
        if known is None:
            bisect.insort(space.names, write.name)
        expires_at_ms = None if write.expires_at is None else int(write.expires_at.timestamp() * 1_000)
        record = Record(write.name, write.value, space.revision, created)
        space.records[write.name] = HeldRecord(record, expires_at_ms)


def _remove(space: Namespace, name: str) -> None:
    if space.records.pop(name, None) is not None:
        del space.names[bisect.bisect_left(space.names, name)]
