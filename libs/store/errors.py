"""What can go wrong with a store, each with the data its caller needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from libs.store.model import Expectation


class StoreError(Exception):
    """Base of every error of this package."""


class Conflict(StoreError):
    """A write's expectation did not hold; nothing of the commit happened.

    `actual_revision` is the revision of the record's last write, or None if there is no such record.
    """

    def __init__(self, name: str, expected: Expectation, actual_revision: int | None) -> None:
        found = "no record" if actual_revision is None else f"revision {actual_revision}"
        super().__init__(f"{name}: expected {expected}, found {found}")
        self.name = name
        self.expected = expected
        self.actual_revision = actual_revision


class StoreUnavailable(StoreError):
    """The store did not answer in time.

    A commit may or may not have happened: repeat it with the same `commit_id`.
    """


class Compacted(StoreError):
    """Changes before or at `compact_revision` are gone:

    list again, then watch from the list's revision + 1.
    """

    def __init__(self, compact_revision: int) -> None:
        super().__init__(f"the changes up to revision {compact_revision} are gone; list again")
        self.compact_revision = compact_revision


class RequestIdReused(StoreError):
    """`request_id` was used within its lifetime for a different request."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"request_id {request_id} was already used for a different request")
        self.request_id = request_id


class MalformedEtag(StoreError):
    """An etag that this store never issued."""

    def __init__(self, etag: str) -> None:
        super().__init__(f"malformed etag {etag!r}; send back the one you read")
        self.etag = etag
