"""The values that go into a store and come out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from libs.store.errors import MalformedEtag
from sluice.event.v1 import event_pb2

MAX_PAGE_SIZE = 1_000
MAX_COMMIT_ITEMS = 1_000


@dataclass(frozen=True, slots=True)
class Anything:
    """No expectation: the write happens whatever is there."""

    def __str__(self) -> str:
        return "anything"


@dataclass(frozen=True, slots=True)
class Absent:
    """The record must not exist."""

    def __str__(self) -> str:
        return "no record"


@dataclass(frozen=True, slots=True)
class AtRevision:
    """The record's last write must be this revision."""

    revision: int

    def __str__(self) -> str:
        return f"revision {self.revision}"


Expectation = Anything | Absent | AtRevision
ANYTHING = Anything()
ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class Put:
    """Write `value` under `name`; it is gone after `expires_at` (time zone aware), if given."""

    name: str
    value: bytes
    expect: Expectation
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the record `name`; with `ANYTHING` a missing record is fine."""

    name: str
    expect: Expectation


Write = Put | Delete


@dataclass(frozen=True, slots=True)
class Record:
    """`revision` is that of the last write, `created_revision` that of the first since it did not exist."""

    name: str
    value: bytes
    revision: int
    created_revision: int


@dataclass(frozen=True, slots=True)
class Page:
    """Records in the lexical order of their names.

    `next_after` is the cursor of the next page, empty after the last one. `revision` is the store's when the
    page was read. To miss nothing between list and watch, watch from the FIRST page's `revision + 1`.
    """

    records: tuple[Record, ...]
    next_after: str
    revision: int


@dataclass(frozen=True, slots=True)
class Commit:
    """`replayed`: this `commit_id` had been committed before, and now nothing was written."""

    revision: int
    replayed: bool


@dataclass(frozen=True, slots=True, order=True)
class EntryId:
    """Place of an event in its service's stream: the commit's revision and the event's index within it."""

    revision: int
    index: int

    def __str__(self) -> str:
        return f"{self.revision}-{self.index}"

    @classmethod
    def parse(cls, text: str) -> EntryId:
        revision, _, index = text.partition("-")
        return cls(int(revision), int(index))

    def following(self) -> EntryId:
        return EntryId(self.revision, self.index + 1)


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the stream; `payload` is the serialized Event without its revision."""

    id: EntryId
    subject: str
    payload: bytes

    def event(self) -> event_pb2.Event:
        """Raises google.protobuf.message.DecodeError."""
        event = event_pb2.Event.FromString(self.payload)
        event.revision = self.id.revision
        return event


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that a consumer group could not handle, with its original bytes and the last error."""

    id: EntryId
    entry_id: EntryId
    subject: str
    payload: bytes
    error: str
    deliveries: int
    time: datetime


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Entries from a place of the stream on, read in one atomic step with the two revisions."""

    entries: tuple[Entry, ...]
    revision: int
    compact_revision: int


@dataclass(frozen=True, slots=True)
class Changed:
    """An event, committed at `revision`. Several events can share one revision."""

    revision: int
    event: event_pb2.Event


@dataclass(frozen=True, slots=True)
class Progress:
    """Everything up to and including `revision` has been delivered: resume from `revision + 1`."""

    revision: int


Notification = Changed | Progress


def utc_now() -> datetime:
    return datetime.now(UTC)


def etag_of(revision: int) -> str:
    return f"r{revision}"


def expectation_of(etag: str) -> Expectation:
    """What a request's etag demands: nothing if it is empty. Raises MalformedEtag."""
    if not etag:
        return ANYTHING
    digits = etag.removeprefix("r")
    if digits == etag or not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise MalformedEtag(etag)
    return AtRevision(int(digits))


def check_commit(writes: Sequence[Write], events: Sequence[event_pb2.Event]) -> None:
    """Raises ValueError for a commit that no store accepts; such a commit is a bug of its caller."""
    if not writes and not events:
        raise ValueError("a commit needs at least one write or event")
    if len(writes) + len(events) > MAX_COMMIT_ITEMS:
        raise ValueError(f"a commit takes at most {MAX_COMMIT_ITEMS} writes and events")
    names = [write.name for write in writes]
    if "" in names:
        raise ValueError("a record needs a name")
    if len(set(names)) != len(names):
        raise ValueError(f"a commit names each record once: {sorted(names)}")
    for event in events:
        if not (event.id and event.source and event.type and event.subject) or event.revision:
            raise ValueError(f"an event needs id, source, type, subject and no revision: {event}")


def check_page_size(page_size: int) -> None:
    if not 1 <= page_size <= MAX_PAGE_SIZE:
        raise ValueError(f"page_size {page_size} is not within 1 to {MAX_PAGE_SIZE}")
