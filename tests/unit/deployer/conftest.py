"""A deployer over memory: the store, a simulated runner with its shards, and a clock that only tests move."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from libs.store import MemoryServer, MemoryStore
from services.deployer import commands
from services.deployer.adapters.simulated import (
    SimulatedBuilder,
    SimulatedControlLog,
    SimulatedReports,
    SimulatedRunner,
)
from services.deployer.journal import SOURCE, Journal, Known
from services.deployer.loop import Reconciler, World
from services.deployer.model import JobName, JobRecord, Policy, Spec, State
from services.deployer.records import spec_of
from sluice.dataplane.v1 import job_spec_pb2

JOB = JobName("jobs/j-1")
START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
BOOTSTRAP = "kafka:9092"


def spec_proto(
    sql: str = "SELECT a FROM events", shards: int = 2, tenant: str = "tenants/acme"
) -> job_spec_pb2.JobSpec:
    """A spec that keeps every rule of job_spec.proto."""

    def topic(name: str) -> job_spec_pb2.Topic:
        return job_spec_pb2.Topic(cluster="clusters/main", bootstrap_servers=BOOTSTRAP, topic=name)

    spec = job_spec_pb2.JobSpec(
        tenant=tenant,
        source=job_spec_pb2.Source(
            dataset="datasets/d",
            topics=[topic("in")],
            schema_guid=str(uuid.UUID(int=1)),
            reader_schema='"long"',
            referenced_fields=["a"],
            schema_registry="registry:7003",
        ),
        outputs=[
            job_spec_pb2.Output(
                subscription="tenants/acme/subscriptions/s",
                sql=sql,
                format=job_spec_pb2.OUTPUT_FORMAT_JSON,
                sink=topic("out"),
                schema='"long"',
            )
        ],
        engine=job_spec_pb2.ENGINE_ARROW,
        dead_letters=topic("dead"),
        shards=shards,
        pipeline_version="1",
        limits=job_spec_pb2.Limits(
            batch_rows=1000,
            batch_wait_ms=50,
            commit_interval_min_ms=100,
            commit_interval_max_ms=1000,
            transaction_timeout_ms=10_000,
            message_max_bytes=1_000_000,
        ),
    )
    spec.source.start_position.earliest.SetInParent()
    return spec


def a_spec(sql: str = "SELECT a FROM events", shards: int = 2) -> Spec:
    return spec_of(spec_proto(sql, shards))


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Deployer:
    """One deployer process after the other over the same world."""

    clock: Clock = field(default_factory=Clock)
    server: MemoryServer = field(default_factory=MemoryServer)
    runner: SimulatedRunner = field(default_factory=SimulatedRunner)
    builder: SimulatedBuilder = field(default_factory=SimulatedBuilder)
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        self.control = SimulatedControlLog(self.runner)
        self.reports = SimulatedReports(self.runner, self.clock)
        self.store = MemoryStore(SOURCE, self.server, clock=self.clock)
        self.journal = Journal(self.store, "simulated")
        self.reconciler = self.process()

    def process(self) -> Reconciler:
        """A new process: it knows nothing yet."""
        world = World(self.runner, self.builder, self.control, self.reports, self.clock, jitter=lambda: 0.0)
        return Reconciler(Journal(self.store, "simulated"), world, self.policy)

    async def restart(self) -> None:
        self.reconciler = self.process()
        await self.reconciler.load()

    async def change(self, change: Callable[[JobRecord | None], JobRecord], name: JobName = JOB) -> None:
        """What a command of the API does."""
        before = await self.journal.get(name)
        after = change(before.record if before else None)
        if before is None or after != before.record:
            self.reconciler.learn(await self.journal.commit(before, after, self.clock()))

    async def apply(self, spec: Spec, *, paused: bool = False, name: JobName = JOB) -> None:
        def change(record: JobRecord | None) -> JobRecord:
            if record is None:
                return commands.created(name, spec, paused=paused, now=self.clock())
            return commands.applied(record, spec, paused=paused)

        await self.change(change, name)

    async def job(self, name: JobName = JOB) -> JobRecord:
        known = await self.journal.get(name)
        assert known is not None
        return known.record

    async def passes(self, count: int = 1, seconds: float = 0.5) -> None:
        for _ in range(count):
            self.clock.pass_by(seconds)
            await self.reconciler.pass_once()

    async def until(self, state: State, name: JobName = JOB, passes: int = 60) -> JobRecord:
        """Passes until the job is in `state` and settled for it; AssertionError after `passes`."""
        for _ in range(passes):
            await self.passes()
            record = await self.job(name)
            if record.state is state and (state is State.BACKOFF or record.settled):
                return record
        raise AssertionError(f"{name} is {record.state.value} ({record.state_reason}), not {state.value}")

    async def known(self, name: JobName = JOB) -> Known:
        known = await self.journal.get(name)
        assert known is not None
        return known


@pytest.fixture
def deployer() -> Deployer:
    return Deployer()
