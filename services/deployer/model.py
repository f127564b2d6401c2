"""A job's life: its states, the one table of transitions, and the values that decisions are made of.

Everything that affects the state machine lives here. docs/deployer.md draws TRANSITIONS and job.proto documents
them on each state; tests compare all three.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NewType

from libs.dataplane.naming import runner_job_id as _runner_job_id
from libs.dataplane.naming import runner_job_name

JobName = NewType("JobName", str)
"""`jobs/{job}`."""
Incarnation = NewType("Incarnation", int)
"""Number of a start of a job; 0 before the first."""
RunnerJobId = NewType("RunnerJobId", str)
"""32 hex digits: what the runner calls one incarnation."""
RunnerJobName = NewType("RunnerJobName", str)
"""What the runner calls the job, the same for every incarnation."""

HISTORY_LENGTH = 20


class State(enum.Enum):
    """What is the case with a job; see JobState in job.proto for what each means."""

    PENDING = "PENDING"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    BACKOFF = "BACKOFF"
    DRAINED = "DRAINED"
    CANCELLED = "CANCELLED"

    @property
    def is_terminal(self) -> bool:
        return not TRANSITIONS[self]


TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset({State.STARTING, State.STOPPED, State.DRAINED, State.CANCELLED}),
    State.STARTING: frozenset({State.RUNNING, State.STOPPING, State.BACKOFF}),
    State.RUNNING: frozenset({State.STOPPING, State.BACKOFF, State.STARTING}),
    State.STOPPING: frozenset({State.STARTING, State.STOPPED, State.DRAINED, State.CANCELLED}),
    State.STOPPED: frozenset({State.STARTING, State.DRAINED, State.CANCELLED}),
    State.BACKOFF: frozenset({State.STARTING, State.STOPPED, State.DRAINED, State.CANCELLED}),
    State.DRAINED: frozenset(),
    State.CANCELLED: frozenset(),
}


class IllegalTransition(Exception):
    """A decision asked for a transition that the table does not have: a bug, never a state of the world."""


class Wish(enum.Enum):
    """What is to be done with a job, all hands considered."""

    RUN = "run"
    HIBERNATE = "hibernate"
    PAUSE = "pause"
    DRAIN = "drain"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Desire:
    """One flag per hand. DELETE (cancel before drain) > PAUSE > HIBERNATE > RUN."""

    drain: bool = False
    cancel: bool = False
    pause: bool = False
    hibernate: bool = False

    @property
    def wish(self) -> Wish:
        if self.cancel:
            return Wish.CANCEL
        if self.drain:
            return Wish.DRAIN
        if self.pause:
            return Wish.PAUSE
        return Wish.HIBERNATE if self.hibernate else Wish.RUN


@dataclass(frozen=True, slots=True)
class Spec:
    """A JobSpec as the state machine sees it: opaque bytes, and the few things it must know of them."""

    serialized: bytes = field(repr=False)
    """The deterministic serialization of sluice.dataplane.v1.JobSpec."""
    digest: str
    """SHA-256 of `serialized`, hex."""
    shards: int
    control_bootstrap: str
    """Bootstrap servers of the sinks' cluster: the job's positions, `sluice.control` and `sluice.reports` are there."""

    @classmethod
    def of(cls, serialized: bytes, shards: int, control_bootstrap: str) -> Spec:
        return cls(serialized, hashlib.sha256(serialized).hexdigest(), shards, control_bootstrap)


@dataclass(frozen=True, slots=True)
class KnownTopic:
    """Partitions 0 ... partitions-1 of an input topic have committed positions."""

    topic: str
    topic_id: str
    partitions: int


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a job, for the history."""

    incarnation: Incarnation
    spec_digest: str
    start_time: datetime
    end_time: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class JobRecord:
    """All that the deployer keeps of a job."""

    name: JobName
    spec: Spec
    desire: Desire
    state: State
    state_reason: str
    state_time: datetime
    generation: int
    observed_generation: int
    incarnation: Incarnation
    failures: int
    create_time: datetime
    update_time: datetime
    next_start_time: datetime | None = None
    running: Spec | None = None
    """What the newest incarnation was started with."""
    submitted: bool = False
    """The runner accepted the submission of the newest incarnation."""
    stop_sent: bool = False
    """The stop record for the newest incarnation is in `sluice.control`."""
    fenced: bool = False
    """The control record of the newest incarnation is written and its predecessors' producers are fenced."""
    fence_shards: int = 0
    """Transactional ids 0 ... fence_shards-1 are to be fenced before the newest incarnation is submitted."""
    control_cleared: bool = False
    """The tombstone of an ended job is in `sluice.control`."""
    known_topics: tuple[KnownTopic, ...] = ()
    history: tuple[Start, ...] = ()
    """Newest first, at most HISTORY_LENGTH."""

    @property
    def runner_job_id(self) -> RunnerJobId:
        return runner_job_id(self.name, self.incarnation)

    @property
    def runner_job_name(self) -> RunnerJobName:
        return RunnerJobName(runner_job_name(self.name))

    @property
    def occupied(self) -> bool:
        """Something of the newest incarnation may be on the runner."""
        return self.state in (State.STARTING, State.RUNNING, State.STOPPING)

    @property
    def settled(self) -> bool:
        """The actual state is the desired one."""
        match self.desire.wish:
            case Wish.RUN:
                return (
                    self.state is State.RUNNING
                    and self.running is not None
                    and self.running.digest == self.spec.digest
                )
            case Wish.PAUSE | Wish.HIBERNATE:
                return self.state is State.STOPPED
            case Wish.DRAIN | Wish.CANCEL:
                return self.state.is_terminal


def runner_job_id(job: JobName, incarnation: int) -> RunnerJobId:
    """Deterministic, so that a submission that is repeated after a crash is refused instead of doubled."""
    return RunnerJobId(_runner_job_id(job, incarnation))


def moved(record: JobRecord, state: State, reason: str, now: datetime) -> JobRecord:
    """`record` in another state. Raises IllegalTransition. Leaving the runner ends the start in the history."""
    if state not in TRANSITIONS[record.state]:
        raise IllegalTransition(f"{record.name}: {record.state.value} -> {state.value}")
    after = replace(record, state=state, state_reason=reason, state_time=now, next_start_time=None)
    return after if after.occupied or not record.occupied else _ended(after, reason, now)


def allocated(record: JobRecord, above: int, reason: str, now: datetime) -> JobRecord:
    """`record` with a new incarnation to be started, numbered above the record's and `above`."""
    if record.occupied:
        record = _ended(record, reason, now)
    unfenced = 0 if record.fenced else record.fence_shards
    predecessors = max(unfenced, record.running.shards if record.running else 0)
    incarnation = Incarnation(max(record.incarnation, above) + 1)
    start = Start(incarnation, record.spec.digest, now, None, reason)
    fresh = replace(
        record,
        incarnation=incarnation,
        running=record.spec,
        submitted=False,
        stop_sent=False,
        fenced=False,
        fence_shards=max(predecessors, record.spec.shards) if incarnation > 1 else 0,
        history=(start, *record.history)[:HISTORY_LENGTH],
    )
    return moved(fresh, State.STARTING, reason, now)


def _ended(record: JobRecord, reason: str, now: datetime) -> JobRecord:
    if not record.history or record.history[0].end_time is not None:
        return record
    newest = record.history[0]
    why = f"{newest.reason} Ended: {reason}" if newest.reason else f"Ended: {reason}"
    return replace(record, history=(replace(newest, end_time=now, reason=why), *record.history[1:]))


class RunnerPhase(enum.Enum):
    """What the runner says of one incarnation."""

    UNKNOWN = "unknown"
    """The runner did not answer: never taken for a failure."""
    ABSENT = "absent"
    """The runner answered that it does not know the job."""
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    """It failed, and the runner itself is starting it again."""
    ENDING = "ending"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_live(self) -> bool:
        return self in (self.STARTING, self.RUNNING, self.RESTARTING, self.ENDING)

    @property
    def is_terminal(self) -> bool:
        return self in (self.FINISHED, self.FAILED, self.CANCELLED)

    @property
    def is_over(self) -> bool:
        """Nothing of it runs, and nothing will."""
        return self.is_terminal or self is self.ABSENT


class ShardPhase(enum.Enum):
    """What a shard says of itself."""

    CLAIMING = "claiming"
    RUNNING = "running"
    STOPPED = "stopped"
    SUPERSEDED = "superseded"
    FAILED = "failed"

    @property
    def has_ended(self) -> bool:
        return self in (self.STOPPED, self.SUPERSEDED, self.FAILED)


@dataclass(frozen=True, slots=True)
class ShardStatus:
    """The newest report of one shard. `received` is when the deployer read it; `error` is empty when all is well."""

    shard: int
    incarnation: Incarnation
    phase: ShardPhase
    received: datetime
    error: str = ""
    known_topics: tuple[KnownTopic, ...] = ()


@dataclass(frozen=True, slots=True)
class ShardReports:
    """What is known of a job's shards. `readable_since` is None while `sluice.reports` cannot be read."""

    readable_since: datetime | None
    statuses: tuple[ShardStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """The world as it concerns one job."""

    phase: RunnerPhase
    """Of the newest incarnation."""
    shards: ShardReports
    runner_error: str = ""
    """Why `phase` is UNKNOWN, or the root cause of a failure or restart."""
    live_predecessors: tuple[RunnerJobId, ...] = ()
    """Older incarnations of this job that still live on the runner, though nobody ends them."""
    ending_predecessors: tuple[RunnerJobId, ...] = ()
    """Older incarnations that the runner is ending."""
    foreign: tuple[RunnerJobId, ...] = ()
    """Jobs of this job's name on the runner that no incarnation of it explains."""

    @property
    def predecessor_lives(self) -> bool:
        return bool(self.live_predecessors or self.ending_predecessors)


@dataclass(frozen=True, slots=True)
class Policy:
    """The bounds of the state machine; see DeployerSettings for what each means."""

    stop_timeout: timedelta = timedelta(seconds=30)
    healthy_after: timedelta = timedelta(seconds=60)
    report_timeout: timedelta = timedelta(seconds=30)
    first_backoff: timedelta = timedelta(seconds=1)
    longest_backoff: timedelta = timedelta(minutes=5)
    control_retention: timedelta = timedelta(days=1)

    def backoff(self, failures: int, jitter: float) -> timedelta:
        """The wait before the start that follows `failures` (at least 1) failures in a row.

        Doubles each time; `jitter` in [0, 1) takes off up to a fifth, so that many jobs do not start in step.
        """
        doublings: int = 2 ** min(max(failures - 1, 0), 30)
        whole = min(self.first_backoff * doublings, self.longest_backoff)
        return max(whole * (1 - 0.2 * jitter), min(self.first_backoff, whole))
