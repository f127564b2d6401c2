"""A service to try the kit with: each thing's last name segment says what happens to a call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import ModuleType
from typing import Any

from libs.service_kit import errors
from libs.service_kit.background import BackgroundTask
from libs.service_kit.server import Servicer, Stopping, serve
from libs.service_kit.settings import Settings
from libs.service_kit.tracing import current_traceparent


def thing_servicer(kit_test: ModuleType, kit_test_grpc: ModuleType) -> Any:
    """A new servicer that records what it saw; `cancelled` is set when a slow call is cancelled."""

    class ThingServicer(kit_test_grpc.ThingServiceServicer):  # type: ignore[misc,name-defined]  # made at test time
        def __init__(self) -> None:
            self.traceparents: list[str] = []
            self.attempts = 0
            self.request_ids: list[str] = []
            self.entered = asyncio.Event()
            self.cancelled = asyncio.Event()
            self.release = asyncio.Event()

        async def GetThing(self, request: Any, context: Any) -> Any:
            self.traceparents.append(current_traceparent())
            self.attempts += 1
            match request.name.rsplit("/", 1)[-1]:
                case "missing":
                    raise errors.NotFound(request.name, resource_type="sluice.kittest.v1/Thing")
                case "broken":
                    raise ValueError("the password is hunter")
                case "flaky" if self.attempts < 3:
                    raise errors.Unavailable("thing store", timedelta(milliseconds=10))
                case "forbidden":
                    violation = errors.PreconditionViolation(
                        "STATE", request.name, "is paused: resume it first"
                    )
                    raise errors.FailedPrecondition([violation], reason="THING_PAUSED")
                case "huge":
                    raise errors.InvalidArgument(
                        [errors.FieldViolation(f"field{n}", "x" * 500, "BAD") for n in range(1000)]
                    )
                case "slow":
                    self.entered.set()
                    try:
                        await self.release.wait()
                    except asyncio.CancelledError:
                        self.cancelled.set()
                        raise
                case "timeout":
                    raise TimeoutError
            return kit_test.Thing(name=request.name)

        async def CreateThing(self, request: Any, context: Any) -> Any:
            self.request_ids.append(request.request_id)
            if len(self.request_ids) < 2:
                raise errors.Unavailable("thing store", timedelta(milliseconds=10))
            return request.thing

        async def WatchThings(self, request: Any, context: Any) -> AsyncIterator[Any]:
            if request.filter == "broken":
                yield kit_test.Thing(name="first")
                raise errors.OutOfRange("revision 3 is compacted: list again")
            try:
                yield kit_test.Thing(name=f"{context.time_remaining()}")
                await self.release.wait()
            finally:
                self.cancelled.set()

        async def FetchThings(self, request: Any, context: Any) -> None:
            await context.write(kit_test.Thing(name="written"))

    return ThingServicer()


@asynccontextmanager
async def serving(
    kit_test_grpc: ModuleType, servicer: Any, *, background: tuple[BackgroundTask, ...] = (), **settings: Any
) -> AsyncIterator[tuple[str, Stopping, asyncio.Task[None]]]:
    """The service on a free loopback port: its address, the wish to stop, and the task that serves."""
    stopping = Stopping()
    bound: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    values = {"listen_address": "127.0.0.1:0", "shutdown_grace_seconds": 0.5, **settings}
    registered = Servicer(kit_test_grpc.add_ThingServiceServicer_to_server, servicer)
    task = asyncio.create_task(
        serve(
            Settings(**values),
            stopping,
            servicers=[registered],
            background=background,
            on_start=bound.set_result,
        )
    )
    waiting: set[asyncio.Future[Any]] = {task, bound}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    try:
        yield await bound, stopping, task
    finally:
        stopping.request()
        await task
