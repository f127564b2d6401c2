"""What each step does: act on the other services, then record the outcome.

Each act may be repeated without harm (topics are ensured, schemas registered, specs applied by digest), so a crash
between act and record costs a repetition and nothing else.
"""

from dataclasses import dataclass

import structlog

from libs.store import Stored
from services.subscription.compile import spec_digest
from services.subscription.compiling import Compiler
from services.subscription.decide import Step, is_deleting
from services.subscription.model import TopicPlace
from services.subscription.ports import Refused, World
from services.subscription.records import Record, Subscriptions, copy_of, job_view, set_spec
from services.subscription.sink import is_managed, output_subject
from sluice.dataplane.v1 import job_spec_pb2

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Partitions:
    """How many partitions a topic gets that Sluice creates."""

    managed_topic: int
    dead_letters: int


class Steps:
    """All methods raise Unavailable, StoreUnavailable, and Conflict when the record changed meanwhile."""

    def __init__(
        self, subscriptions: Subscriptions, world: World, compiler: Compiler, partitions: Partitions
    ) -> None:
        self._subscriptions = subscriptions
        self._world = world
        self._compiler = compiler
        self._partitions = partitions

    async def take(self, step: Step, stored: Stored[Record]) -> None:
        """Take one step and record it. Raises Refused and CannotCompile too."""
        if step is Step.FORGET:
            await self._subscriptions.forget(stored)
            return
        record = copy_of(stored.message)
        record.problem, record.problem_is_final = "", False
        match step:
            case Step.COMPILE:
                await self._compile(record)
            case Step.PREPARE:
                await self._prepare(record.spec)
                record.prepared_digest = spec_digest(record.spec)
            case Step.HALT:
                await self._apply(record, record.applied_spec)
                if stored.message.problem_is_final:
                    # It is of another step, and still there.
                    record.problem, record.problem_is_final = stored.message.problem, True
            case Step.APPLY:
                await self._apply(record, record.spec)
            case Step.DRAIN:
                await self._drain(record)
            case Step.NOTHING:
                return
        await self._subscriptions.write(stored, record)

    async def look(self, stored: Stored[Record]) -> None:
        """Ask for the job that is waited for: the fact may have been lost, or the deployer's memory."""
        job = await self._world.find_job(stored.message.subscription.job)
        record = copy_of(stored.message)
        if job is not None:
            record.job.CopyFrom(job_view(job, revision=record.job.revision))
        elif is_deleting(record):
            record.drain_requested = False
        else:
            _log.warning("job lost by the deployer", subscription=stored.name, job=record.subscription.job)
            record.ClearField("job")
            record.ClearField("applied_spec")
        if record != stored.message:
            await self._subscriptions.write(stored, record)

    async def _compile(self, record: Record) -> None:
        spec = await self._compiler.compile(record.subscription)
        record.compile_due = False
        before, after = spec_digest(record.spec), spec_digest(spec)
        if before != after:
            set_spec(record, spec)
            _log.info(
                "subscription recompiled", subscription=record.subscription.name, before=before, digest=after
            )

    async def _prepare(self, spec: job_spec_pb2.JobSpec) -> None:
        """Topics and output schema, before the job that needs them."""
        await self._world.ensure_topic(_place(spec.dead_letters), self._partitions.dead_letters)
        output = spec.outputs[0]
        if is_managed(spec):
            await self._world.ensure_topic(_place(output.sink), self._partitions.managed_topic)
        subject = output_subject(spec)
        if subject:
            await self._world.register_output_schema(
                subject, output.schema, output.schema_guid, managed=is_managed(spec)
            )

    async def _apply(self, record: Record, spec: job_spec_pb2.JobSpec) -> None:
        subscription = record.subscription
        reason = f"{subscription.name}, generation {subscription.generation}"
        job = await self._world.apply_job(subscription.job, spec, paused=subscription.paused, reason=reason)
        if spec is not record.applied_spec:
            record.applied_spec.CopyFrom(spec)
        record.applied_paused = subscription.paused
        record.job.CopyFrom(job_view(job, revision=record.job.revision))

    async def _drain(self, record: Record) -> None:
        job = record.subscription.job
        record.drain_requested = True
        ended = await self._world.drain_job(job)
        if ended is None:
            # An ApplyJob without an answer may still be on its way: it must find that the job has ended.
            try:
                await self._world.apply_job(
                    job, record.spec, paused=True, reason="deleted before it was seen"
                )
            except Refused as refusal:
                _log.info("nothing to drain", subscription=record.subscription.name, reason=str(refusal))
            else:
                ended = await self._world.drain_job(job)
        if ended is None:
            record.prepared_digest = ""
        else:
            record.job.CopyFrom(job_view(ended, revision=record.job.revision))


def _place(topic: job_spec_pb2.Topic) -> TopicPlace:
    return TopicPlace(topic.cluster, topic.bootstrap_servers, topic.topic)
