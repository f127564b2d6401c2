"""What the registry speaks of: definitions, schemas, versions, subjects, and why two schemas do not go together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, unique
from typing import NewType

from libs.codec.tree import Schema

SubjectId = NewType("SubjectId", str)
"""The `{subject}` of `subjects/{subject}`."""
SchemaId = NewType("SchemaId", int)
Guid = NewType("Guid", str)
"""A UUID in lower case with hyphens."""


@unique
class Compatibility(Enum):
    """The names are those of the API (`sluice.schema_registry.v1.Compatibility`)."""

    UNSPECIFIED = "UNSPECIFIED"
    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"


@unique
class Direction(Enum):
    """Who must read whose data."""

    NEW_READS_OLD = "NEW_READS_OLD"
    OLD_READS_NEW = "OLD_READS_NEW"


@unique
class IncompatibilityKind(Enum):
    """The first six are those of Avro for Java (`SchemaIncompatibilityType`)."""

    NAME_MISMATCH = "NAME_MISMATCH"
    FIXED_SIZE_MISMATCH = "FIXED_SIZE_MISMATCH"
    MISSING_ENUM_SYMBOLS = "MISSING_ENUM_SYMBOLS"
    READER_FIELD_MISSING_DEFAULT_VALUE = "READER_FIELD_MISSING_DEFAULT_VALUE"
    TYPE_MISMATCH = "TYPE_MISMATCH"
    MISSING_UNION_BRANCH = "MISSING_UNION_BRANCH"
    LOGICAL_TYPE_MISMATCH = "LOGICAL_TYPE_MISMATCH"


@dataclass(frozen=True, slots=True)
class Incompatibility:
    """One reason why a reader cannot read what a writer wrote.

    `path` leads into the reader's schema, as in `/fields/3/type`; where the writer has a union, the number of the
    writer's branch follows. `/` is the whole schema.
    """

    kind: IncompatibilityKind
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class VersionIncompatibility:
    """An incompatibility with one existing version of the subject."""

    version: int
    direction: Direction
    reason: Incompatibility


@dataclass(frozen=True, slots=True)
class Definition:
    """A valid schema that may or may not be registered.

    `text` is the schema as Avro for Java writes it: what is stored, published, and hashed to `guid`. `fingerprint` is
    the SHA-256 (hex) of the Parsing Canonical Form.
    """

    text: str
    guid: Guid
    fingerprint: str
    schema: Schema


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """A schema's text and identities; `id` is 0 only in answers to `validate_only`."""

    text: str
    id: SchemaId
    guid: Guid
    fingerprint: str


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    subject: SubjectId
    number: int
    schema: RegisteredSchema
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Subject:
    """`create_time` is that of the first version, None before it. `etag` is empty only before the first write."""

    id: SubjectId
    compatibility: Compatibility
    latest_version: int
    create_time: datetime | None
    etag: str

    @property
    def name(self) -> str:
        return subject_name(self.id)


def subject_name(subject: SubjectId) -> str:
    return f"subjects/{subject}"


def version_name(subject: SubjectId, number: int) -> str:
    return f"subjects/{subject}/versions/{number}"
