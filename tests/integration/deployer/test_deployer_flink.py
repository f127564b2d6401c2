"""The runner contract and a job's whole life on a real Flink, with the real data plane."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
import tenacity

from deploy.local import LocalStack
from libs.store import MemoryServer, MemoryStore, utc_now
from services.deployer import commands
from services.deployer.adapters.beam import BuilderOptions, WarmBuilder
from services.deployer.adapters.flink import FlinkRunner
from services.deployer.adapters.kafka_control import KafkaControlLog
from services.deployer.adapters.kafka_reports import KafkaReports
from services.deployer.adapters.thin_jar import ThinJarMaker
from services.deployer.journal import SOURCE, Journal
from services.deployer.loop import Pace, Reconciler, World
from services.deployer.model import JobName, JobRecord, Policy, RunnerPhase, State
from services.deployer.ports import BuildFailed, Launch, Pipeline, Runner
from services.deployer.records import spec_of
from tests.integration.deployer.endless import CONSTRUCT
from tests.support.jobs import create_topics, job_spec
from tests.unit.deployer.runner_contract import RunnerContract, a_launch, becomes

pytestmark = pytest.mark.e2e


def jars_of(stack: LocalStack) -> ThinJarMaker:
    return ThinJarMaker(stack.settings.jars_dir / "flink")


@pytest.fixture
async def runner(stack: LocalStack) -> AsyncIterator[FlinkRunner]:
    flink = FlinkRunner(stack.flink_url, jars_of(stack))
    yield flink
    await flink.close()


@pytest.fixture(scope="module")
def endless_builder(stack: LocalStack) -> WarmBuilder:
    """Builds jobs that run for ever and touch nothing."""
    return WarmBuilder(BuilderOptions(stack.worker_pool, construct=CONSTRUCT))


class TestFlinkRunner(RunnerContract):
    @pytest.fixture
    def launch(self, stack: LocalStack) -> Launch:
        spec = spec_of(job_spec(stack.kafka_bootstrap, shards=2))
        return a_launch(f"jobs/j-{uuid.uuid4().hex[:12]}", spec)

    @pytest.fixture
    async def pipeline(self, endless_builder: WarmBuilder, launch: Launch) -> Pipeline:
        return await endless_builder.build(launch)


async def test_a_pipeline_that_cannot_be_built_is_told_as_such(stack: LocalStack) -> None:
    builder = WarmBuilder(BuilderOptions(stack.worker_pool))
    bad = job_spec(stack.kafka_bootstrap)
    bad.shards = 0
    with pytest.raises(BuildFailed):
        await builder.build(a_launch("jobs/j-bad", spec_of(bad)))
    builder.close()


@dataclass
class Process:
    """A deployer process without its gRPC server; `stop()` is its kill -9."""

    reconciler: Reconciler
    running: asyncio.Task[None]
    reports: KafkaReports
    control: KafkaControlLog

    async def stop(self) -> None:
        self.running.cancel()
        await asyncio.wait([self.running])
        await asyncio.to_thread(self.reports.close)
        self.control.close()


def start(server: MemoryServer, runner: Runner, builder: WarmBuilder) -> Process:
    reports, control, store = KafkaReports(), KafkaControlLog(), MemoryStore(SOURCE, server)
    world = World(runner, builder, control, reports, utc_now, jitter=lambda: 0.0)
    reconciler = Reconciler(Journal(store, runner.name), world, Policy(), Pace(0.3, 0.3))
    return Process(reconciler, asyncio.create_task(reconciler.run()), reports, control)


async def until(journal: Journal, name: JobName, state: State, incarnation: int) -> JobRecord:
    async for attempt in tenacity.AsyncRetrying(
        stop=tenacity.stop_after_delay(90), wait=tenacity.wait_fixed(0.1), reraise=True
    ):
        with attempt:
            known = await journal.get(name)
            assert known is not None
            record = known.record
            assert (record.state, record.incarnation) == (state, incarnation), record.state_reason
            assert record.settled
    return record


ENDED_WELL = {RunnerPhase.FINISHED, RunnerPhase.CANCELLED}


async def test_a_job_is_started_adopted_replaced_paused_and_drained_on_flink(
    stack: LocalStack, runner: FlinkRunner
) -> None:
    create_topics(stack.kafka_bootstrap, {"in": 4, "out": 4, "dead": 1})
    server = MemoryServer()
    journal = Journal(MemoryStore(SOURCE, server), runner.name)
    builder = WarmBuilder(BuilderOptions(stack.worker_pool))
    name = JobName(f"jobs/j-{uuid.uuid4().hex[:12]}")
    first = spec_of(job_spec(stack.kafka_bootstrap, shards=2))
    second = spec_of(job_spec(stack.kafka_bootstrap, shards=3, sql="SELECT number FROM events"))
    created = commands.created(name, first, paused=False, now=utc_now())
    await journal.commit(None, created, utc_now())

    async def change(command: Callable[[JobRecord], JobRecord]) -> None:
        before = await journal.get(name)
        assert before is not None
        await journal.commit(before, command(before.record), utc_now())

    process = start(server, runner, builder)
    running = await until(journal, name, State.RUNNING, 1)
    assert await runner.phase(running.runner_job_id) is RunnerPhase.RUNNING

    await process.stop()
    process = start(server, runner, builder)
    assert await until(journal, name, State.RUNNING, 1) == running

    await change(lambda record: commands.applied(record, second, paused=False))
    replaced = await until(journal, name, State.RUNNING, 2)
    assert replaced.runner_job_name == running.runner_job_name
    # Once its shards have returned the job may finish before the deployer's cancel reaches it.
    assert await runner.phase(running.runner_job_id) in ENDED_WELL

    await change(lambda record: commands.applied(record, second, paused=True))
    await until(journal, name, State.STOPPED, 2)
    await change(lambda record: commands.applied(record, second, paused=False))
    await until(journal, name, State.RUNNING, 3)
    await change(commands.drained)
    ended = await until(journal, name, State.DRAINED, 3)
    phases = {job.phase for job in await runner.list_jobs() if job.name == ended.runner_job_name}
    assert phases <= ENDED_WELL
    await process.stop()
    builder.close()


async def test_a_restarted_job_manager_gets_the_next_incarnation(
    stack: LocalStack, runner: FlinkRunner
) -> None:
    create_topics(stack.kafka_bootstrap, {"in": 4, "out": 4, "dead": 1})
    server = MemoryServer()
    journal = Journal(MemoryStore(SOURCE, server), runner.name)
    builder = WarmBuilder(BuilderOptions(stack.worker_pool))
    name = JobName(f"jobs/j-{uuid.uuid4().hex[:12]}")
    spec = spec_of(job_spec(stack.kafka_bootstrap, shards=1))
    await journal.commit(None, commands.created(name, spec, paused=False, now=utc_now()), utc_now())
    process = start(server, runner, builder)
    await until(journal, name, State.RUNNING, 1)

    await asyncio.to_thread(stack.kill, "jobmanager")
    await asyncio.to_thread(stack.start, "jobmanager")
    record = await until(journal, name, State.RUNNING, 2)
    listed = [job for job in await runner.list_jobs() if job.name == record.runner_job_name]
    assert [(job.id, job.phase) for job in listed] == [(record.runner_job_id, RunnerPhase.RUNNING)]
    await runner.cancel(record.runner_job_id)
    await process.stop()
    await becomes(runner, record.runner_job_id, RunnerPhase.CANCELLED)
    builder.close()
    assert record.failures <= 1
