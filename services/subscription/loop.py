"""Makes every subscription so, one step at a time: decide from the record, act, record the outcome.

Each act may be repeated without harm (topics are ensured, schemas registered, specs applied by digest), so a crash
between act and record costs a repetition and nothing else.
"""

import asyncio
import contextlib

import structlog

from libs.store import AtRevision, Conflict, Stored, StoreUnavailable
from services.subscription.compile import is_managed, output_subject, spec_digest
from services.subscription.decide import Step, is_deleting, next_step
from services.subscription.model import TopicPlace
from services.subscription.ports import Refused, Unavailable, World
from services.subscription.records import Record, Subscriptions, copy_of
from sluice.dataplane.v1 import job_spec_pb2
from sluice.deployer.v1 import job_pb2
from sluice.subscription.v1 import record_pb2

_log = structlog.get_logger(__name__)
_FIRST_RETRY_S = 0.5
_LONGEST_RETRY_S = 15.0


class Reconciler:
    """Looks at a subscription when it is woken, and at all of them every `resync_seconds`."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        world: World,
        *,
        managed_topic_partitions: int,
        dead_letter_partitions: int,
        resync_seconds: float,
        workers: int = 8,
    ) -> None:
        self._subscriptions = subscriptions
        self._world = world
        self._managed_topic_partitions = managed_topic_partitions
        self._dead_letter_partitions = dead_letter_partitions
        self._resync_seconds = resync_seconds
        self._workers = workers
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()
        self._busy: set[str] = set()
        self._failures: dict[str, int] = {}

    def wake(self, name: str) -> None:
        """Look at this subscription soon."""
        if name not in self._queued:
            self._queued.add(name)
            self._queue.put_nowait(name)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._resync())
            for _ in range(self._workers):
                tasks.create_task(self._work())

    async def _resync(self) -> None:
        while True:
            with contextlib.suppress(StoreUnavailable):
                for stored in await self._subscriptions.all():
                    if next_step(stored.message) is not Step.NOTHING:
                        self.wake(stored.name)
            await asyncio.sleep(self._resync_seconds)

    async def _work(self) -> None:
        while True:
            name = await self._queue.get()
            self._queued.discard(name)
            if name in self._busy:
                self._again(name, 0.05)
                continue
            self._busy.add(name)
            try:
                await self.reconcile(name)
                self._failures.pop(name, None)
            except (Unavailable, StoreUnavailable) as error:
                failures = self._failures[name] = self._failures.get(name, 0) + 1
                delay = min(_FIRST_RETRY_S * 2 ** (failures - 1), _LONGEST_RETRY_S)
                _log.warning("subscription waits", subscription=name, reason=str(error), retry_seconds=delay)
                self._again(name, delay)
            finally:
                self._busy.discard(name)

    def _again(self, name: str, delay: float) -> None:
        asyncio.get_running_loop().call_later(delay, self.wake, name)

    async def reconcile(self, name: str) -> None:
        """Take steps until nothing is left to do. Raises Unavailable and StoreUnavailable: come again."""
        while True:
            stored = await self._subscriptions.get(name)
            if stored is None:
                return
            step = next_step(stored.message)
            if step is Step.NOTHING or stored.message.problem_is_final:
                return
            try:
                await self._take(step, stored)
            except Conflict:
                continue
            except Refused as refusal:
                ending = is_deleting(stored.message)
                await self._note(stored, str(refusal), is_final=not ending)
                if ending:
                    raise Unavailable(str(refusal)) from refusal
                return
            except Unavailable as error:
                await self._note(stored, f"waiting: {error}", is_final=False)
                raise

    async def _take(self, step: Step, stored: Stored[Record]) -> None:
        record = copy_of(stored.message)
        record.problem, record.problem_is_final = "", False
        match step:
            case Step.PREPARE:
                await self._prepare(record.spec)
                record.prepared_digest = spec_digest(record.spec)
            case Step.APPLY:
                subscription = record.subscription
                job = await self._world.apply_job(
                    subscription.job,
                    record.spec,
                    paused=subscription.paused,
                    reason=f"{subscription.name}, generation {subscription.generation}",
                )
                record.applied_digest = spec_digest(record.spec)
                record.applied_paused = subscription.paused
                if not record.HasField("job"):
                    record.job.CopyFrom(job_view(job, revision=0))
            case Step.DRAIN:
                ended = await self._world.drain_job(record.subscription.job)
                record.drain_requested = True
                if ended is None:
                    record.applied_digest = ""
                elif not record.HasField("job") or ended.state in (
                    job_pb2.JOB_STATE_DRAINED,
                    job_pb2.JOB_STATE_CANCELLED,
                ):
                    record.job.CopyFrom(job_view(ended, revision=record.job.revision))
            case Step.FORGET:
                writes, events = self._subscriptions.forgetting(record, AtRevision(stored.revision))
                await self._subscriptions.store.commit(writes, events)
                return
            case Step.NOTHING:
                return
        await self._write(stored, record)

    async def _prepare(self, spec: job_spec_pb2.JobSpec) -> None:
        """Topics and output schema, before the job that needs them."""
        await self._world.ensure_topic(_place(spec.dead_letters), self._dead_letter_partitions)
        output = spec.outputs[0]
        if is_managed(spec):
            await self._world.ensure_topic(_place(output.sink), self._managed_topic_partitions)
        subject = output_subject(spec)
        if subject:
            await self._world.register_output_schema(
                subject, output.schema, output.schema_guid, managed=is_managed(spec)
            )

    async def _note(self, stored: Stored[Record], problem: str, *, is_final: bool) -> None:
        if stored.message.problem == problem and stored.message.problem_is_final == is_final:
            return
        record = copy_of(stored.message)
        record.problem, record.problem_is_final = problem, is_final
        with contextlib.suppress(Conflict):
            await self._write(stored, record)

    async def _write(self, stored: Stored[Record], record: Record) -> None:
        writes, events = self._subscriptions.writing(record, AtRevision(stored.revision))
        await self._subscriptions.store.commit(writes, events)


def job_view(job: job_pb2.Job, *, revision: int) -> record_pb2.JobView:
    """What matters here of a job."""
    return record_pb2.JobView(
        revision=revision,
        state=job.state,
        state_reason=job.state_reason,
        running_spec_digest=job.running_spec_digest,
        hibernate=job.desire.hibernate,
        reconciling=job.reconciling,
    )


def _place(topic: job_spec_pb2.Topic) -> TopicPlace:
    return TopicPlace(topic.cluster, topic.bootstrap_servers, topic.topic)
