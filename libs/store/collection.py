"""The records of one resource type, read and written as its protobuf message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from google.protobuf.message import Message

from libs.store.model import MAX_PAGE_SIZE, Delete, Expectation, Put, Record, etag_of
from libs.store.ports import Store

MessageT = TypeVar("MessageT", bound=Message)


@dataclass(frozen=True, slots=True)
class Stored(Generic[MessageT]):
    """A resource as it is stored; `message` is the caller's own copy."""

    name: str
    message: MessageT
    revision: int
    created_revision: int

    @property
    def etag(self) -> str:
        return etag_of(self.revision)


@dataclass(frozen=True, slots=True)
class StoredPage(Generic[MessageT]):
    """As `Page`: watch from the FIRST page's `revision + 1`."""

    items: tuple[Stored[MessageT], ...]
    next_after: str
    revision: int


class Collection(Generic[MessageT]):
    """Resources of type `message_type` whose names start with `prefix`, for example `jobs/`."""

    def __init__(self, store: Store, message_type: type[MessageT], prefix: str) -> None:
        if not prefix:
            raise ValueError("a collection needs a prefix")
        self._store = store
        self._message_type = message_type
        self._prefix = prefix

    async def get(self, name: str) -> Stored[MessageT] | None:
        self._check(name)
        record = await self._store.get(name)
        return None if record is None else self._stored(record)

    async def list(self, page_size: int = 100, after: str = "", within: str = "") -> StoredPage[MessageT]:
        """One page; `within` narrows it to names that start so, for example `tenants/acme/subscriptions/`."""
        prefix = within or self._prefix
        self._check(prefix)
        page = await self._store.list(prefix, page_size, after)
        return StoredPage(tuple(map(self._stored, page.records)), page.next_after, page.revision)

    async def list_all(self, within: str = "") -> StoredPage[MessageT]:
        """Every page in one; `revision` is the first page's, so that watching from `revision + 1` misses
        nothing.
        """
        page = await self.list(MAX_PAGE_SIZE, "", within)
        items, revision = list(page.items), page.revision
        while page.next_after:
            page = await self.list(MAX_PAGE_SIZE, page.next_after, within)
            items.extend(page.items)
        return StoredPage(tuple(items), "", revision)

    def put(
        self, name: str, message: MessageT, expect: Expectation, expires_at: datetime | None = None
    ) -> Put:
        """The write for a commit; equal messages give equal bytes."""
        self._check(name)
        return Put(name, message.SerializeToString(deterministic=True), expect, expires_at)

    def delete(self, name: str, expect: Expectation) -> Delete:
        self._check(name)
        return Delete(name, expect)

    def _stored(self, record: Record) -> Stored[MessageT]:
        message = self._message_type.FromString(record.value)
        return Stored(record.name, message, record.revision, record.created_revision)

    def _check(self, name: str) -> None:
        if not name.startswith(self._prefix):
            raise ValueError(f"{name!r} does not start with {self._prefix!r}")
