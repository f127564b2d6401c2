"""sluice.deployer.v1.DeployerService: proto ↔ model, nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from libs.service_kit.errors import (
    Aborted,
    FailedPrecondition,
    NotFound,
    PreconditionViolation,
    invalid_field,
)
from libs.service_kit.etag import check_etag
from libs.service_kit.pagination import read_page
from libs.store import Changed, Compacted, Conflict, Mutation, Mutations, etag_of
from services.deployer import commands
from services.deployer.consequences import Plan, Verdict, plan
from services.deployer.journal import Journal, Known
from services.deployer.model import JobName, JobRecord
from services.deployer.records import from_message, job_message, spec_message, spec_of
from sluice.deployer.v1 import deployer_pb2, deployer_pb2_grpc, job_pb2

_ATTEMPTS = 5
_VERDICTS: Mapping[Verdict, job_pb2.Verdict] = {
    Verdict.NO_OP: job_pb2.VERDICT_NO_OP,
    Verdict.DRAIN_AND_REPLACE: job_pb2.VERDICT_DRAIN_AND_REPLACE,
    Verdict.REJECT: job_pb2.VERDICT_REJECT,
}
Context = Any  # grpc.aio.ServicerContext: generic in both message types, which differ by method
ResponseT = TypeVar("ResponseT", bound=Message)
_Change = deployer_pb2.ApplyJobRequest | deployer_pb2.DrainJobRequest | deployer_pb2.CancelJobRequest


class MetricsSource(Protocol):
    """What the workers last reported of a job."""

    def metrics(self, record: JobRecord, now: datetime) -> job_pb2.JobMetrics | None: ...


class DeployerServicer(deployer_pb2_grpc.DeployerServiceServicer):
    """`learn` tells the loop at once what was written, instead of letting it find out by its watch."""

    def __init__(
        self,
        journal: Journal,
        metrics: MetricsSource,
        learn: Callable[[Known], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._journal = journal
        self._mutations = Mutations(journal.store, clock)
        self._metrics = metrics
        self._learn = learn
        self._clock = clock

    async def ApplyJob(
        self, request: deployer_pb2.ApplyJobRequest, context: Context
    ) -> deployer_pb2.ApplyJobResponse:
        def answer(record: JobRecord, verdict: Plan) -> deployer_pb2.ApplyJobResponse:
            return deployer_pb2.ApplyJobResponse(
                job=job_message(record, self._journal.runner),
                verdict=_verdict(verdict.verdict),
                reasons=verdict.reasons,
            )

        def decide(before: Known | None) -> tuple[JobRecord, deployer_pb2.ApplyJobResponse]:
            spec = spec_of(request.spec)
            if before is None:
                verdict = plan(None, request.spec, ever_started=False)
                if verdict.verdict is Verdict.REJECT:
                    raise invalid_field("spec", "; ".join(verdict.reasons), "INCONSISTENT_SPEC")
                record = commands.created(
                    JobName(request.name), spec, paused=request.paused, now=self._clock()
                )
                return record, answer(record, verdict)
            _refuse_ended(before.record)
            verdict = _judge(before.record, request)
            if verdict.verdict is Verdict.REJECT:
                return before.record, answer(before.record, verdict)
            after = commands.applied(before.record, spec, paused=request.paused)
            return after, answer(after, verdict)

        return await self._change(
            request, deployer_pb2.ApplyJobResponse, decide, validate_only=request.validate_only
        )

    async def PlanUpdate(
        self, request: deployer_pb2.PlanUpdateRequest, context: Context
    ) -> deployer_pb2.PlanUpdateResponse:
        known = await self._journal.get(request.name)
        if known is None:
            verdict = plan(None, request.spec, ever_started=False)
        else:
            _refuse_ended(known.record)
            verdict = plan(
                spec_message(known.record.spec), request.spec, ever_started=known.record.incarnation > 0
            )
        return deployer_pb2.PlanUpdateResponse(verdict=_verdict(verdict.verdict), reasons=verdict.reasons)

    async def GetJob(
        self, request: deployer_pb2.GetJobRequest, context: Context
    ) -> deployer_pb2.GetJobResponse:
        known = await self._journal.get(request.name)
        if known is None:
            raise NotFound(request.name, resource_type="sluice.dev/Job")
        return deployer_pb2.GetJobResponse(job=self._shown(known))

    async def ListJobs(
        self, request: deployer_pb2.ListJobsRequest, context: Context
    ) -> deployer_pb2.ListJobsResponse:
        page = read_page(request, default_size=50, max_size=1000)
        stored = await self._journal.page(page.size, page.cursor)
        return deployer_pb2.ListJobsResponse(
            jobs=[self._shown(Known(from_message(item.message), item.revision)) for item in stored.items],
            next_page_token=page.token_after(stored.next_after) if stored.next_after else "",
            revision=stored.revision,
        )

    async def WatchJobs(
        self, request: deployer_pb2.WatchJobsRequest, context: Context
    ) -> AsyncIterator[deployer_pb2.WatchJobsResponse]:
        start = request.start_revision or (await self._journal.page(1, "")).revision + 1
        changes = self._journal.store.watch(start, request.name or "jobs/")
        try:
            async with contextlib.aclosing(changes):
                async for change in changes:
                    if not isinstance(change, Changed):
                        yield deployer_pb2.WatchJobsResponse(revision=change.revision)
                    elif not request.name or change.event.subject == request.name:
                        fact = job_pb2.JobStateChanged()
                        change.event.data.Unpack(fact)
                        fact.job.etag = etag_of(change.revision)
                        yield deployer_pb2.WatchJobsResponse(revision=change.revision, job_state_changed=fact)
        except Compacted as gone:
            compacted = deployer_pb2.WatchJobsResponse.Compacted(compact_revision=gone.compact_revision + 1)
            yield deployer_pb2.WatchJobsResponse(revision=gone.compact_revision, compacted=compacted)

    async def DrainJob(
        self, request: deployer_pb2.DrainJobRequest, context: Context
    ) -> deployer_pb2.DrainJobResponse:
        def decide(before: Known | None) -> tuple[JobRecord, deployer_pb2.DrainJobResponse]:
            after = commands.drained(_existing(before, request.name))
            return after, deployer_pb2.DrainJobResponse(job=job_message(after, self._journal.runner))

        return await self._change(request, deployer_pb2.DrainJobResponse, decide)

    async def CancelJob(
        self, request: deployer_pb2.CancelJobRequest, context: Context
    ) -> deployer_pb2.CancelJobResponse:
        def decide(before: Known | None) -> tuple[JobRecord, deployer_pb2.CancelJobResponse]:
            after = commands.cancelled(_existing(before, request.name))
            return after, deployer_pb2.CancelJobResponse(job=job_message(after, self._journal.runner))

        return await self._change(request, deployer_pb2.CancelJobResponse, decide)

    def _shown(self, known: Known) -> job_pb2.Job:
        job = job_message(known.record, self._journal.runner)
        job.etag = etag_of(known.revision)
        metrics = self._metrics.metrics(known.record, self._clock())
        if metrics is not None:
            job.metrics.CopyFrom(metrics)
        return job

    async def _change(
        self,
        request: _Change,
        response_type: type[ResponseT],
        decide: Callable[[Known | None], tuple[JobRecord, ResponseT]],
        *,
        validate_only: bool = False,
    ) -> ResponseT:
        """Commit what `decide` makes of the record. The loop writes the same records, so a lost race is run again."""
        for _ in range(_ATTEMPTS):
            try:
                return await self._change_once(request, response_type, decide, validate_only)
            except Conflict:
                continue
        raise Aborted(f"{request.name} changes too fast: try again", metadata={"resource": request.name})

    async def _change_once(
        self,
        request: _Change,
        response_type: type[ResponseT],
        decide: Callable[[Known | None], tuple[JobRecord, ResponseT]],
        validate_only: bool,
    ) -> ResponseT:
        written: list[JobRecord] = []

        async def prepare() -> Mutation[ResponseT]:
            before = await self._journal.get(request.name)
            if before is not None:
                check_etag(request.etag, etag_of(before.revision), request.name)
            elif request.etag:
                raise NotFound(request.name, resource_type="sluice.dev/Job")
            after, response = decide(before)
            if before is not None and after == before.record:
                _set_etag(response, before.revision)
                return Mutation((), (), response)
            change = self._journal.change(before, after, self._clock())
            written.append(change.record)
            return Mutation((change.write,), (change.event,), response)

        if validate_only or not request.request_id:
            mutation = await prepare()
            if validate_only or not mutation.writes:
                return mutation.response
            committed = await self._journal.store.commit(mutation.writes, mutation.events)
            response, revision = mutation.response, committed.revision
        else:
            outcome = await self._mutations.run(request.request_id, request, response_type, prepare)
            response, revision = outcome.response, outcome.revision
            if outcome.replayed:
                written.clear()
        _set_etag(response, revision)
        for record in written:
            self._learn(Known(record, revision))
        return response


def _set_etag(response: Message, revision: int) -> None:
    """Known after the commit only; a response that has one keeps it."""
    job: job_pb2.Job = response.job  # type: ignore[attr-defined]  # every response of a change has a job
    if not job.etag:
        job.etag = etag_of(revision)


def _existing(known: Known | None, name: str) -> JobRecord:
    if known is None:
        raise NotFound(name, resource_type="sluice.dev/Job")
    return known.record


def _refuse_ended(record: JobRecord) -> None:
    if record.state.is_terminal:
        raise FailedPrecondition(
            [
                PreconditionViolation(
                    "JOB_ENDED", record.name, "the job ended for good; apply the spec to a new job"
                )
            ],
            reason="JOB_ENDED",
            metadata={"resource": record.name, "state": record.state.value},
        )


def _judge(record: JobRecord, request: deployer_pb2.ApplyJobRequest) -> Plan:
    verdict = plan(spec_message(record.spec), request.spec, ever_started=record.incarnation > 0)
    if verdict.verdict is Verdict.REJECT or request.paused == record.desire.pause:
        return verdict
    word = "paused: what runs is stopped" if request.paused else "no longer paused: the job starts"
    return Plan(verdict.verdict, (*verdict.reasons, word))


def _verdict(verdict: Verdict) -> job_pb2.Verdict:
    return _VERDICTS[verdict]
