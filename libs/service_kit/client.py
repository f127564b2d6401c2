"""How services call each other: a channel with keepalive, deadlines, retries and trace, and the details of
errors.
"""

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from libs.service_kit.errors import FieldViolation, PreconditionViolation
from libs.service_kit.tracing import current_traceparent

DEFAULT_TIMEOUT_SECONDS = 10.0


def _is_idempotent(method: MethodDescriptor) -> bool:
    """Reads (AIP-131, 132), methods that declare it, and mutations that carry a `request_id` (AIP-155)."""
    options: Any = method.GetOptions()
    return (
        method.name.startswith(("Get", "List"))
        or options.idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN
        or "request_id" in method.input_type.fields_by_name
    )


def service_config(services: Sequence[ServiceDescriptor]) -> str:
    """gRPC service config: up to 4 attempts on UNAVAILABLE for the idempotent unary methods of these
    services.
    """
    names = [
        {"service": service.full_name, "method": method.name}
        for service in services
        for method in service.methods
        if not method.client_streaming and not method.server_streaming and _is_idempotent(method)
    ]
    retry = {
        "maxAttempts": 4,
        "initialBackoff": "0.1s",
        "maxBackoff": "2s",
        "backoffMultiplier": 3,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return json.dumps({"methodConfig": [{"name": names, "retryPolicy": retry}]} if names else {})


def _with_traceparent(details: Any, timeout: float | None) -> Any:
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    traceparent = current_traceparent()
    if traceparent and "traceparent" not in metadata:
        metadata.add("traceparent", traceparent)
    return details._replace(metadata=metadata, timeout=timeout)


class _UnaryCalls(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]  # generic in its stub only
    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds

    async def intercept_unary_unary(
        self, continuation: Callable[[Any, Any], Any], client_call_details: Any, request: Any
    ) -> Any:
        if "request_id" in request.DESCRIPTOR.fields_by_name and not request.request_id:
            # AIP-155: without it a retry after a lost answer would do the work twice.
            filled = type(request)()
            filled.CopyFrom(request)
            filled.request_id = str(uuid.uuid4())
            request = filled
        timeout = client_call_details.timeout
        details = _with_traceparent(
            client_call_details, self._timeout_seconds if timeout is None else timeout
        )
        return await continuation(details, request)


class _StreamCalls(grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[type-arg]  # as above
    async def intercept_unary_stream(
        self, continuation: Callable[[Any, Any], Any], client_call_details: Any, request: Any
    ) -> Any:
        return await continuation(
            _with_traceparent(client_call_details, client_call_details.timeout), request
        )


def open_channel(
    address: str,
    services: Sequence[ServiceDescriptor],
    *,
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    max_message_bytes: int = 4 * 1024 * 1024,
) -> grpc.aio.Channel:
    """A channel to HOST:PORT for the stubs of `services`: an async context manager that connects when used.

    Unary calls without a timeout get `timeout_seconds`; server streams get none. An empty `request_id` is
    filled.
    """
    interceptors: Any = [_UnaryCalls(timeout_seconds), _StreamCalls()]
    return grpc.aio.insecure_channel(
        address,
        options=[
            ("grpc.service_config", service_config(services)),
            ("grpc.enable_retries", 1),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
            ("grpc.max_reconnect_backoff_ms", 5_000),
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", max_message_bytes),
        ],
        interceptors=interceptors,
    )


@dataclass(frozen=True)
class RemoteError:
    """What another service said went wrong. `reason` is empty if the error did not come from a service of
    ours.
    """

    code: grpc.StatusCode
    message: str
    reason: str = ""
    domain: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    field_violations: tuple[FieldViolation, ...] = ()
    precondition_violations: tuple[PreconditionViolation, ...] = ()
    retry_after: timedelta | None = None

    @property
    def may_succeed_later(self) -> bool:
        """The same call may succeed without anybody changing anything."""
        return self.code in (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.DEADLINE_EXCEEDED,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        )


def remote_error(error: grpc.aio.AioRpcError) -> RemoteError:
    """Read the google.rpc.Status details of a failed call back."""
    found: dict[str, Any] = {}
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # AioRpcError has the three methods it calls
    for detail in status.details if status is not None else ():
        info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        failure, retry = error_details_pb2.PreconditionFailure(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            found |= {
                "reason": info.reason,
                "domain": info.domain,
                "metadata": tuple(sorted(info.metadata.items())),
            }
        elif detail.Unpack(request):
            found["field_violations"] = tuple(
                FieldViolation(violation.field, violation.description, violation.reason)
                for violation in request.field_violations
            )
        elif detail.Unpack(failure):
            found["precondition_violations"] = tuple(
                PreconditionViolation(violation.type, violation.subject, violation.description)
                for violation in failure.violations
            )
        elif detail.Unpack(retry):
            found["retry_after"] = retry.retry_delay.ToTimedelta()
    return RemoteError(code=error.code(), message=error.details() or "", **found)
