"""The deployer's records in the store: read, and written together with the fact that tells of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from libs.service_kit.tracing import current_traceparent
from libs.store import ABSENT, AtRevision, Collection, Put, Store, Stored, StoredPage, new_event
from services.deployer.model import JobRecord
from services.deployer.records import RECORDS, change_message, from_message, to_message
from sluice.deployer.v1 import record_pb2
from sluice.event.v1 import event_pb2

SOURCE = "deployer"


@dataclass(frozen=True, slots=True)
class Known:
    """A record as it was at `revision`."""

    record: JobRecord
    revision: int


@dataclass(frozen=True, slots=True)
class Change:
    """One write and its event, to be committed together. `record` has its update_time."""

    record: JobRecord
    write: Put
    event: event_pb2.Event


class Journal:
    """Every method can raise StoreUnavailable."""

    def __init__(self, store: Store, runner: str) -> None:
        self.store = store
        self.runner = runner
        self._collection = Collection(store, record_pb2.JobRecord, RECORDS)

    async def get(self, name: str) -> Known | None:
        stored = await self._collection.get(name)
        return _known(stored) if stored else None

    async def everything(self) -> tuple[list[Known], int]:
        """All jobs, and the revision after which to watch."""
        page = await self._collection.list_all()
        return [_known(stored) for stored in page.items], page.revision

    async def page(self, size: int, after: str) -> StoredPage[record_pb2.JobRecord]:
        return await self._collection.list(size, after)

    def change(self, before: Known | None, after: JobRecord, now: datetime) -> Change:
        after = replace(after, update_time=now)
        event = new_event(
            source=SOURCE,
            subject=after.name,
            data=change_message(after, before.record if before else None, self.runner),
            time=now,
            traceparent=current_traceparent(),
        )
        expect = AtRevision(before.revision) if before else ABSENT
        return Change(after, self._collection.put(after.name, to_message(after, self.runner), expect), event)

    async def commit(self, before: Known | None, after: JobRecord, now: datetime) -> Known:
        """Raises Conflict if the record is no longer as it was `before`."""
        change = self.change(before, after, now)
        committed = await self.store.commit([change.write], [change.event])
        return Known(change.record, committed.revision)


def _known(stored: Stored[record_pb2.JobRecord]) -> Known:
    return Known(from_message(stored.message), stored.revision)
