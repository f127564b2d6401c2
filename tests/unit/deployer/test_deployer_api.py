"""The API over a real gRPC channel, with the loop beside it, in this process."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass

import grpc
import pytest
import tenacity

from libs.service_kit.background import BackgroundTask
from libs.service_kit.client import RemoteError, remote_error
from libs.service_kit.server import Servicer, Stopping, serve
from libs.service_kit.settings import Settings
from services.deployer.loop import Pace, Reconciler, World
from services.deployer.model import JobRecord, State
from services.deployer.servicer import DeployerServicer
from sluice.dataplane.v1 import job_spec_pb2
from sluice.deployer.v1 import deployer_pb2 as pb
from sluice.deployer.v1 import deployer_pb2_grpc as pb_grpc
from sluice.deployer.v1 import job_pb2
from tests.unit.deployer.conftest import JOB, Deployer, spec_proto


class FixedMetrics:
    def metrics(self, record: JobRecord, now: object) -> job_pb2.JobMetrics | None:
        return job_pb2.JobMetrics(events_in=7) if record.state is State.RUNNING else None


@dataclass
class Api:
    stub: "pb_grpc.DeployerServiceAsyncStub"
    deployer: Deployer

    async def apply(
        self, spec: job_spec_pb2.JobSpec | None = None, name: str = JOB, **options: object
    ) -> pb.ApplyJobResponse:
        request = pb.ApplyJobRequest(name=name, spec=spec or spec_proto(), **options)  # type: ignore[arg-type]  # fields of the request
        return await self.stub.ApplyJob(request)

    async def job(self, name: str = JOB) -> job_pb2.Job:
        return (await self.stub.GetJob(pb.GetJobRequest(name=name))).job

    async def until(self, state: job_pb2.JobState, name: str = JOB) -> job_pb2.Job:
        async for attempt in tenacity.AsyncRetrying(
            stop=tenacity.stop_after_delay(10), wait=tenacity.wait_fixed(0.01), reraise=True
        ):
            with attempt:
                job = await self.job(name)
                assert job.state == state and not job.reconciling, job.state_reason
        return job


async def refused(call: Awaitable[object]) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return remote_error(caught.value)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    deployer = Deployer()
    world = World(
        deployer.runner,
        deployer.builder,
        deployer.control,
        deployer.reports,
        deployer.clock,
        jitter=lambda: 0.0,
    )
    reconciler = Reconciler(deployer.journal, world, deployer.policy, Pace(0.02, 0.02))
    servicer = DeployerServicer(deployer.journal, FixedMetrics(), reconciler.learn, deployer.clock)
    stopping = Stopping()
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve(
            Settings.model_validate({"listen_address": "127.0.0.1:0", "shutdown_grace_seconds": 0}),
            stopping,
            servicers=[Servicer(pb_grpc.add_DeployerServiceServicer_to_server, servicer)],
            background=[BackgroundTask("reconcile", reconciler.run)],
            on_start=started.set_result,
        )
    )
    async with grpc.aio.insecure_channel(await started) as channel:
        yield Api(pb_grpc.DeployerServiceStub(channel), deployer)
    stopping.request()
    await serving
    await deployer.store.close()


async def test_an_applied_job_comes_to_run_and_shows_its_metrics(api: Api) -> None:
    response = await api.apply(reason="test")
    assert response.verdict == job_pb2.VERDICT_DRAIN_AND_REPLACE
    assert response.job.reconciling
    job = await api.until(job_pb2.JOB_STATE_RUNNING)
    assert job.metrics.events_in == 7
    assert job.runner == "simulated"
    assert job.runner_job_name == "sluice-j-1"
    assert len(job.history) == 1


async def test_applying_the_same_spec_again_changes_nothing(api: Api) -> None:
    await api.apply()
    before = await api.until(job_pb2.JOB_STATE_RUNNING)
    response = await api.apply()
    assert response.verdict == job_pb2.VERDICT_NO_OP
    assert response.job.etag == before.etag == (await api.job()).etag


async def test_a_request_id_makes_a_repeated_apply_answer_as_the_first_time(api: Api) -> None:
    request_id = str(uuid.uuid4())
    first = await api.apply(request_id=request_id)
    await api.until(job_pb2.JOB_STATE_RUNNING)
    await api.apply(spec_proto("SELECT b FROM events"))
    again = await api.apply(request_id=request_id)
    assert again == first
    assert (await api.job()).spec.outputs[0].sql == "SELECT b FROM events"
    error = await refused(api.apply(spec_proto("SELECT c FROM events"), request_id=request_id))
    assert error.field_violations[0].reason == "REQUEST_ID_REUSED"


async def test_a_no_op_is_remembered_by_its_request_id_too(api: Api) -> None:
    await api.apply()
    await api.until(job_pb2.JOB_STATE_RUNNING)
    request_id = str(uuid.uuid4())
    assert (await api.apply(request_id=request_id)).verdict == job_pb2.VERDICT_NO_OP
    await api.apply(spec_proto("SELECT b FROM events"))
    assert (await api.apply(request_id=request_id)).verdict == job_pb2.VERDICT_NO_OP
    assert (await api.job()).spec.outputs[0].sql == "SELECT b FROM events"


async def test_a_stale_etag_is_refused(api: Api) -> None:
    etag = (await api.apply()).job.etag
    await api.until(job_pb2.JOB_STATE_RUNNING)
    error = await refused(api.apply(spec_proto("SELECT b FROM events"), etag=etag))
    assert (error.code, error.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    current = (await api.job()).etag
    assert (await api.apply(spec_proto("SELECT b FROM events"), etag=current)).job.etag != current


async def test_validate_only_answers_and_changes_nothing(api: Api) -> None:
    response = await api.apply(validate_only=True)
    assert response.verdict == job_pb2.VERDICT_DRAIN_AND_REPLACE
    error = await refused(api.job())
    assert error.code is grpc.StatusCode.NOT_FOUND


async def test_a_change_that_is_not_possible_is_rejected_with_reasons_and_leaves_the_job(api: Api) -> None:
    await api.apply()
    before = await api.until(job_pb2.JOB_STATE_RUNNING)
    response = await api.apply(spec_proto(tenant="tenants/other"))
    assert response.verdict == job_pb2.VERDICT_REJECT
    assert response.reasons[0].startswith("tenant: ")
    planned = await api.stub.PlanUpdate(
        pb.PlanUpdateRequest(name=JOB, spec=spec_proto(tenant="tenants/other"))
    )
    assert (planned.verdict, planned.reasons) == (response.verdict, response.reasons)
    assert await api.job() == before


async def test_pausing_and_resuming_is_told_in_the_reasons(api: Api) -> None:
    await api.apply()
    await api.until(job_pb2.JOB_STATE_RUNNING)
    paused = await api.apply(paused=True)
    assert "paused" in paused.reasons[-1]
    await api.until(job_pb2.JOB_STATE_STOPPED)
    await api.apply(paused=False)
    assert (await api.until(job_pb2.JOB_STATE_RUNNING)).incarnation == 2


async def test_a_drained_job_cannot_be_applied_again_and_draining_twice_is_fine(api: Api) -> None:
    await api.apply()
    await api.until(job_pb2.JOB_STATE_RUNNING)
    await api.stub.DrainJob(pb.DrainJobRequest(name=JOB))
    await api.until(job_pb2.JOB_STATE_DRAINED)
    assert (await api.stub.DrainJob(pb.DrainJobRequest(name=JOB))).job.state == job_pb2.JOB_STATE_DRAINED
    error = await refused(api.apply())
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "JOB_ENDED")


async def test_a_cancelled_job_ends_at_once(api: Api) -> None:
    await api.apply()
    await api.until(job_pb2.JOB_STATE_RUNNING)
    await api.stub.CancelJob(pb.CancelJobRequest(name=JOB))
    await api.until(job_pb2.JOB_STATE_CANCELLED)


async def test_what_does_not_exist_is_not_found(api: Api) -> None:
    for call in (
        api.job("jobs/none"),
        api.stub.DrainJob(pb.DrainJobRequest(name="jobs/none")),
        api.stub.CancelJob(pb.CancelJobRequest(name="jobs/none")),
        api.apply(etag="r5"),
    ):
        assert (await refused(call)).code is grpc.StatusCode.NOT_FOUND


async def test_bad_requests_name_the_field(api: Api) -> None:
    error = await refused(api.apply(name="jobs/NO"))
    assert error.field_violations[0].field == "name"
    error = await refused(api.apply(spec_proto(shards=999)))
    assert error.field_violations[0].field == "spec.shards"
    split = spec_proto()
    split.dead_letters.cluster = "clusters/other"
    error = await refused(api.apply(split))
    assert error.field_violations[0].field == "spec"
    error = await refused(api.apply(etag="nonsense"))
    assert error.code is grpc.StatusCode.NOT_FOUND


async def test_jobs_are_listed_page_by_page(api: Api) -> None:
    names = [f"jobs/j-{number}" for number in range(5)]
    for name in names:
        await api.apply(name=name)
    found: list[str] = []
    token = ""
    while True:
        page = await api.stub.ListJobs(pb.ListJobsRequest(page_size=2, page_token=token))
        found.extend(job.name for job in page.jobs)
        token = page.next_page_token
        if not token:
            break
    assert found == names
    error = await refused(api.stub.ListJobs(pb.ListJobsRequest(page_token="garbage")))
    assert error.field_violations[0].field == "page_token"


async def test_a_watch_from_the_lists_revision_tells_every_state_in_order_without_metrics(api: Api) -> None:
    revision = (await api.stub.ListJobs(pb.ListJobsRequest())).revision
    watch = api.stub.WatchJobs(pb.WatchJobsRequest(start_revision=revision + 1, name=JOB))
    await api.apply(name="jobs/j-10")
    await api.apply()
    states: list[job_pb2.JobState] = []
    progressed = False
    async for response in watch:
        if not response.HasField("job_state_changed"):
            progressed = True
            continue
        fact = response.job_state_changed
        assert fact.job.name == JOB
        assert not fact.job.HasField("metrics")
        if not states or states[-1] != fact.job.state:
            assert fact.previous_state == (states[-1] if states else 0)
            states.append(fact.job.state)
        if fact.job.state == job_pb2.JOB_STATE_RUNNING:
            assert fact.job.etag == (await api.job()).etag
            break
    watch.cancel()
    assert progressed
    assert states == [job_pb2.JOB_STATE_PENDING, job_pb2.JOB_STATE_STARTING, job_pb2.JOB_STATE_RUNNING]


async def test_a_watch_from_a_revision_that_is_gone_says_compacted_and_ends(api: Api) -> None:
    for number in range(5):
        await api.apply(name=f"jobs/j-{number}")
    await api.until(job_pb2.JOB_STATE_RUNNING, "jobs/j-4")
    await api.deployer.store.trim(1)
    responses = [response async for response in api.stub.WatchJobs(pb.WatchJobsRequest(start_revision=1))]
    assert [response.WhichOneof("change") for response in responses] == ["compacted"]
    again = responses[0].compacted.compact_revision
    watch = api.stub.WatchJobs(pb.WatchJobsRequest(start_revision=again))
    assert (await anext(aiter(watch))).WhichOneof("change") != "compacted"
    watch.cancel()


async def test_the_store_away_is_unavailable_to_clients(api: Api) -> None:
    api.deployer.server.available = False
    error = await refused(api.job())
    assert error.code is grpc.StatusCode.UNAVAILABLE
    api.deployer.server.available = True
