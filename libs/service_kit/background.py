"""Loops and bus consumers that run next to the server: restarted with back-off when they crash, and told to
health.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from libs.service_kit.metrics import TASK_FAILURES

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class BackgroundTask:
    """`run` is called again whenever it raises; when it returns, the task is done and stays so.

    It is cancelled at shutdown and must let CancelledError through. After `failures_until_unhealthy`
    crashes with less than `healthy_after_seconds` between them the service's health is NOT_SERVING, until a
    run lasts that long or returns.
    """

    name: str
    run: Callable[[], Awaitable[None]]
    failures_until_unhealthy: int = 3
    healthy_after_seconds: float = 10.0
    first_delay_seconds: float = 0.5
    longest_delay_seconds: float = 30.0


def delay_after(task: BackgroundTask, failures: int) -> float:
    """Seconds until the next run after so many crashes in a row (≥ 1): doubles each time up to the longest
    delay.
    """
    exponent = min(failures - 1, 16)
    return float(min(task.longest_delay_seconds, task.first_delay_seconds * 2**exponent))


async def supervise(task: BackgroundTask, report: Callable[[str, bool], Awaitable[None]]) -> None:
    """Run the task for ever; `report(name, healthy)` is called when its health changes."""
    failures = 0
    healthy = True

    async def become(state: bool) -> None:
        nonlocal healthy
        if healthy != state:
            healthy = state
            await report(task.name, state)

    while True:
        running = asyncio.ensure_future(task.run())
        try:
            done, _ = await asyncio.wait({running}, timeout=task.healthy_after_seconds)
            if not done:
                failures = 0
                await become(True)
            await running
            await become(True)
            _log.info("background task finished", task=task.name)
            return
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is None or current.cancelling() or not running.cancelled():
                running.cancel()
                await asyncio.wait({running})
                raise
            error: BaseException = asyncio.CancelledError("cancelled from within")
        except Exception as crash:  # noqa: BLE001  # whatever a loop raises, it is restarted
            error = crash
        failures += 1
        TASK_FAILURES.labels(task.name).inc()
        delay = delay_after(task, failures) * random.uniform(0.8, 1.2)
        _log.error(
            "background task crashed",
            task=task.name,
            failures=failures,
            retry_in_seconds=delay,
            exc_info=error,
        )
        if failures >= task.failures_until_unhealthy:
            await become(False)
        await asyncio.sleep(delay)
