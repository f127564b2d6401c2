"""What happens around every call: trace, access log and metrics; error mapping; deadline; validation.

All in one interceptor, because the parts depend on each other's order and a call passes through them once.
"""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import structlog

from libs.service_kit.error_mapping import STATUS_DETAILS_KEY, to_service_error, to_status
from libs.service_kit.errors import (
    DeadlineExceeded,
    InvalidArgument,
    ServiceError,
    Unavailable,
    Unimplemented,
)
from libs.service_kit.metrics import CALLS, OPEN_STREAMS, SECONDS
from libs.service_kit.tracing import traced
from libs.service_kit.validation import Validator

_log = structlog.get_logger("sluice.access")
_Context = Any  # grpc.aio.ServicerContext: generic in both message types, which differ by method
_Handler = Any  # grpc.RpcMethodHandler, which is generic in its stub only
_RESOURCE_FIELDS = ("name", "parent", "tenant")
_QUIET = ("/grpc.health.", "/grpc.reflection.")


class StreamRegistry:
    """The server streams open now, so that a shutdown can end them at once instead of waiting for the grace
    to pass.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self.stopping = False

    def add(self) -> asyncio.Task[Any]:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a stream is served outside of a task")
        self._tasks.add(task)
        return task

    def remove(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)

    def stop(self) -> None:
        """Every open stream ends with UNAVAILABLE, reason SERVER_SHUTTING_DOWN: its client watches again
        elsewhere.
        """
        self.stopping = True
        for task in list(self._tasks):
            task.cancel()


def _resource(request: Any) -> str:
    """The resource name a request is about, for the log: `name`, `parent`, or the name of the resource it
    carries.
    """
    fields = request.DESCRIPTOR.fields_by_name
    for name in _RESOURCE_FIELDS:
        if name in fields and isinstance(getattr(request, name), str) and getattr(request, name):
            return str(getattr(request, name))[:300]
    for field in request.DESCRIPTOR.fields:
        inner = field.message_type
        if (
            inner is not None
            and not field.is_repeated
            and "name" in inner.fields_by_name
            and request.HasField(field.name)
        ):
            return str(getattr(request, field.name).name)[:300]
    return ""


def _code_name(context: _Context) -> str:
    code = context.code()
    if isinstance(code, grpc.StatusCode):
        return code.name
    return next(
        (known.name for known in grpc.StatusCode if known.value[0] == code), "OK" if not code else "UNKNOWN"
    )


class ServiceInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in its stub only
    """Wraps unary-unary and unary-stream handlers; others (reflection) pass as they are."""

    def __init__(self, validator: Validator, streams: StreamRegistry, request_timeout_seconds: float) -> None:
        self._validator = validator
        self._streams = streams
        self._timeout_seconds = request_timeout_seconds

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        handler: Any = await continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        method = handler_call_details.method
        traceparent = next(
            (
                str(value)
                for key, value in handler_call_details.invocation_metadata or ()
                if key == "traceparent"
            ),
            "",
        )
        wrapped: Any
        if handler.response_streaming:
            wrapped = grpc.unary_stream_rpc_method_handler(
                self._streaming(method, handler.unary_stream, traceparent),
                handler.request_deserializer,
                handler.response_serializer,
            )
        else:
            wrapped = grpc.unary_unary_rpc_method_handler(
                self._unary(method, handler.unary_unary, traceparent),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return wrapped

    def _unary(self, method: str, behavior: Callable[..., Any], traceparent: str) -> Callable[..., Any]:
        async def call(request: Any, context: _Context) -> Any:
            started = time.perf_counter()
            code = "CANCELLED"
            reason = ""
            with traced(traceparent):
                try:
                    response = await self._answer(behavior, request, context)
                    code = _code_name(context)
                    return response
                except grpc.aio.AbortError:
                    code = _code_name(context)
                    raise
                except Exception as error:  # noqa: BLE001  # the last place: every error becomes a status
                    mapped = _mapped(error, context)
                    code, reason = mapped.code.name, mapped.reason
                    await _abort(context, mapped)
                finally:
                    seconds = time.perf_counter() - started
                    SECONDS.labels(method).observe(seconds)
                    CALLS.labels(method, code).inc()
                    _write_access(method, request, code, reason, seconds)

        return call

    async def _answer(self, behavior: Callable[..., Any], request: Any, context: _Context) -> Any:
        self._check(request)
        limit = self._timeout_seconds if context.time_remaining() is None else None
        deadline = asyncio.timeout(limit)
        try:
            async with deadline:
                result = behavior(request, context)
                return await result if inspect.isawaitable(result) else result
        except TimeoutError:
            if deadline.expired():
                raise DeadlineExceeded(
                    f"not done within {limit} s, the limit for calls without a deadline: set one"
                ) from None
            raise

    def _streaming(self, method: str, behavior: Callable[..., Any], traceparent: str) -> Callable[..., Any]:
        async def call(request: Any, context: _Context) -> None:
            started = time.perf_counter()
            code = "CANCELLED"
            reason = ""
            task = self._streams.add()
            OPEN_STREAMS.labels(method).inc()
            with traced(traceparent):
                try:
                    if self._streams.stopping:
                        raise _shutting_down()
                    self._check(request)
                    await _pump(behavior(request, context), context)
                    code = _code_name(context)
                except asyncio.CancelledError:
                    if not self._streams.stopping or context.cancelled():
                        raise
                    task.uncancel()
                    mapped = _shutting_down()
                    code, reason = mapped.code.name, mapped.reason
                    await _abort(context, mapped)
                except grpc.aio.AbortError:
                    code = _code_name(context)
                    raise
                except Exception as error:  # noqa: BLE001  # the last place: every error becomes a status
                    mapped = _mapped(error, context)
                    code, reason = mapped.code.name, mapped.reason
                    await _abort(context, mapped)
                finally:
                    self._streams.remove(task)
                    OPEN_STREAMS.labels(method).dec()
                    CALLS.labels(method, code).inc()
                    _write_access(method, request, code, reason, time.perf_counter() - started)

        return call

    def _check(self, request: Any) -> None:
        violations = self._validator.violations(request)
        if violations:
            raise InvalidArgument(violations)


async def _pump(answer: Any, context: _Context) -> None:
    """Send what an async generator yields, or await a handler that calls `context.write` itself."""
    if not isinstance(answer, AsyncIterator):
        await answer
        return
    try:
        async for response in answer:
            await context.write(response)
    finally:
        close = getattr(answer, "aclose", None)
        if close is not None:
            await close()


def _shutting_down() -> ServiceError:
    return Unavailable("this server (shutting down)", reason="SERVER_SHUTTING_DOWN")


def _mapped(error: Exception, context: _Context) -> ServiceError:
    if isinstance(error, NotImplementedError) and _code_name(context) == "UNIMPLEMENTED":
        return Unimplemented("this method is not implemented by this version of the service")
    return to_service_error(error)


async def _abort(context: _Context, error: ServiceError) -> None:
    status = to_status(error)
    trailer = ((STATUS_DETAILS_KEY, status.SerializeToString()),)
    await context.abort(error.code, status.message, trailer)


def _write_access(method: str, request: Any, code: str, reason: str, seconds: float) -> None:
    fields: dict[str, Any] = {"method": method, "code": code, "duration_ms": round(seconds * 1000, 3)}
    if reason:
        fields["reason"] = reason
    resource = _resource(request)
    if resource:
        fields["resource"] = resource
    if method.startswith(_QUIET):
        _log.debug("call", **fields)
    else:
        _log.info("call", **fields)
