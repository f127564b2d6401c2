"""What a service may ask of its store. `RedisStore` and `MemoryStore` keep this contract (tests/contract)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from typing import Protocol

from libs.store.model import Commit, EntryId, EventBatch, Notification, Page, Record, Write
from sluice.event.v1 import event_pb2

Clock = Callable[[], datetime]
"""The current time, time zone aware."""


class EventReader(Protocol):
    """The stream of one service's events, as the watchers read it."""

    async def read_events(self, start: EntryId, count: int) -> EventBatch:
        """Up to `count` entries from `start` (inclusive) on, with the store's revisions at that moment.

        Raises StoreUnavailable.
        """
        ...

    async def wait_for_events(self, start: EntryId, timeout_seconds: float) -> None:
        """Return once there is an entry at or after `start`, or after the timeout.

        Raises StoreUnavailable.
        """
        ...


class Store(Protocol):
    """The records and events of one service. Every method can raise StoreUnavailable."""

    async def get(self, name: str) -> Record | None:
        """The record, or None if there is none or it has expired."""
        ...

    async def get_many(self, names: Sequence[str]) -> tuple[Record | None, ...]:
        """The records in the order of `names`, read in one atomic step."""
        ...

    async def list(self, prefix: str, page_size: int = 100, after: str = "") -> Page:
        """Up to `page_size` records whose names start with `prefix` and sort after `after`.

        Over several pages: a record that exists throughout appears exactly once; one that is created or
        deleted meanwhile may or may not appear. Raises ValueError for a page size outside 1 to MAX_PAGE_SIZE.
        """
        ...

    async def commit(
        self,
        writes: Sequence[Write],
        events: Sequence[event_pb2.Event] = (),
        *,
        commit_id: str | None = None,
    ) -> Commit:
        """Do all the writes and append all the events in one atomic step at the next revision.

        Each expectation is checked against the state before the commit; the first (in the order of `writes`)
        that does not hold raises Conflict, and nothing has happened. A commit whose answer was lost is
        repeated under its `commit_id` and reports the first outcome; pass your own id to repeat after
        StoreUnavailable, within 10 minutes. Raises ValueError for an empty commit, a name twice, or an
        incomplete event.
        """
        ...

    def watch(
        self, start_revision: int, prefix: str = "", *, progress_interval_seconds: float = 10.0
    ) -> AsyncGenerator[Notification, None]:
        """The events whose subject starts with `prefix`, from `start_revision` (inclusive) on, in order,
        without end.

        Progress comes once the past has been delivered, and then at least every interval while the store
        answers. An outage of the store pauses the watch. Raises Compacted when events from `start_revision`
        on are gone.
        """
        ...

    async def trim(self, keep_revisions: int, required_groups: Sequence[str] = ()) -> int:
        """Drop events that every consumer group has handled and that are older than the last
        `keep_revisions`.

        One atomic step: a group that exists keeps everything it has not acknowledged. A group that is created
        later starts with what is left; name the groups that must not lose anything in `required_groups`:
        until all of them exist nothing is dropped. Returns the compact revision: the newest of which events
        may be gone.
        """
        ...

    async def close(self) -> None:
        """End the watches and release the connections."""
        ...
