"""Makes every subscription so, one step at a time: decide from the record, act, record the outcome."""

import asyncio
import contextlib
import random
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from libs.store import Conflict, Stored, StoreUnavailable
from services.subscription import metrics
from services.subscription.decide import Step, is_deleting, next_step, waits_for_job
from services.subscription.model import CannotCompile
from services.subscription.ports import Refused, Unavailable
from services.subscription.records import Record, Subscriptions, copy_of
from services.subscription.steps import Steps
from sluice.subscription.v1 import subscription_pb2

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the loop looks and tries again."""

    resync_seconds: float = 30.0
    first_retry_seconds: float = 0.5
    longest_retry_seconds: float = 15.0
    refused_retry_seconds: float = 60.0
    """Of what only the tenant or an operator can help; any change of the subscription is looked at at once."""
    poison_retry_seconds: float = 300.0
    """The longest delay after an error that nobody expected."""
    workers: int = 8

    def delay_after(self, failures: int, longest: float) -> float:
        """Seconds until the next attempt after so many failures in a row (≥ 1): doubling up to `longest`."""
        return float(min(longest, self.first_retry_seconds * 2.0 ** min(failures - 1, 30)))


class Reconciler:
    """Looks at a subscription when it is woken, and at all of them every so often.

    What fails with one subscription is told in its record and tried again later; the others go on.
    """

    def __init__(self, subscriptions: Subscriptions, steps: Steps, pace: Pace) -> None:
        self._subscriptions = subscriptions
        self._steps = steps
        self._pace = pace
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._overdue: set[str] = set()
        self._failures: Counter[str] = Counter()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def wake(self, name: str) -> None:
        """Look at this subscription as soon as possible, also if it waits to be tried again."""
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        if name in self._busy:
            self._again.add(name)
        elif name not in self._queued:
            self._queued.add(name)
            self._queue.put_nowait(name)

    @property
    def waiting(self) -> frozenset[str]:
        """The subscriptions that wait to be tried again."""
        return frozenset(self._timers)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._resync())
            for _ in range(self._pace.workers):
                tasks.create_task(self._work())

    async def _resync(self) -> None:
        while True:
            delay = self._pace.resync_seconds
            try:
                known = await self._subscriptions.all()
                _measure(known, len(self._timers))
                for stored in known:
                    if stored.name in self._timers or stored.name in self._busy:
                        continue
                    if waits_for_job(stored.message):
                        self._overdue.add(stored.name)
                        self.wake(stored.name)
                    elif next_step(stored.message) is not Step.NOTHING:
                        self.wake(stored.name)
            except StoreUnavailable as error:
                delay = min(delay, 1.0)
                _log.warning("resync postponed", error=str(error), retry_seconds=delay)
            await asyncio.sleep(delay)

    async def _work(self) -> None:
        while True:
            name = await self._queue.get()
            self._queued.discard(name)
            self._busy.add(name)
            try:
                await self._attempt(name)
            finally:
                self._busy.discard(name)
            if name in self._again:
                self._again.discard(name)
                self.wake(name)

    async def _attempt(self, name: str) -> None:
        """Reconcile, and come again if that did not succeed."""
        try:
            await self.reconcile(name)
        except (Unavailable, StoreUnavailable) as error:
            delay = self._failed(name, self._pace.longest_retry_seconds)
            cause = error.cause if isinstance(error, Unavailable) else ""
            _log.warning(
                "subscription waits", subscription=name, reason=str(error), cause=cause, retry_seconds=delay
            )
        except (Refused, CannotCompile) as error:
            delay = self._pace.refused_retry_seconds
            self._failures.pop(name, None)
            _log.warning("subscription refused", subscription=name, reason=str(error), retry_seconds=delay)
        except Exception as error:  # noqa: BLE001  # one subscription must not take the others down
            error_id = secrets.token_hex(8)
            delay = self._failed(name, self._pace.poison_retry_seconds)
            _log.error(
                "subscription broken",
                subscription=name,
                error_id=error_id,
                retry_seconds=delay,
                exc_info=error,
            )
            await self._tell_broken(name, error_id)
        else:
            self._failures.pop(name, None)
            return
        delay *= random.uniform(0.8, 1.2)
        self._timers[name] = asyncio.get_running_loop().call_later(delay, self.wake, name)

    def _failed(self, name: str, longest: float) -> float:
        self._failures[name] += 1
        return self._pace.delay_after(self._failures[name], longest)

    async def reconcile(self, name: str) -> None:
        """Take steps until nothing is left to do.

        Raises what stopped it, after telling it in the record: Unavailable, StoreUnavailable, Refused,
        CannotCompile.
        """
        while True:
            stored = await self._subscriptions.get(name)
            if stored is None:
                self._overdue.discard(name)
                return
            step = next_step(stored.message)
            overdue = name in self._overdue and waits_for_job(stored.message)
            self._overdue.discard(name)
            if step is Step.NOTHING and not stored.message.problem and not overdue:
                return
            began, outcome = time.perf_counter(), "error"
            try:
                if step is not Step.NOTHING:
                    await self._steps.take(step, stored)
                elif overdue:
                    await self._steps.look(stored)
                else:
                    await self._tell(stored, "", is_final=False)
                outcome = "done"
            except Conflict:
                outcome = "conflict"
            except (Refused, CannotCompile) as refusal:
                outcome = "refused"
                # A tenant who deletes can do no more than that.
                await self._tell(stored, str(refusal), is_final=not is_deleting(stored.message))
                raise
            except Unavailable as error:
                outcome = "unavailable"
                await self._tell(stored, f"waiting for {error}", is_final=False)
                raise
            finally:
                metrics.STEPS.labels(step.name.lower(), outcome).inc()
            _log.info(
                "subscription step",
                subscription=name,
                step=step.name,
                outcome=outcome,
                generation=stored.message.subscription.generation,
                job=stored.message.subscription.job,
                seconds=round(time.perf_counter() - began, 4),
            )

    async def _tell_broken(self, name: str, error_id: str) -> None:
        with contextlib.suppress(StoreUnavailable):
            stored = await self._subscriptions.get(name)
            if stored is not None:
                text = (
                    f"internal error {error_id}: an operator finds it in the log of the subscription service"
                )
                await self._tell(stored, text, is_final=False)

    async def _tell(self, stored: Stored[Record], problem: str, *, is_final: bool) -> None:
        if stored.message.problem == problem and stored.message.problem_is_final == is_final:
            return
        record = copy_of(stored.message)
        record.problem, record.problem_is_final = problem, is_final
        with contextlib.suppress(Conflict):
            await self._subscriptions.write(stored, record)


def _measure(known: Sequence[Stored[Record]], backing_off: int) -> None:
    """What a person on call looks at first."""
    states = Counter(int(stored.message.subscription.state) for stored in known)
    for state in subscription_pb2.SubscriptionState.values()[1:]:
        word = subscription_pb2.SubscriptionState.Name(state)
        metrics.SUBSCRIPTIONS.labels(word.removeprefix("SUBSCRIPTION_STATE_").lower()).set(states[state])
    since = [
        stored.message.subscription.state_time.seconds
        for stored in known
        if stored.message.subscription.reconciling
    ]
    metrics.UNSETTLED_SECONDS.set(max(time.time() - min(since), 0) if since else 0)
    metrics.BACKING_OFF.set(backing_off)
