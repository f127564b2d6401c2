"""Real servers for tests: `kafka`, `redis`, `stack`; one set a session, on free ports, in a temporary folder.

A server starts when the first test asks for it and all stop at the end of the session. A test that breaks
servers on purpose, or needs other settings, makes its own with `local_stack(...)`.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from deploy.local import LocalStack, Ports, Settings
from deploy.local.parts import INFRASTRUCTURE
from deploy.local.ports import reserved_offset

# A transaction whose owner died is aborted at its timeout, seen by a check that is every 10 s by default.
TEST_KAFKA_PROPERTIES: Mapping[str, str] = {
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    "offsets.topic.num.partitions": "2",
    "transaction.state.log.num.partitions": "2",
}


@contextlib.contextmanager
def local_stack(
    folder: Path,
    parts: Sequence[str] = INFRASTRUCTURE,
    *,
    kafka_properties: Mapping[str, str] | None = None,
    flink_configuration: Mapping[str, str] | None = None,
    service_environment: Mapping[str, str] | None = None,
    worker_modules: tuple[str, ...] = (),
) -> Iterator[LocalStack]:
    """A stack of its own with `parts` running (none: `parts=()`), gone with all its processes afterwards."""
    with reserved_offset() as offset:
        settings = Settings(
            state_dir=folder,
            ports=Ports(offset),
            kafka_properties={**TEST_KAFKA_PROPERTIES, **(kafka_properties or {})},
            flink_configuration=flink_configuration or {},
            service_environment=service_environment or {},
            worker_modules=worker_modules,
        )
        with LocalStack(settings, parts) as stack:
            yield stack


@pytest.fixture(scope="session")
def session_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The stack of this session, with nothing started yet."""
    with local_stack(tmp_path_factory.mktemp("stack"), parts=()) as stack:
        yield stack


@pytest.fixture(scope="session")
def kafka(session_stack: LocalStack) -> LocalStack:
    """A running Kafka at `kafka.kafka_bootstrap`."""
    session_stack.up(("kafka",))
    return session_stack


@pytest.fixture(scope="session")
def redis(session_stack: LocalStack) -> LocalStack:
    """A running Redis at `redis.redis_url`."""
    session_stack.up(("redis",))
    return session_stack


@pytest.fixture(scope="session")
def stack(session_stack: LocalStack) -> LocalStack:
    """Kafka, Redis, Flink and the SDK worker pool, all running; no services."""
    session_stack.up(INFRASTRUCTURE)
    return session_stack
