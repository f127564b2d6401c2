"""RPC metrics, and the HTTP endpoint that Prometheus scrapes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from libs.service_kit.startup import StartupError

# Labels: `method` is a full method name of a registered service, `code` a gRPC status code: both are closed
# sets.
CALLS = Counter("sluice_grpc_calls_total", "gRPC calls answered", ["method", "code"])
SECONDS = Histogram(
    "sluice_grpc_call_seconds",
    "Time to answer a unary gRPC call",
    ["method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
OPEN_STREAMS = Gauge("sluice_grpc_open_streams", "Server streams open now", ["method"])
TASK_FAILURES = Counter("sluice_background_failures_total", "Crashes of background tasks", ["task"])


@contextmanager
def metrics_endpoint(address: str) -> Iterator[None]:
    """Serve `/metrics` on HOST:PORT while inside; nothing if empty. StartupError if the port is taken."""
    stop = _start(address) if address else None
    try:
        yield
    finally:
        if stop is not None:
            stop()


def _start(address: str) -> Callable[[], None]:
    host, _, port = address.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host)
    except OSError as error:
        raise StartupError(
            f"SLUICE_METRICS_ADDRESS={address}: cannot listen there: {error.strerror}"
        ) from None

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join(timeout=1)

    return stop
