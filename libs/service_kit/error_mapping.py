"""The one place where an exception becomes a google.rpc.Status (AIP-193)."""

import secrets
from collections.abc import Callable
from typing import TypeVar, cast

import grpc
import structlog
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from libs.service_kit.errors import Internal, ServiceError, Unavailable

DOMAIN = "sluice"
STATUS_DETAILS_KEY = "grpc-status-details-bin"
# Trailers carry the status twice (message and base64 details); clients refuse more than 8 KiB of metadata
# by default.
MAX_STATUS_BYTES = 4096
MAX_MESSAGE_CHARACTERS = 600

_log = structlog.get_logger(__name__)
_Error = TypeVar("_Error", bound=Exception)
_mappings: dict[type[Exception], Callable[[Exception], ServiceError]] = {}


def register_error_mapping(kind: type[_Error], to_service_error: Callable[[_Error], ServiceError]) -> None:
    """Errors of `kind` (and of its subclasses without a mapping of their own) reach clients as
    `to_service_error` says.
    """
    _mappings[kind] = cast("Callable[[Exception], ServiceError]", to_service_error)


def _of_another_service(error: grpc.aio.AioRpcError) -> ServiceError:
    """A failed call of ours is the client's business only if it may go away by itself."""
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return Unavailable("a service this call depends on")
    return _unexpected(error)


def _unexpected(error: Exception) -> ServiceError:
    error_id = secrets.token_hex(8)
    _log.error("internal error", error_id=error_id, exc_info=error)
    return Internal(error_id)


def to_service_error(error: Exception) -> ServiceError:
    """Unknown exceptions become `Internal` with an id; the log has the stack trace under that id."""
    if isinstance(error, ServiceError):
        return error
    for kind in type(error).__mro__:
        mapping = _mappings.get(kind)
        if mapping is not None:
            return mapping(error)
    return _unexpected(error)


def _pack(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def to_status(error: ServiceError) -> status_pb2.Status:
    """ErrorInfo first, then the error's own details, cut to what fits in trailers."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    for key, value in error.metadata.items():
        info.metadata[key] = _shortened(value, 300)
    status = status_pb2.Status(
        code=error.code.value[0],
        message=_shortened(error.message, MAX_MESSAGE_CHARACTERS),
        details=[_pack(info)],
    )
    for detail in error.details():
        room = MAX_STATUS_BYTES - status.ByteSize() - 128
        if isinstance(detail, error_details_pb2.BadRequest):
            detail = _cut(detail, room)
        if detail.ByteSize() <= room:
            status.details.append(_pack(detail))
    return status


def _cut(request: error_details_pb2.BadRequest, room: int) -> error_details_pb2.BadRequest:
    """As many violations as fit; the last one then says how many are left out."""
    if request.ByteSize() <= room:
        return request
    kept = error_details_pb2.BadRequest()
    for violation in request.field_violations:
        shortened = error_details_pb2.BadRequest.FieldViolation(
            field=_shortened(violation.field, 300),
            description=_shortened(violation.description, 300),
            reason=violation.reason,
        )
        if kept.ByteSize() + shortened.ByteSize() > room - 100:
            break
        kept.field_violations.append(shortened)
    left_out = len(request.field_violations) - len(kept.field_violations)
    if left_out:
        kept.field_violations.add(description=f"{left_out} more violations are left out", reason="LEFT_OUT")
    return kept


register_error_mapping(grpc.aio.AioRpcError, _of_another_service)
__all__ = ["DOMAIN", "STATUS_DETAILS_KEY", "register_error_mapping", "to_service_error", "to_status"]
