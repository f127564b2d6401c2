"""Each contract runs twice: on the in-memory twin (unit) and on a real Redis (integration)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from libs.store import MemoryServer, connect
from tests.contract.backend import Backend, ManualClock
from tests.contract.redis_server import RedisServer


@pytest.fixture(scope="session")
def shared_redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of this test alone, which it may kill."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    if request.param == "memory":
        opened = Backend(ManualClock(), memory=MemoryServer())
    else:
        server: RedisServer = request.getfixturevalue("shared_redis_server")
        server.flush()
        opened = Backend(ManualClock(), redis=connect(server.url))
    yield opened
    for store in opened.stores:
        await store.close()
    if opened.redis is not None:
        await opened.redis.aclose()
