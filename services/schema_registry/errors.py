"""The registry's errors, each with the reason that clients switch on."""

from __future__ import annotations

from collections.abc import Sequence

from libs.service_kit.errors import (
    Aborted,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
    PreconditionViolation,
)
from services.schema_registry.conversion import direction_in_words
from services.schema_registry.definition import InvalidDefinition
from services.schema_registry.model import (
    Compatibility,
    Guid,
    SchemaId,
    SubjectId,
    VersionIncompatibility,
    subject_name,
    version_name,
)

# An error travels in trailers of 8 KiB at most; the kit drops details that are too long, so they are cut here.
_VIOLATIONS_BYTES = 2200
_DESCRIPTION_CHARACTERS = 280


def schema_not_found(identity: SchemaId | Guid) -> NotFound:
    kind = "id" if isinstance(identity, int) else "GUID"
    return NotFound(f"schema with {kind} {identity}", resource_type="schema", reason="SCHEMA_NOT_FOUND")


def schema_not_in_subject(subject: SubjectId, guid: Guid) -> NotFound:
    return NotFound(
        f"schema {guid} under {subject_name(subject)}", resource_type="schema", reason="SCHEMA_NOT_FOUND"
    )


def subject_not_found(subject: SubjectId) -> NotFound:
    return NotFound(subject_name(subject), resource_type="sluice.dev/Subject", reason="SUBJECT_NOT_FOUND")


def version_not_found(subject: SubjectId, version: str) -> NotFound:
    name = f"{subject_name(subject)}/versions/{version}"
    return NotFound(name, resource_type="sluice.dev/SchemaVersion", reason="VERSION_NOT_FOUND")


def invalid_schema(error: InvalidDefinition) -> InvalidArgument:
    return InvalidArgument(
        [FieldViolation("schema.definition", problem, "INVALID_SCHEMA") for problem in error.problems],
        reason="INVALID_SCHEMA",
    )


def incompatible_schema(
    subject: SubjectId, level: Compatibility, found: Sequence[VersionIncompatibility]
) -> FailedPrecondition:
    """One violation per incompatibility, as many as an error can carry."""
    violations: list[PreconditionViolation] = []
    room_bytes = _VIOLATIONS_BYTES
    for item in found:
        direction = direction_in_words(item.direction, item.version)
        description = f"{item.reason.path}: {item.reason.message} ({direction})"
        if len(description) > _DESCRIPTION_CHARACTERS:
            description = description[: _DESCRIPTION_CHARACTERS - 3] + "..."
        violation = PreconditionViolation(
            item.reason.kind.value, version_name(subject, item.version), description
        )
        room_bytes -= sum(
            len(text.encode()) + 4 for text in (violation.type, violation.subject, violation.description)
        )
        if room_bytes < 0 and violations:
            break
        violations.append(violation)
    left_out = len(found) - len(violations)
    if left_out:
        text = f"{left_out} more are left out: CheckCompatibility lists all"
        violations.append(PreconditionViolation("LEFT_OUT", subject_name(subject), text))
    versions = ", ".join(str(version) for version in sorted({item.version for item in found})[-10:])
    first = found[0].reason
    return FailedPrecondition(
        violations,
        message=(
            f"{subject_name(subject)}: not {level.value} compatible with version {versions}: "
            f"{len(found)} incompatibilities, the first at {first.path}: {first.message}"
        ),
        reason="INCOMPATIBLE_SCHEMA",
        metadata={
            "subject": subject_name(subject),
            "compatibility": level.value,
            "incompatibilities": str(len(found)),
        },
    )


def guid_collision(subject: SubjectId, guid: Guid) -> FailedPrecondition:
    """MD5 collisions can be made on purpose: the first text keeps the GUID."""
    text = f"another schema has the GUID {guid}: change the text, for example a doc"
    violation = PreconditionViolation("GUID_COLLISION", subject_name(subject), text)
    return FailedPrecondition([violation], reason="GUID_COLLISION")


def busy(subject: SubjectId) -> Aborted:
    return Aborted(
        f"{subject_name(subject)}: too many registrations at the same time: try again",
        metadata={"resource": subject_name(subject)},
    )
