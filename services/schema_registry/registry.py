"""The registry's commands and queries: read, decide purely, write what was decided."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

import tenacity

from libs.codec.parse import parse
from libs.service_kit.etag import check_etag
from libs.store import utc_now
from libs.store.ports import Clock
from services.schema_registry import errors
from services.schema_registry.definition import InvalidDefinition, parse_definition
from services.schema_registry.model import (
    Compatibility,
    Definition,
    Direction,
    Guid,
    RegisteredSchema,
    SchemaId,
    SchemaVersion,
    Subject,
    SubjectId,
    VersionIncompatibility,
)
from services.schema_registry.policy import DEMANDS, effective, judge
from services.schema_registry.ports import (
    ChangedMeanwhile,
    NewVersion,
    Repository,
    SubjectPage,
    SubjectSetting,
    VersionPage,
)

# Each failed attempt means that another registration was made, so this many others must win in a row.
_ATTEMPTS: Final = 50
_PAGE_BYTES: Final = 2 * 1024 * 1024
_ALL: Final = 1000

_ResultT = TypeVar("_ResultT")


class Registry:
    """Raises the errors of `errors` and libs.store.StoreUnavailable; an absence is reported only when it is certain."""

    def __init__(self, repository: Repository, clock: Clock = utc_now) -> None:
        self._repository = repository
        self._clock = clock
        # Registrations of one process go one after another: they would all want the same counter.
        self._registering = asyncio.Lock()

    async def register(
        self, subject: SubjectId, text: str, *, request_id: str, validate_only: bool
    ) -> SchemaVersion:
        definition = await _definition(text)

        async def decide() -> SchemaVersion | NewVersion:
            current, existing = await self._repository.identical(subject, definition.guid)
            if existing is not None:
                return self._same_text(existing, definition)
            found = await self._incompatibilities(current, definition)
            if found:
                raise errors.incompatible_schema(subject, _level(current), found)
            return NewVersion(current, subject, definition, self._clock())

        if validate_only:
            return await self._preview(await decide())

        async def attempt() -> SchemaVersion:
            async with self._registering:
                return await self._repository.register(subject, definition, request_id, decide)

        return await _until_unchanged(subject, attempt)

    async def check(self, subject: SubjectId, text: str) -> tuple[VersionIncompatibility, ...]:
        """All that stands against registering the schema now."""
        definition = await _definition(text)
        current, existing = await self._repository.identical(subject, definition.guid)
        return () if existing is not None else await self._incompatibilities(current, definition)

    async def schema(self, identity: SchemaId | Guid) -> RegisteredSchema:
        if isinstance(identity, int):
            found = await self._repository.schema_by_id(identity)
        else:
            found = await self._repository.schema_by_guid(identity)
        if found is None:
            raise errors.schema_not_found(identity)
        return found

    async def lookup(self, subject: SubjectId, text: str) -> SchemaVersion:
        definition = await _definition(text)
        current, existing = await self._repository.identical(subject, definition.guid)
        if current is None:
            raise errors.subject_not_found(subject)
        if existing is None or existing.schema.text != definition.text:
            raise errors.schema_not_in_subject(subject, definition.guid)
        return existing

    async def version(self, subject: SubjectId, number: int) -> SchemaVersion:
        found = await self._repository.version(subject, number)
        if found is None:
            await self.subject(subject)
            raise errors.version_not_found(subject, str(number))
        return found

    async def latest(self, subject: SubjectId) -> SchemaVersion:
        current = await self.subject(subject)
        found = await self._repository.version(subject, current.latest_version)
        if found is None:
            raise errors.version_not_found(subject, "latest")
        return found

    async def versions(self, subject: SubjectId, after: int, limit: int) -> VersionPage:
        page = await self._repository.versions(subject, after, limit, _PAGE_BYTES)
        if not page.versions:
            await self.subject(subject)
        return page

    async def subject(self, subject: SubjectId) -> Subject:
        found = await self._repository.subject(subject)
        if found is None:
            raise errors.subject_not_found(subject)
        return found

    async def subjects(self, after: str, limit: int) -> SubjectPage:
        return await self._repository.subjects(after, limit)

    async def configure(
        self,
        subject: SubjectId,
        change: Callable[[Subject], Compatibility],
        *,
        etag: str,
        request_id: str,
        request_digest: str,
    ) -> Subject:
        """Give the subject (a new one, if there is none) the compatibility that `change` makes of the present state.

        `request_digest` tells requests of one `request_id` apart.
        """

        async def decide() -> Subject | SubjectSetting:
            current = await self._repository.subject(subject)
            if current is None and etag:
                raise errors.subject_not_found(subject)
            before = current or Subject(subject, Compatibility.UNSPECIFIED, 0, None, "")
            check_etag(etag, before.etag, before.name)
            wanted = change(before)
            if current is not None and wanted is current.compatibility:
                return current
            return SubjectSetting(current, subject, wanted)

        async def attempt() -> Subject:
            return await self._repository.configure(subject, request_id, request_digest, decide)

        return await _until_unchanged(subject, attempt)

    async def _incompatibilities(
        self, subject: Subject | None, definition: Definition
    ) -> tuple[VersionIncompatibility, ...]:
        demands = DEMANDS[_level(subject)]
        if subject is None or not demands.directions:
            return ()
        after = 0 if demands.is_transitive else subject.latest_version - 1
        found: list[VersionIncompatibility] = []
        async for existing in self._versions_after(subject, after):
            found += await asyncio.to_thread(_judge_texts, definition, existing, demands.directions)
        return tuple(found)

    async def _versions_after(self, subject: Subject, number: int) -> AsyncIterator[SchemaVersion]:
        """Up to the latest one that `subject` knows."""
        more = subject.latest_version > number
        while more:
            page = await self._repository.versions(subject.id, number, _ALL, _PAGE_BYTES)
            for version in page.versions:
                if version.number <= subject.latest_version:
                    yield version
                number = version.number
            more = page.more and number < subject.latest_version

    async def _preview(self, decision: SchemaVersion | NewVersion) -> SchemaVersion:
        if isinstance(decision, SchemaVersion):
            return decision
        definition = decision.definition
        known = await self._repository.schema_by_guid(definition.guid)
        if known is not None and known.text != definition.text:
            raise errors.guid_collision(decision.subject_id, definition.guid)
        schema = known or RegisteredSchema(
            definition.text, SchemaId(0), definition.guid, definition.fingerprint
        )
        number = decision.subject.latest_version + 1 if decision.subject else 1
        return SchemaVersion(decision.subject_id, number, schema, decision.time)

    def _same_text(self, existing: SchemaVersion, definition: Definition) -> SchemaVersion:
        if existing.schema.text != definition.text:
            raise errors.guid_collision(existing.subject, definition.guid)
        return existing


def _level(subject: Subject | None) -> Compatibility:
    return effective(Compatibility.UNSPECIFIED if subject is None else subject.compatibility)


def _judge_texts(
    definition: Definition, existing: SchemaVersion, directions: tuple[Direction, ...]
) -> list[VersionIncompatibility]:
    old = parse(existing.schema.text)
    return list(judge(definition.schema, old, existing.number, directions))


async def _definition(text: str) -> Definition:
    """In a thread: a schema of 1 MiB takes its time, and workers ask for others meanwhile."""
    try:
        return await asyncio.to_thread(parse_definition, text)
    except InvalidDefinition as error:
        raise errors.invalid_schema(error) from error


async def _until_unchanged(subject: SubjectId, attempt: Callable[[], Awaitable[_ResultT]]) -> _ResultT:
    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(ChangedMeanwhile),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        wait=tenacity.wait_random_exponential(multiplier=0.002, max=0.1),
        reraise=True,
    )
    try:
        return await retrying(attempt)
    except ChangedMeanwhile as error:
        raise errors.busy(subject) from error
