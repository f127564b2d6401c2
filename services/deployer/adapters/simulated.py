"""A runner, its Kafka and its builder in memory: for scale tests, demonstrations without Flink, and unit tests.

Jobs run as soon as they are submitted, their shards report at once, and end when they are told to. `end`,
`forget` and the like play the world's part; `away` makes every call of a facet raise its `...Unavailable`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from services.deployer.model import (
    Incarnation,
    JobName,
    JobRecord,
    KnownTopic,
    RunnerJobId,
    RunnerJobName,
    RunnerPhase,
    ShardPhase,
    ShardReports,
    ShardStatus,
)
from services.deployer.ports import (
    BuildFailed,
    Capabilities,
    ControlUnavailable,
    Launch,
    Pipeline,
    RunnerJob,
    RunnerUnavailable,
    SubmissionRefused,
)


@dataclass(slots=True)
class SimulatedJob:
    id: RunnerJobId
    name: RunnerJobName
    job: JobName
    incarnation: Incarnation
    shards: int
    phase: RunnerPhase
    cause: str = ""
    shards_phase: ShardPhase = ShardPhase.RUNNING


class SimulatedRunner:
    """A Runner. `refuse` is the message with which the next submissions are refused, if not empty."""

    name = "simulated"
    capabilities = Capabilities(
        deterministic_job_ids=True, two_jobs_of_one_name=True, savepoints=False, in_flight_update=False
    )

    def __init__(self) -> None:
        self.jobs: dict[RunnerJobId, SimulatedJob] = {}
        self.away = False
        self.refuse = ""
        self.slow_cancel = False
        self.submissions: list[RunnerJobId] = []
        self._changed: list[Callable[[JobName], None]] = []

    async def list_jobs(self) -> tuple[RunnerJob, ...]:
        self._check()
        return tuple(RunnerJob(job.id, job.name, job.phase) for job in self.jobs.values())

    async def phase(self, job: RunnerJobId) -> RunnerPhase:
        self._check()
        return self.jobs[job].phase if job in self.jobs else RunnerPhase.ABSENT

    async def submit(self, launch: Launch, pipeline: Pipeline) -> None:
        self._check()
        if launch.runner_job_id in self.jobs:
            return
        if self.refuse:
            raise SubmissionRefused(self.refuse)
        self.submissions.append(launch.runner_job_id)
        self.jobs[launch.runner_job_id] = SimulatedJob(
            id=launch.runner_job_id,
            name=launch.runner_job_name,
            job=launch.job,
            incarnation=launch.incarnation,
            shards=launch.spec.shards,
            phase=RunnerPhase.RUNNING,
        )
        self._tell(launch.job)

    async def cancel(self, job: RunnerJobId) -> None:
        self._check()
        known = self.jobs.get(job)
        if known is not None and known.phase.is_live:
            known.phase = RunnerPhase.ENDING if self.slow_cancel else RunnerPhase.CANCELLED
            self._tell(known.job)

    async def root_cause(self, job: RunnerJobId) -> str:
        self._check()
        return self.jobs[job].cause if job in self.jobs else ""

    def live(self, job: JobName) -> tuple[SimulatedJob, ...]:
        return tuple(known for known in self.jobs.values() if known.job == job and known.phase.is_live)

    def end(self, job: RunnerJobId, phase: RunnerPhase, cause: str = "") -> None:
        self.jobs[job].phase = phase
        self.jobs[job].cause = cause
        self._tell(self.jobs[job].job)

    def forget(self) -> None:
        """As a session cluster whose job manager restarted."""
        self.jobs.clear()

    def stop_shards(self, job: JobName, incarnation: Incarnation) -> None:
        """What the shards do on a stop record: commit, say so, and wait to be cancelled."""
        for known in self.live(job):
            if known.incarnation == incarnation:
                known.shards_phase = ShardPhase.STOPPED
                self._tell(job)

    def on_change(self, callback: Callable[[JobName], None]) -> None:
        self._changed.append(callback)

    def _tell(self, job: JobName) -> None:
        for callback in self._changed:
            callback(job)

    def _check(self) -> None:
        if self.away:
            raise RunnerUnavailable("the simulated runner was told to be away")


@dataclass(frozen=True, slots=True)
class ControlEntry:
    job: JobName
    incarnation: Incarnation
    stop: bool
    known_topics: tuple[KnownTopic, ...]


class SimulatedControlLog:
    """A ControlLog whose readers are the shards in `runner`. `deaf` shards do not hear a stop."""

    def __init__(self, runner: SimulatedRunner) -> None:
        self._runner = runner
        self.away = False
        self.deaf = False
        self.entries: list[ControlEntry] = []
        self.newest: dict[JobName, ControlEntry] = {}
        self.fences: list[tuple[JobName, Incarnation, int]] = []

    async def write(self, record: JobRecord, *, stop: bool, now: datetime) -> None:
        self._check()
        entry = ControlEntry(record.name, record.incarnation, stop, record.known_topics)
        self.entries.append(entry)
        self.newest[record.name] = entry
        if stop and not self.deaf:
            self._runner.stop_shards(record.name, record.incarnation)

    async def clear(self, record: JobRecord) -> None:
        self._check()
        self.newest.pop(record.name, None)

    async def fence(self, record: JobRecord, shards: int) -> None:
        self._check()
        self.fences.append((record.name, record.incarnation, shards))

    def _check(self) -> None:
        if self.away:
            raise ControlUnavailable("the simulated Kafka was told to be away")


class SimulatedReports:
    """A Reports that asks `runner`'s shards."""

    def __init__(self, runner: SimulatedRunner, clock: Callable[[], datetime] | None = None) -> None:
        self._runner = runner
        self._clock = clock or (lambda: datetime.now(UTC))
        self.readable_since: datetime | None = self._clock()
        self.followed: set[str] = set()
        self.known_topics: tuple[KnownTopic, ...] = ()

    def follow(self, bootstrap_servers: str) -> None:
        self.followed.add(bootstrap_servers)

    def of(self, job: JobName, bootstrap_servers: str) -> ShardReports:
        if self.readable_since is None:
            return ShardReports(None)
        now = self._clock()
        return ShardReports(
            self.readable_since,
            tuple(
                ShardStatus(shard, known.incarnation, known.shards_phase, now, "", self.known_topics)
                for known in self._runner.live(job)
                for shard in range(known.shards)
            ),
        )

    def on_change(self, callback: Callable[[JobName], None]) -> None:
        self._runner.on_change(callback)


class SimulatedBuilder:
    """A Builder that makes nothing. `broken` is what is wrong with every spec, if not empty."""

    def __init__(self) -> None:
        self.broken = ""

    async def build(self, launch: Launch) -> Pipeline:
        if self.broken:
            raise BuildFailed(self.broken)
        return Pipeline(b"{}", b"{}")
