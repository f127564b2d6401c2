"""The gRPC face of the registry: messages to the model and back."""

from __future__ import annotations

import hashlib
from typing import Any

from libs.service_kit.error_mapping import register_error_mapping
from libs.service_kit.errors import ServiceError, Unavailable, invalid_field
from libs.service_kit.pagination import read_page
from libs.service_kit.resource_names import ResourcePattern
from libs.service_kit.update_mask import apply_update_mask
from libs.store import RequestIdReused, StoreUnavailable
from services.schema_registry.conversion import (
    compatibility_from_proto,
    incompatibility_to_proto,
    schema_to_proto,
    subject_to_proto,
    version_to_proto,
)
from services.schema_registry.model import Compatibility, Guid, SchemaId, Subject, SubjectId
from services.schema_registry.policy import effective
from services.schema_registry.registry import Registry
from sluice.schema_registry.v1 import schema_pb2
from sluice.schema_registry.v1 import schema_registry_pb2 as pb
from sluice.schema_registry.v1 import schema_registry_pb2_grpc as pb_grpc

Context = Any  # grpc.aio.ServicerContext: generic in both message types, which differ by method

_SUBJECT_ID = r"[A-Za-z0-9._-]{1,249}"
SUBJECTS = ResourcePattern("subjects/{subject}", subject=_SUBJECT_ID)
VERSIONS = ResourcePattern(
    "subjects/{subject}/versions/{version}", subject=_SUBJECT_ID, version=r"(?:[1-9][0-9]{0,8}|latest)"
)
_PAGE_SIZE, _MAX_PAGE_SIZE = 50, 1000


class SchemaRegistryServicer(pb_grpc.SchemaRegistryServiceServicer):
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def RegisterSchema(
        self, request: pb.RegisterSchemaRequest, context: Context
    ) -> pb.RegisterSchemaResponse:
        version = await self._registry.register(
            _subject_id(request.parent, "parent"),
            request.schema.definition,
            request_id=request.request_id,
            validate_only=request.validate_only,
        )
        return pb.RegisterSchemaResponse(schema_version=version_to_proto(version))

    async def GetSchema(self, request: pb.GetSchemaRequest, context: Context) -> pb.GetSchemaResponse:
        by_id = request.WhichOneof("identity") == "id"
        schema = await self._registry.schema(SchemaId(request.id) if by_id else Guid(request.guid.lower()))
        return pb.GetSchemaResponse(schema=schema_to_proto(schema))

    async def GetSchemaVersion(
        self, request: pb.GetSchemaVersionRequest, context: Context
    ) -> pb.GetSchemaVersionResponse:
        subject, number = VERSIONS.parse(request.name)
        if number == "latest":
            version = await self._registry.latest(SubjectId(subject))
        else:
            version = await self._registry.version(SubjectId(subject), int(number))
        return pb.GetSchemaVersionResponse(schema_version=version_to_proto(version))

    async def ListSchemaVersions(
        self, request: pb.ListSchemaVersionsRequest, context: Context
    ) -> pb.ListSchemaVersionsResponse:
        page = read_page(request, default_size=_PAGE_SIZE, max_size=_MAX_PAGE_SIZE)
        found = await self._registry.versions(
            _subject_id(request.parent, "parent"), int(page.cursor or "0"), page.size
        )
        return pb.ListSchemaVersionsResponse(
            schema_versions=map(version_to_proto, found.versions),
            next_page_token=page.token_after(str(found.versions[-1].number)) if found.more else "",
        )

    async def LookupSchema(
        self, request: pb.LookupSchemaRequest, context: Context
    ) -> pb.LookupSchemaResponse:
        version = await self._registry.lookup(
            _subject_id(request.parent, "parent"), request.schema.definition
        )
        return pb.LookupSchemaResponse(schema_version=version_to_proto(version))

    async def CheckCompatibility(
        self, request: pb.CheckCompatibilityRequest, context: Context
    ) -> pb.CheckCompatibilityResponse:
        subject = _subject_id(request.parent, "parent")
        found = await self._registry.check(subject, request.schema.definition)
        return pb.CheckCompatibilityResponse(
            compatible=not found,
            incompatibilities=[incompatibility_to_proto(item, subject) for item in found],
        )

    async def GetSubject(self, request: pb.GetSubjectRequest, context: Context) -> pb.GetSubjectResponse:
        subject = await self._registry.subject(_subject_id(request.name, "name"))
        return pb.GetSubjectResponse(subject=_subject_to_proto(subject))

    async def ListSubjects(
        self, request: pb.ListSubjectsRequest, context: Context
    ) -> pb.ListSubjectsResponse:
        page = read_page(request, default_size=_PAGE_SIZE, max_size=_MAX_PAGE_SIZE)
        found = await self._registry.subjects(page.cursor, page.size)
        return pb.ListSubjectsResponse(
            subjects=map(_subject_to_proto, found.subjects),
            next_page_token=page.token_after(found.subjects[-1].id) if found.more else "",
        )

    async def UpdateSubject(
        self, request: pb.UpdateSubjectRequest, context: Context
    ) -> pb.UpdateSubjectResponse:
        def change(current: Subject) -> Compatibility:
            merged = apply_update_mask(
                _subject_to_proto(current), request.subject, request.update_mask, field="subject"
            )
            return compatibility_from_proto(merged.compatibility)

        subject = await self._registry.configure(
            _subject_id(request.subject.name, "subject.name"),
            change,
            etag=request.subject.etag,
            request_id=request.request_id,
            request_digest=hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest(),
        )
        return pb.UpdateSubjectResponse(subject=_subject_to_proto(subject))


def _subject_id(name: str, field: str) -> SubjectId:
    return SubjectId(SUBJECTS.parse(name, field=field)[0])


def _subject_to_proto(subject: Subject) -> schema_pb2.Subject:
    return subject_to_proto(subject, effective(subject.compatibility))


def _request_id_reused(error: RequestIdReused) -> ServiceError:
    return invalid_field("request_id", str(error), "REQUEST_ID_REUSED")


register_error_mapping(StoreUnavailable, lambda _error: Unavailable("the store of the schema registry"))
register_error_mapping(RequestIdReused, _request_id_reused)
