"""The errors a service raises; `error_mapping` is the one place that turns them into a google.rpc.Status.

Every error has a `reason` (UPPER_SNAKE, stable: clients switch on it), a message for people that names the
field or resource, the value and what is allowed, and `metadata` for programs. Raise one of these from
servicers, loops' commands and pure decisions alike; nothing else in a service touches gRPC status codes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2


@dataclass(frozen=True)
class FieldViolation:
    """A wrong field of a request: proto path (`subscription.payload.sql`, `labels["x"]`), what is wrong and
    allowed.
    """

    field: str
    description: str
    reason: str = "INVALID_VALUE"


@dataclass(frozen=True)
class PreconditionViolation:
    """Why the present state forbids the call: kind of condition (UPPER_SNAKE), resource name, what to do
    about it.
    """

    type: str
    subject: str
    description: str


class ServiceError(Exception):
    """Base of all errors that reach a client as they are. Subclasses fix the code and the default reason."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN
    default_reason: ClassVar[str] = "UNKNOWN"

    def __init__(self, message: str, *, reason: str = "", metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.metadata = dict(metadata or {})

    def details(self) -> list[Message]:
        """The messages of google/rpc/error_details.proto that go with ErrorInfo."""
        return []


class NotFound(ServiceError):
    code = grpc.StatusCode.NOT_FOUND
    default_reason = "RESOURCE_NOT_FOUND"

    def __init__(self, resource: str, *, resource_type: str = "", reason: str = "") -> None:
        super().__init__(f"{resource} does not exist", reason=reason, metadata={"resource": resource})
        self.resource = resource
        self.resource_type = resource_type

    def details(self) -> list[Message]:
        info = error_details_pb2.ResourceInfo(resource_name=self.resource, resource_type=self.resource_type)
        return [info]


class AlreadyExists(ServiceError):
    code = grpc.StatusCode.ALREADY_EXISTS
    default_reason = "RESOURCE_ALREADY_EXISTS"

    def __init__(self, resource: str, *, resource_type: str = "", reason: str = "") -> None:
        super().__init__(f"{resource} already exists", reason=reason, metadata={"resource": resource})
        self.resource = resource
        self.resource_type = resource_type

    def details(self) -> list[Message]:
        info = error_details_pb2.ResourceInfo(resource_name=self.resource, resource_type=self.resource_type)
        return [info]


class Aborted(ServiceError):
    """Another hand changed the resource meanwhile: read it again and repeat the change."""

    code = grpc.StatusCode.ABORTED
    default_reason = "CONCURRENT_CHANGE"


class EtagMismatch(Aborted):
    default_reason = "ETAG_MISMATCH"

    def __init__(self, resource: str, given: str, current: str) -> None:
        super().__init__(
            f"{resource}: etag {given[:100]!r} is not the current one: read it again and repeat the change",
            metadata={"resource": resource, "current_etag": current},
        )


class FailedPrecondition(ServiceError):
    code = grpc.StatusCode.FAILED_PRECONDITION
    default_reason = "PRECONDITION_FAILED"

    def __init__(
        self,
        violations: Sequence[PreconditionViolation],
        *,
        message: str = "",
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        text = message or "; ".join(
            f"{violation.subject}: {violation.description}" for violation in violations
        )
        super().__init__(text, reason=reason, metadata=metadata)
        self.violations = tuple(violations)

    def details(self) -> list[Message]:
        failure = error_details_pb2.PreconditionFailure()
        for violation in self.violations:
            failure.violations.add(
                type=violation.type, subject=violation.subject, description=violation.description
            )
        return [failure]


class InvalidArgument(ServiceError):
    code = grpc.StatusCode.INVALID_ARGUMENT
    default_reason = "INVALID_REQUEST"

    def __init__(
        self,
        violations: Sequence[FieldViolation],
        *,
        message: str = "",
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        text = message or "; ".join(
            f"{violation.field}: {violation.description}" for violation in violations[:3]
        )
        super().__init__(text, reason=reason, metadata=metadata)
        self.violations = tuple(violations)

    def details(self) -> list[Message]:
        request = error_details_pb2.BadRequest()
        for violation in self.violations:
            request.field_violations.add(
                field=violation.field, description=violation.description, reason=violation.reason
            )
        return [request]


def invalid_field(field: str, description: str, reason: str = "INVALID_VALUE") -> InvalidArgument:
    """The usual case of one wrong field."""
    return InvalidArgument([FieldViolation(field, description, reason)])


class _Retriable(ServiceError):
    def __init__(
        self, message: str, retry_after: timedelta, reason: str, metadata: Mapping[str, str]
    ) -> None:
        super().__init__(message, reason=reason, metadata=metadata)
        self.retry_after = retry_after

    def details(self) -> list[Message]:
        delay = Duration()
        delay.FromTimedelta(self.retry_after)
        return [error_details_pb2.RetryInfo(retry_delay=delay)]


class Unavailable(_Retriable):
    """A dependency is away. `what` names it in words a client may see, for example `schema registry`."""

    code = grpc.StatusCode.UNAVAILABLE
    default_reason = "DEPENDENCY_UNAVAILABLE"

    def __init__(self, what: str, retry_after: timedelta = timedelta(seconds=1), *, reason: str = "") -> None:
        super().__init__(f"{what} is unavailable: try again", retry_after, reason, {"dependency": what})


class ResourceExhausted(_Retriable):
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    default_reason = "LIMIT_REACHED"

    def __init__(
        self,
        message: str,
        retry_after: timedelta = timedelta(seconds=10),
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, retry_after, reason, metadata or {})


class DeadlineExceeded(ServiceError):
    code = grpc.StatusCode.DEADLINE_EXCEEDED
    default_reason = "DEADLINE_EXCEEDED"


class OutOfRange(ServiceError):
    """What was asked for is past what is kept, for example a watch from a trimmed revision: list again."""

    code = grpc.StatusCode.OUT_OF_RANGE
    default_reason = "REVISION_COMPACTED"


class Unimplemented(ServiceError):
    code = grpc.StatusCode.UNIMPLEMENTED
    default_reason = "METHOD_NOT_IMPLEMENTED"


class Internal(ServiceError):
    """An error of ours: the client sees the id under which the log has the rest, and nothing else."""

    code = grpc.StatusCode.INTERNAL
    default_reason = "INTERNAL"

    def __init__(self, error_id: str) -> None:
        super().__init__(f"internal error {error_id}: see the service's log", metadata={"error_id": error_id})
