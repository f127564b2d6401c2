"""The repository over a `libs.store.Store`.

Records, by name:

    subjects/{subject}                   Subject, with the number of its latest version
    versions/{subject}/{number, 9 digits} SchemaVersion, whole: one look-up answers a read
    lookups/{subject}/{guid}             VersionPointer
    ids/{id}, guids/{guid}               Schema, whole: one look-up answers a worker
    counters/schema_id                   IdCounter

Every commit that adds a version expects the subject as it was read; one that adds a schema expects its GUID to be
free and the counter as it was read. Of two concurrent registrations one fails, nothing written, and decides again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import StringValue

from libs.service_kit.tracing import current_traceparent
from libs.store import (
    ABSENT,
    AtRevision,
    Conflict,
    Expectation,
    Mutation,
    Mutations,
    Put,
    Record,
    Store,
    Write,
    etag_of,
    expectation_of,
    new_event,
    utc_now,
)
from libs.store.ports import Clock
from services.schema_registry.conversion import (
    schema_from_proto,
    schema_to_proto,
    subject_from_proto,
    version_from_proto,
    version_to_proto,
)
from services.schema_registry.errors import guid_collision
from services.schema_registry.model import (
    Compatibility,
    Definition,
    Guid,
    RegisteredSchema,
    SchemaId,
    SchemaVersion,
    Subject,
    SubjectId,
    subject_name,
)
from services.schema_registry.ports import (
    ChangedMeanwhile,
    NewVersion,
    SubjectPage,
    SubjectSetting,
    VersionPage,
)
from sluice.schema_registry.v1 import record_pb2, schema_pb2, schema_registry_pb2

SOURCE = "schema_registry"
_COUNTER = "counters/schema_id"
# A page of versions is read in steps, because one version may be 1 MiB.
_VERSIONS_AT_ONCE = 20

_MessageT = TypeVar("_MessageT", bound=Message)


class _NothingToWrite(Exception):
    """Ends a mutation that found everything in place and has no request to remember."""


class StoreRepository:
    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        self._store = store
        self._mutations = Mutations(store, clock)

    async def schema_by_id(self, schema_id: SchemaId) -> RegisteredSchema | None:
        return await self._schema(_id_key(schema_id))

    async def schema_by_guid(self, guid: Guid) -> RegisteredSchema | None:
        return await self._schema(_guid_key(guid))

    async def subject(self, subject: SubjectId) -> Subject | None:
        return _subject(await self._store.get(subject_name(subject)))

    async def subjects(self, after: str, limit: int) -> SubjectPage:
        page = await self._store.list("subjects/", limit, f"subjects/{after}" if after else "")
        subjects = tuple(subject for record in page.records if (subject := _subject(record)) is not None)
        return SubjectPage(subjects, bool(page.next_after))

    async def version(self, subject: SubjectId, number: int) -> SchemaVersion | None:
        return _version(await self._store.get(_version_key(subject, number)))

    async def versions(self, subject: SubjectId, after: int, limit: int, max_bytes: int) -> VersionPage:
        found: list[SchemaVersion] = []
        size_bytes = 0
        cursor = _version_key(subject, after)
        while len(found) < limit:
            at_once = min(_VERSIONS_AT_ONCE, limit - len(found))
            page = await self._store.list(f"versions/{subject}/", at_once, cursor)
            for record in page.records:
                size_bytes += len(record.value)
                if found and size_bytes > max_bytes:
                    return VersionPage(tuple(found), more=True)
                found.append(version_from_proto(schema_pb2.SchemaVersion.FromString(record.value)))
            if not page.next_after:
                return VersionPage(tuple(found), more=False)
            cursor = page.next_after
        return VersionPage(tuple(found), more=True)

    async def identical(self, subject: SubjectId, guid: Guid) -> tuple[Subject | None, SchemaVersion | None]:
        record, pointer = await self._store.get_many([subject_name(subject), _lookup_key(subject, guid)])
        if pointer is None:
            return _subject(record), None
        number = record_pb2.VersionPointer.FromString(pointer.value).version
        return _subject(record), await self.version(subject, number)

    async def register(
        self,
        subject: SubjectId,
        definition: Definition,
        request_id: str,
        decide: Callable[[], Awaitable[SchemaVersion | NewVersion]],
    ) -> SchemaVersion:
        request = schema_registry_pb2.RegisterSchemaRequest(parent=subject_name(subject))
        request.schema.definition = definition.text

        async def build() -> Mutation[schema_pb2.SchemaVersion]:
            decision = await decide()
            if isinstance(decision, SchemaVersion):
                return Mutation((), (), version_to_proto(decision))
            return await self._addition(decision)

        response, _ = await self._run(request_id, request, schema_pb2.SchemaVersion, build)
        return version_from_proto(response)

    async def configure(
        self,
        subject: SubjectId,
        request_id: str,
        request_digest: str,
        decide: Callable[[], Awaitable[Subject | SubjectSetting]],
    ) -> Subject:
        async def build() -> Mutation[schema_pb2.Subject]:
            decision = await decide()
            if isinstance(decision, Subject):
                return Mutation((), (), _record_of(decision, decision.compatibility, etag=decision.etag))
            current = decision.subject or Subject(subject, Compatibility.UNSPECIFIED, 0, None, "")
            changed = _record_of(current, decision.compatibility)
            return Mutation((_put(changed.name, changed, _as_read(decision.subject)),), (), changed)

        request = StringValue(value=f"{subject}\n{request_digest}")
        response, revision = await self._run(request_id, request, schema_pb2.Subject, build)
        return subject_from_proto(response, response.etag or etag_of(revision))

    async def _addition(self, decision: NewVersion) -> Mutation[schema_pb2.SchemaVersion]:
        """The writes and the event of a new version, and with it perhaps of a new schema."""
        subject, definition = decision.subject_id, decision.definition
        current = decision.subject or Subject(subject, Compatibility.UNSPECIFIED, 0, None, "")
        known, counter, latest = await self._store.get_many(
            [_guid_key(definition.guid), _COUNTER, _version_key(subject, current.latest_version)]
        )
        writes: list[Write] = []
        if known is None:
            schema_id = SchemaId(_next_id(counter))
            schema = RegisteredSchema(definition.text, schema_id, definition.guid, definition.fingerprint)
            stored = schema_to_proto(schema)
            following = record_pb2.IdCounter(next_id=schema_id + 1)
            unchanged: Expectation = ABSENT if counter is None else AtRevision(counter.revision)
            writes += [
                _put(_guid_key(definition.guid), stored, ABSENT),
                _put(_id_key(schema_id), stored, ABSENT),
                _put(_COUNTER, following, unchanged),
            ]
        else:
            schema = schema_from_proto(schema_pb2.Schema.FromString(known.value))
            if schema.text != definition.text:
                raise guid_collision(subject, definition.guid)
        added = SchemaVersion(subject, current.latest_version + 1, schema, decision.time)
        resource = version_to_proto(added)
        changed = _record_of(current, current.compatibility)
        changed.latest_version = added.number
        if not changed.HasField("create_time"):
            changed.create_time.CopyFrom(resource.create_time)
        pointer = record_pb2.VersionPointer(version=added.number)
        writes += [
            _put(changed.name, changed, _as_read(decision.subject)),
            _put(_version_key(subject, added.number), resource, ABSENT),
            _put(_lookup_key(subject, definition.guid), pointer, ABSENT),
        ]
        fact = schema_pb2.SchemaChanged(schema_version=resource)
        if latest is not None:
            fact.previous.ParseFromString(latest.value)
        event = new_event(
            source=SOURCE,
            subject=changed.name,
            data=fact,
            time=decision.time,
            traceparent=current_traceparent(),
        )
        return Mutation(writes, (event,), resource)

    async def _run(
        self,
        request_id: str,
        request: Message,
        response_type: type[_MessageT],
        build: Callable[[], Awaitable[Mutation[_MessageT]]],
    ) -> tuple[_MessageT, int]:
        """The response and the revision of its commit (0: nothing was written)."""
        unwritten: list[_MessageT] = []

        async def decide() -> Mutation[_MessageT]:
            mutation = await build()
            if not request_id and not mutation.writes:
                unwritten.append(mutation.response)
                raise _NothingToWrite
            return mutation

        try:
            outcome = await self._mutations.run(request_id, request, response_type, decide)
        except _NothingToWrite:
            return unwritten[-1], 0
        except Conflict as error:
            raise ChangedMeanwhile(str(error)) from error
        return outcome.response, outcome.revision

    async def _schema(self, key: str) -> RegisteredSchema | None:
        record = await self._store.get(key)
        return None if record is None else schema_from_proto(schema_pb2.Schema.FromString(record.value))


def _subject(record: Record | None) -> Subject | None:
    if record is None:
        return None
    return subject_from_proto(schema_pb2.Subject.FromString(record.value), etag_of(record.revision))


def _version(record: Record | None) -> SchemaVersion | None:
    return None if record is None else version_from_proto(schema_pb2.SchemaVersion.FromString(record.value))


def _record_of(subject: Subject, compatibility: Compatibility, etag: str = "") -> schema_pb2.Subject:
    """As stored: what is derived is left out, and the etag too, which is the record's revision."""
    record = schema_pb2.Subject(
        name=subject.name,
        compatibility=f"COMPATIBILITY_{compatibility.value}",
        latest_version=subject.latest_version,
        etag=etag,
    )
    if subject.create_time is not None:
        record.create_time.FromDatetime(subject.create_time)
    return record


def _as_read(subject: Subject | None) -> Expectation:
    return ABSENT if subject is None else expectation_of(subject.etag)


def _next_id(counter: Record | None) -> int:
    return 1 if counter is None else record_pb2.IdCounter.FromString(counter.value).next_id


def _put(name: str, message: Message, expect: Expectation) -> Put:
    return Put(name, message.SerializeToString(deterministic=True), expect)


def _id_key(schema_id: SchemaId) -> str:
    return f"ids/{schema_id}"


def _guid_key(guid: Guid) -> str:
    return f"guids/{guid}"


def _version_key(subject: SubjectId, number: int) -> str:
    return f"versions/{subject}/{number:09}"


def _lookup_key(subject: SubjectId, guid: Guid) -> str:
    return f"lookups/{subject}/{guid}"
