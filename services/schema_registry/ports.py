"""What the registry needs of its storage. `adapters.store_repository` keeps this contract."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.schema_registry.model import (
    Compatibility,
    Definition,
    Guid,
    RegisteredSchema,
    SchemaId,
    SchemaVersion,
    Subject,
    SubjectId,
)


class ChangedMeanwhile(Exception):
    """Somebody else wrote what a decision relied on; nothing was written. Decide again."""


@dataclass(frozen=True, slots=True)
class VersionPage:
    """`more`: versions after the last one exist."""

    versions: tuple[SchemaVersion, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class SubjectPage:
    subjects: tuple[Subject, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class NewVersion:
    """The decision that `definition` becomes the version after `subject.latest_version`.

    It holds only while the subject is as it was read: `subject` is None if there was none.
    """

    subject: Subject | None
    subject_id: SubjectId
    definition: Definition
    time: datetime


@dataclass(frozen=True, slots=True)
class SubjectSetting:
    """The decision that a subject, as it was read (None: there is none), gets this compatibility."""

    subject: Subject | None
    subject_id: SubjectId
    compatibility: Compatibility


class Repository(Protocol):
    """Schemas, versions and subjects. Every method can raise libs.store.StoreUnavailable; None is authoritative."""

    async def schema_by_id(self, schema_id: SchemaId) -> RegisteredSchema | None:
        """One look-up in the store."""
        ...

    async def schema_by_guid(self, guid: Guid) -> RegisteredSchema | None:
        """One look-up in the store."""
        ...

    async def subject(self, subject: SubjectId) -> Subject | None: ...

    async def subjects(self, after: str, limit: int) -> SubjectPage:
        """In the order of their ids, those after `after`."""
        ...

    async def version(self, subject: SubjectId, number: int) -> SchemaVersion | None: ...

    async def versions(self, subject: SubjectId, after: int, limit: int, max_bytes: int) -> VersionPage:
        """Oldest first, those after number `after`: at least one if there is one, then up to `limit` of them and up to
        `max_bytes` of text.
        """
        ...

    async def identical(self, subject: SubjectId, guid: Guid) -> tuple[Subject | None, SchemaVersion | None]:
        """The subject, and its version that has this GUID. The subject is read first: a version that is added later is
        missing here only if it is newer than the subject, too.
        """
        ...

    async def register(
        self,
        subject: SubjectId,
        definition: Definition,
        request_id: str,
        decide: Callable[[], Awaitable[SchemaVersion | NewVersion]],
    ) -> SchemaVersion:
        """Write what `decide` answers, with the SchemaChanged event in the same atomic step: a version that exists is
        left as it is.

        Schemas of one GUID get one id over all subjects. A `request_id` that was answered before gets that answer.
        Raises ChangedMeanwhile, libs.store.RequestIdReused and what `decide` raises.
        """
        ...

    async def configure(
        self,
        subject: SubjectId,
        request_id: str,
        request_digest: str,
        decide: Callable[[], Awaitable[Subject | SubjectSetting]],
    ) -> Subject:
        """Write what `decide` answers: a Subject is left as it is. As `register` else."""
        ...
