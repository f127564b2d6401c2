"""One gRPC server with everything around it, from start to graceful end."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from libs.service_kit.background import BackgroundTask, supervise
from libs.service_kit.interceptors import ServiceInterceptor, StreamRegistry
from libs.service_kit.metrics import metrics_endpoint
from libs.service_kit.settings import Settings
from libs.service_kit.startup import StartupError
from libs.service_kit.store_errors import register_store_errors
from libs.service_kit.validation import Validator

_log = structlog.get_logger(__name__)
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
# How long background tasks may take to notice their cancellation before the process goes on without them.
TASKS_GRACE_SECONDS = 2.0


@dataclass(frozen=True)
class Servicer:
    """A servicer and the generated `add_…Servicer_to_server` that registers it."""

    add_to_server: Callable[[Any, Any], None]
    implementation: object


class Stopping:
    """The wish that the process ends: set by the first SIGTERM or SIGINT, or by a test."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.served = False

    def request(self) -> None:
        self._event.set()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()


class _Names:
    """Stands in for a server to learn which service a registration function registers."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        self.found.extend(handler.service_name() for handler in handlers)

    def add_registered_method_handlers(self, _service: str, _handlers: Any) -> None:
        return None


def service_of(servicer: Servicer) -> ServiceDescriptor:
    """The descriptor of the service that the servicer implements."""
    names = _Names()
    servicer.add_to_server(servicer.implementation, names)
    return descriptor_pool.Default().FindServiceByName(names.found[0])


class _Health:
    """grpc.health.v1 for the server as a whole (the empty name) and each service; unhealthy while any task
    is.
    """

    def __init__(self, services: Sequence[str]) -> None:
        self.servicer = HealthServicer()
        self._names = ["", *services]
        self._unhealthy: set[str] = set()
        self._started = False

    async def set_started(self) -> None:
        self._started = True
        await self._publish()

    async def report(self, task: str, healthy: bool) -> None:
        (self._unhealthy.discard if healthy else self._unhealthy.add)(task)
        _log.warning("health changed", task=task, healthy=healthy)
        await self._publish()

    async def _publish(self) -> None:
        status = _SERVING if self._started and not self._unhealthy else _NOT_SERVING
        for name in self._names:
            await self.servicer.set(name, status)

    async def set_not_started(self) -> None:
        await self._publish()


async def serve(
    settings: Settings,
    stopping: Stopping,
    *,
    servicers: Sequence[Servicer],
    background: Sequence[BackgroundTask] = (),
    on_start: Callable[[str], Awaitable[None] | None] | None = None,
) -> None:
    """Serve until `stopping`, then end gracefully; returns when all is down: the caller closes its resources.

    At registration the rules of every request type are compiled: UnsupportedRule is raised for one that is
    not known. `on_start(address)` is called with the bound HOST:PORT once health says SERVING. Raises
    StartupError if an address is taken.

    At the end, in this order: health NOT_SERVING, no new calls, streams end with UNAVAILABLE, unary calls get
    `shutdown_grace_seconds` to finish, background tasks are cancelled.
    """
    register_store_errors()
    services = [service_of(servicer) for servicer in servicers]
    validator = Validator()
    for service in services:
        for method in service.methods:
            validator.require(method.input_type)
    streams = StreamRegistry()
    server = grpc.aio.server(
        interceptors=[ServiceInterceptor(validator, streams, settings.request_timeout_seconds)],
        options=_options(settings.max_message_bytes),
    )
    names = [service.full_name for service in services]
    state = _Health(names)
    await state.set_not_started()
    for servicer in servicers:
        servicer.add_to_server(servicer.implementation, server)
    health_pb2_grpc.add_HealthServicer_to_server(state.servicer, server)
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    address = _bind(server, settings.listen_address)
    with metrics_endpoint(settings.metrics_address):
        await server.start()
        tasks = [
            asyncio.create_task(supervise(task, state.report), name=f"background {task.name}")
            for task in background
        ]
        try:
            await state.set_started()
            stopping.served = True
            _log.info("serving", address=address, services=names)
            if on_start is not None:
                started = on_start(address)
                if started is not None:
                    await started
            await stopping.wait()
        finally:
            await _end(server, state, streams, tasks, settings.shutdown_grace_seconds)


async def _end(
    server: grpc.aio.Server,
    state: _Health,
    streams: StreamRegistry,
    tasks: Sequence[asyncio.Task[None]],
    grace_seconds: float,
) -> None:
    _log.info("stopping", grace_seconds=grace_seconds)
    await state.servicer.enter_graceful_shutdown()
    stopped = asyncio.create_task(server.stop(grace_seconds))
    await asyncio.sleep(0)
    streams.stop()
    await stopped
    for task in tasks:
        task.cancel()
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=TASKS_GRACE_SECONDS)
        if late:
            _log.warning(
                "background tasks ignore their cancellation", tasks=[task.get_name() for task in late]
            )
    _log.info("stopped")


def _options(max_message_bytes: int) -> list[tuple[str, int]]:
    return [
        # A second process on the same port is an error, not a silent split of the traffic.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 0),
    ]


def _bind(server: grpc.aio.Server, address: str) -> str:
    """The address as bound, with the port chosen if it was 0."""
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if not port:
        raise StartupError(
            f"SLUICE_LISTEN_ADDRESS={address}: cannot listen there: the port is in use or not ours"
        )
    return f"{address.rpartition(':')[0]}:{port}"
