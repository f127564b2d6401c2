"""What the deployer needs of the world, in its own words. `adapters` keep these contracts.

Every call is safe to repeat. Of a call that raised one of the `...Unavailable` errors it is not known whether
it happened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from services.deployer.model import (
    Incarnation,
    JobName,
    JobRecord,
    RunnerJobId,
    RunnerJobName,
    RunnerPhase,
    ShardReports,
    Spec,
)


class RunnerUnavailable(Exception):
    """The runner did not answer, or not as a healthy one does: nothing is known."""


class SubmissionRefused(Exception):
    """The runner refused this submission, and would again. Nothing of it runs."""


class BuildFailed(Exception):
    """No pipeline can be made of the spec. The message says why."""


class BuilderUnavailable(Exception):
    """The builder could not be asked; try again."""


class ControlUnavailable(Exception):
    """`sluice.control` could not be written, or producers could not be fenced; try again."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a runner can do; decisions may rely on it, and only on it."""

    deterministic_job_ids: bool
    """A second submission under one id is refused. Without it a crash could double a job."""
    two_jobs_of_one_name: bool
    """The next incarnation can start while the old one runs (HANDOVER)."""
    savepoints: bool
    """A job can be stopped with its state and started from it (REPLACE_FROM_SAVEPOINT)."""
    in_flight_update: bool
    """A running job takes a new pipeline (IN_FLIGHT_UPDATE by the runner)."""


@dataclass(frozen=True, slots=True)
class RunnerJob:
    """A job as the runner lists it."""

    id: RunnerJobId
    name: RunnerJobName
    phase: RunnerPhase


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A Beam pipeline in the portable form that every runner takes."""

    proto_json: bytes = field(repr=False)
    """beam_runner_api_pb2.Pipeline as JSON."""
    options_json: bytes = field(repr=False)
    """The pipeline options as JSON of google.protobuf.Struct, keys `beam:option:NAME:v1`."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One incarnation to be built and submitted."""

    job: JobName
    incarnation: Incarnation
    runner_job_id: RunnerJobId
    runner_job_name: RunnerJobName
    spec: Spec

    @classmethod
    def of(cls, record: JobRecord) -> Launch:
        return cls(
            record.name,
            record.incarnation,
            record.runner_job_id,
            record.runner_job_name,
            record.running or record.spec,
        )


class Runner(Protocol):
    """Where jobs run. Every method raises RunnerUnavailable."""

    @property
    def name(self) -> str:
        """For people: `flink`."""
        ...

    @property
    def capabilities(self) -> Capabilities: ...

    async def list_jobs(self) -> tuple[RunnerJob, ...]:
        """Every job the runner knows, ours or not, ended ones as long as it remembers them."""
        ...

    async def phase(self, job: RunnerJobId) -> RunnerPhase:
        """Fresh, ABSENT if the runner does not know the job. Never UNKNOWN: that is RunnerUnavailable."""
        ...

    async def submit(self, launch: Launch, pipeline: Pipeline) -> None:
        """Start it under `launch.runner_job_id`; nothing if the runner knows that id already, ended or not.

        Raises SubmissionRefused.
        """
        ...

    async def cancel(self, job: RunnerJobId) -> None:
        """Begin to end it; returns before it has ended. Nothing if it is unknown or over."""
        ...

    async def root_cause(self, job: RunnerJobId) -> str:
        """Why it failed or restarts; empty if there is nothing to tell."""
        ...


class Builder(Protocol):
    async def build(self, launch: Launch) -> Pipeline:
        """The job's pipeline. Raises BuildFailed, BuilderUnavailable."""
        ...


class ControlLog(Protocol):
    """`sluice.control` on the sinks' cluster, and the fencing of producers there. Raises ControlUnavailable."""

    async def write(self, record: JobRecord, *, stop: bool, now: datetime) -> None:
        """The newest word to the job's shards: `record`'s incarnation and known topics, and whether to stop."""
        ...

    async def clear(self, record: JobRecord) -> None:
        """Remove the job's word (a tombstone)."""
        ...

    async def fence(self, record: JobRecord, shards: int) -> None:
        """Abort the open transactions of shards 0 ... shards-1 and fence their producers."""
        ...


class Reports(Protocol):
    """The newest reports of the shards, kept up to date in the background; never blocks, never raises."""

    def follow(self, bootstrap_servers: str) -> None:
        """Read the reports of this cluster from now on. Idempotent."""
        ...

    def of(self, job: JobName, bootstrap_servers: str) -> ShardReports: ...

    def on_change(self, callback: Callable[[JobName], None]) -> None:
        """Call when a shard of the job enters another phase or has another error."""
        ...
