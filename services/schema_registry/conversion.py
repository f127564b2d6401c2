"""Protobuf messages of the registry from the model and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from services.schema_registry.model import (
    Compatibility,
    Direction,
    Guid,
    IncompatibilityKind,
    RegisteredSchema,
    SchemaId,
    SchemaVersion,
    Subject,
    SubjectId,
    VersionIncompatibility,
    version_name,
)
from sluice.schema_registry.v1 import schema_pb2, schema_registry_pb2

_TO_PROTO: Final = {
    level: schema_pb2.Compatibility.Value(f"COMPATIBILITY_{level.value}") for level in Compatibility
}
_FROM_PROTO: Final = {number: level for level, number in _TO_PROTO.items()}
_KINDS: Final = {
    kind: schema_registry_pb2.IncompatibilityKind.Value(f"INCOMPATIBILITY_KIND_{kind.value}")
    for kind in IncompatibilityKind
}


def schema_to_proto(schema: RegisteredSchema) -> schema_pb2.Schema:
    return schema_pb2.Schema(
        definition=schema.text,
        type=schema_pb2.SCHEMA_TYPE_AVRO,
        id=schema.id,
        guid=schema.guid,
        fingerprint=schema.fingerprint,
    )


def schema_from_proto(schema: schema_pb2.Schema) -> RegisteredSchema:
    return RegisteredSchema(schema.definition, SchemaId(schema.id), Guid(schema.guid), schema.fingerprint)


def version_to_proto(version: SchemaVersion) -> schema_pb2.SchemaVersion:
    return schema_pb2.SchemaVersion(
        name=version_name(version.subject, version.number),
        version=version.number,
        schema=schema_to_proto(version.schema),
        create_time=_timestamp(version.create_time),
    )


def version_from_proto(version: schema_pb2.SchemaVersion) -> SchemaVersion:
    return SchemaVersion(
        SubjectId(version.name.split("/")[1]),
        version.version,
        schema_from_proto(version.schema),
        version.create_time.ToDatetime(tzinfo=UTC),
    )


def subject_to_proto(subject: Subject, effective: Compatibility) -> schema_pb2.Subject:
    return schema_pb2.Subject(
        name=subject.name,
        compatibility=f"COMPATIBILITY_{subject.compatibility.value}",
        effective_compatibility=f"COMPATIBILITY_{effective.value}",
        latest_version=subject.latest_version,
        etag=subject.etag,
        create_time=None if subject.create_time is None else _timestamp(subject.create_time),
    )


def subject_from_proto(subject: schema_pb2.Subject, etag: str) -> Subject:
    return Subject(
        SubjectId(subject.name.split("/")[1]),
        compatibility_from_proto(subject.compatibility),
        subject.latest_version,
        subject.create_time.ToDatetime(tzinfo=UTC) if subject.HasField("create_time") else None,
        etag,
    )


def compatibility_from_proto(level: schema_pb2.Compatibility) -> Compatibility:
    return _FROM_PROTO[level]


def incompatibility_to_proto(
    found: VersionIncompatibility, subject: SubjectId
) -> schema_registry_pb2.Incompatibility:
    return schema_registry_pb2.Incompatibility(
        version=version_name(subject, found.version),
        direction=direction_in_words(found.direction, found.version),
        path=found.reason.path,
        message=found.reason.message,
        kind=schema_registry_pb2.IncompatibilityKind.Name(_KINDS[found.reason.kind]),
    )


def direction_in_words(direction: Direction, version: int) -> str:
    if direction is Direction.NEW_READS_OLD:
        return f"the new schema cannot read what version {version} wrote"
    return f"version {version} cannot read what the new schema writes"


def _timestamp(time: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp
