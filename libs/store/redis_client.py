"""The one way to Redis: timeouts, bounded retries, scripts, and its outages as StoreUnavailable.

Redis 6.2 features only. Durable as promised with `appendfsync always`: Redis answers after the write is on
disk.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import tenacity
from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from libs.store.errors import StoreUnavailable

SOCKET_TIMEOUT_SECONDS = 3.0
"""Longer than any blocking read asks the server to wait."""

MAX_CONNECTIONS = 64
"""Of a process; further commands wait their turn.

Each blocking read (watches: one, bus: one a source) holds one.
"""

T = TypeVar("T")

Arguments = list[str | bytes | int]
"""Of a script."""

_OUTAGES = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
    OSError,
)
_OUTAGE_REPLIES = ("MISCONF", "NOREPLICAS", "OOM", "LOADING")


def connect(url: str) -> Redis:
    """A client for stores and buses; the caller ends it with `aclose()`. Connects on first use.

    Retries are ours (below), because only the caller knows whether a command may be repeated.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=SOCKET_TIMEOUT_SECONDS,
        protocol=2,
        socket_timeout=SOCKET_TIMEOUT_SECONDS,
        socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)


def is_outage(error: BaseException) -> bool:
    """Whether repeating the command later can help."""
    if isinstance(error, _OUTAGES):
        return True
    return isinstance(error, exceptions.ResponseError) and str(error).startswith(_OUTAGE_REPLIES)


async def once(call: Callable[[], Awaitable[T]]) -> T:
    """`call`, whose outages become StoreUnavailable."""
    try:
        return await call()
    except (exceptions.RedisError, OSError) as error:
        if is_outage(error):
            raise StoreUnavailable(f"Redis: {error}") from error
        raise


async def repeated(call: Callable[[], Awaitable[T]]) -> T:
    """`call`, which may safely happen twice, up to four times within a few seconds.

    Raises StoreUnavailable.
    """
    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(StoreUnavailable),
        stop=tenacity.stop_after_attempt(4) | tenacity.stop_after_delay(3.0),
        wait=tenacity.wait_exponential_jitter(multiplier=0.05, max=0.5, jitter=0.05),
        reraise=True,
    )
    return await retrying(once, call)


class Script:
    """A Lua script that ships beside the module `package`."""

    def __init__(self, redis: Redis, package: str, name: str) -> None:
        text = importlib.resources.files(package).joinpath("scripts", name).read_text("utf-8")
        self._script = redis.register_script(text)

    async def __call__(self, keys: Sequence[str], args: Arguments) -> Any:
        # The reply's shape is documented at the head of each script, and parsed right where it is called.
        return await self._script(keys=keys, args=args)
