"""A service's reader of other services' events."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import Sequence

from libs.bus.model import ConsumerSettings
from libs.bus.ports import Bus
from libs.bus.source_consumer import Handler, SourceConsumer
from libs.store.model import utc_now
from libs.store.ports import Clock


class Consumer:
    """Calls `handler` with each event of `sources`, at least once for the consumer group `group`.

    Order: events of one subject are handled one after another, in the order of their commits, within a
    process. With several processes in the group, neighbouring events of a subject can go to two of them, and
    a claimed event comes late: handlers ignore a revision older than the one they have. Different subjects,
    and different sources, run side by side.

    Failure: PermanentError and undecodable bytes go to the dead letters at once, TemporaryError is retried
    without end, other errors until `max_deliveries`. Only the events of the same subject wait meanwhile.

    An outage of Redis pauses the work; afterwards it goes on where it was. The group is created at the start
    of the stream, so nothing published before the first run is missed, as long as it has not been trimmed.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        group: str,
        sources: Sequence[str],
        handler: Handler,
        settings: ConsumerSettings | None = None,
        name: str | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._bus = bus
        self._group = group
        self._sources = tuple(sources)
        self._handler = handler
        self._settings = settings or ConsumerSettings()
        self._name = name or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._clock = clock
        self._running: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until `stop()` or cancellation. Both let handlers at work finish within the grace; what is left
        stays pending and is claimed by the others at once, or after a restart.
        """
        self._running = asyncio.create_task(self._run(), name=f"bus consumer {self._group}")
        try:
            await asyncio.shield(self._running)
        except asyncio.CancelledError:
            cancelled_from_outside = not self._running.done()
            self._running.cancel()
            await asyncio.wait([self._running])
            if cancelled_from_outside:
                raise

    async def stop(self) -> None:
        """End `run()` and wait for its end."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as sources:
            for source in self._sources:
                consumer = SourceConsumer(
                    self._bus,
                    source=source,
                    group=self._group,
                    consumer=self._name,
                    handler=self._handler,
                    settings=self._settings,
                    clock=self._clock,
                )
                sources.create_task(consumer.run(), name=f"bus source {source}")
