"""Progress notifications for `Watch` methods: a client learns that silence means that nothing happened."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

_Response = TypeVar("_Response")


async def with_progress(
    changes: AsyncIterator[_Response], progress: Callable[[], _Response], interval_seconds: float
) -> AsyncIterator[_Response]:
    """All of `changes`, and `progress()` whenever none came for `interval_seconds`. Closes `changes` at the
    end.
    """
    pending: asyncio.Task[_Response] | None = None
    try:
        while True:
            if pending is None:
                pending = asyncio.ensure_future(_next(changes))
            done, _ = await asyncio.wait({pending}, timeout=interval_seconds)
            if not done:
                yield progress()
                continue
            finished, pending = pending, None
            try:
                change = finished.result()
            except StopAsyncIteration:
                return
            yield change
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.wait({pending})
        close = getattr(changes, "aclose", None)
        if close is not None:
            await close()


async def _next(changes: AsyncIterator[_Response]) -> _Response:
    return await anext(changes)
