"""One consumer's work on the events of one source: read, handle, retry, acknowledge or bury."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from google.protobuf.message import DecodeError

from libs.bus.cancellation import cancel_all
from libs.bus.errors import PermanentError, TemporaryError
from libs.bus.lanes import Lanes
from libs.bus.model import ConsumerSettings, Delivery
from libs.bus.ports import Bus
from libs.store.errors import StoreUnavailable
from libs.store.model import EntryId
from libs.store.ports import Clock
from sluice.event.v1 import event_pb2

Handler = Callable[[event_pb2.Event], Awaitable[None]]
READ_COUNT = 64

T = TypeVar("T")
_log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class Handled:
    """Acknowledge it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Hopeless:
    """To the dead letters."""

    error: str


@dataclasses.dataclass(frozen=True, slots=True)
class TryAgain:
    """Once more after the delay, as the `deliveries`-th delivery."""

    delay_seconds: float
    deliveries: int


Verdict = Handled | Hopeless | TryAgain


def verdict_on(error: Exception, deliveries: int, settings: ConsumerSettings) -> Verdict:
    """What follows from a handler's failure at the `deliveries`-th delivery of an event."""
    described = f"{type(error).__name__}: {error}"
    if isinstance(error, PermanentError):
        return Hopeless(described)
    if isinstance(error, TemporaryError):
        return TryAgain(error.delay_seconds, 1)
    if deliveries >= settings.max_deliveries:
        return Hopeless(described)
    return TryAgain(settings.delay_seconds_after(deliveries), deliveries + 1)


class SourceConsumer:
    """Runs until cancelled; then finishes what is in work, within the grace, and leaves the rest pending."""

    def __init__(
        self,
        bus: Bus,
        *,
        source: str,
        group: str,
        consumer: str,
        handler: Handler,
        settings: ConsumerSettings,
        clock: Clock,
    ) -> None:
        self._bus = bus
        self._source, self._group, self._consumer = source, group, consumer
        self._handler = handler
        self._settings = settings
        self._clock = clock
        self._stopping = asyncio.Event()
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._lanes = Lanes(self._process, settings.window)
        self._log = _log.bind(source=source, group=group, consumer=consumer)

    async def run(self) -> None:
        loops = [
            asyncio.create_task(loop(), name=f"bus {self._source} {loop.__name__}")
            for loop in (self._read, self._claim, self._give_signs_of_life)
        ]
        try:
            done, _ = await asyncio.wait([*loops, self._lanes.failed], return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()
        finally:
            await self._shut_down(loops)

    async def _shut_down(self, loops: list[asyncio.Task[None]]) -> None:
        self._stopping.set()
        await cancel_all(loops)
        unfinished = await self._lanes.close(self._settings.shutdown_grace_seconds)
        try:
            await self._bus.release(self._source, self._group, self._consumer, tuple(unfinished))
            await self._bus.retire(self._source, self._group, self._consumer)
        except StoreUnavailable as error:
            self._log.warning("bus_consumer_not_retired", error=str(error))

    async def _read(self) -> None:
        await self._insist(lambda: self._bus.ensure_group(self._source, self._group))
        await self._claim_all()
        while True:
            count = min(await self._lanes.room(), READ_COUNT)
            try:
                deliveries = await self._bus.read_new(
                    self._source, self._group, self._consumer, count, self._settings.block_seconds
                )
            except StoreUnavailable as error:
                self._log.warning("bus_away", error=str(error))
                await asyncio.sleep(self._settings.outage_delay_seconds)
                continue
            for delivery in deliveries:
                self._lanes.add(delivery)

    async def _claim(self) -> None:
        while True:
            await asyncio.sleep(self._settings.min_idle_seconds / 2)
            await self._claim_all()

    async def _claim_all(self) -> None:
        """Take over everything whose consumer has been silent, this one's own lost entries included."""
        start: EntryId | None = EntryId(0, 0)
        while start is not None:
            count = min(await self._lanes.room(), READ_COUNT)
            try:
                claim = await self._bus.claim_idle(
                    self._source, self._group, self._consumer, self._settings.min_idle_seconds, start, count
                )
            except StoreUnavailable as error:
                self._log.warning("bus_away", error=str(error))
                return
            for delivery in claim.deliveries:
                self._lanes.add(delivery)
            if claim.deliveries:
                self._log.info("bus_entries_claimed", entries=len(claim.deliveries))
            start = claim.next

    async def _give_signs_of_life(self) -> None:
        """Keep others from claiming what waits or is in work here, however slow the handler is."""
        while True:
            await asyncio.sleep(self._settings.min_idle_seconds / 3)
            held = tuple(self._lanes.held)
            try:
                ours = await self._bus.hold(self._source, self._group, self._consumer, held)
            except StoreUnavailable as error:
                self._log.warning("bus_away", error=str(error))
                continue
            self._lanes.forget(set(held) - ours)

    async def _process(self, delivery: Delivery) -> bool:
        """Handle a delivery until it is settled or somebody else's; False if the shutdown came first."""
        while True:
            async with self._slots:
                if self._stopping.is_set():
                    return False
                verdict = await self._attempt(delivery)
                if not isinstance(verdict, TryAgain):
                    await self._settle(delivery, verdict)
                    return True
            if await self._stopped_within(verdict.delay_seconds):
                return False
            delivery = dataclasses.replace(delivery, deliveries=verdict.deliveries)
            if not await self._still_ours(delivery):
                return True

    async def _attempt(self, delivery: Delivery) -> Verdict:
        if delivery.deliveries > self._settings.max_deliveries:
            return Hopeless("no attempt came to an end: the process died, or was stopped, each time")
        try:
            event = delivery.entry.event()
        except DecodeError as error:
            return Hopeless(f"DecodeError: {error}")
        try:
            async with asyncio.timeout(self._settings.handler_timeout_seconds):
                await self._handler(event)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is its verdict on the event
            verdict = verdict_on(error, delivery.deliveries, self._settings)
            self._log.warning(
                "bus_handler_failed",
                entry=str(delivery.entry.id),
                subject=event.subject,
                type=event.type,
                verdict=str(verdict),
                error=repr(error),
                exc_info=not isinstance(verdict, TryAgain),
            )
            return verdict
        return Handled()

    async def _settle(self, delivery: Delivery, verdict: Handled | Hopeless) -> None:
        if isinstance(verdict, Handled):
            entry_id = delivery.entry.id
            await self._insist(lambda: self._bus.acknowledge(self._source, self._group, entry_id))
        else:
            await self._bury(delivery, verdict.error)

    async def _bury(self, delivery: Delivery, error: str) -> None:
        self._log.error("bus_dead_letter", entry=str(delivery.entry.id), error=error)
        now = self._clock()
        await self._insist(lambda: self._bus.bury(self._source, self._group, delivery, error, now))

    async def _still_ours(self, delivery: Delivery) -> bool:
        entry_id = delivery.entry.id
        held = await self._insist(
            lambda: self._bus.hold(self._source, self._group, self._consumer, [entry_id], delivery.deliveries)
        )
        return entry_id in held

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await call()
            except StoreUnavailable as error:
                self._log.warning("bus_away", error=str(error))
                await asyncio.sleep(self._settings.outage_delay_seconds)
