"""What to do for a job next: pure functions from what is wished and what is seen to a list of actions.

Actions are carried out in their order; the first that fails ends the list, and the job is decided again. Every
list is safe to repeat from its start: `Write` comes after the acts it tells of and before those it announces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from services.deployer import reasons
from services.deployer.model import (
    Incarnation,
    JobRecord,
    KnownTopic,
    Observation,
    Policy,
    RunnerJobId,
    RunnerPhase,
    ShardPhase,
    ShardReports,
    ShardStatus,
    State,
    Wish,
    allocated,
    moved,
)


@dataclass(frozen=True, slots=True)
class Write:
    """Record this, if nobody was faster."""

    record: JobRecord
    reason: str


@dataclass(frozen=True, slots=True)
class WriteControl:
    """Speak to the shards of the newest incarnation (and end those of older ones)."""

    stop: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ClearControl:
    """Remove the job's control record: it ended long ago."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fence:
    """Fence the transactional ids of shards 0 ... shards-1."""

    shards: int
    reason: str


@dataclass(frozen=True, slots=True)
class Submit:
    """Build the newest incarnation's pipeline and hand it to the runner."""

    reason: str


@dataclass(frozen=True, slots=True)
class CancelOnRunner:
    """End this job on the runner at once."""

    runner_job_id: RunnerJobId
    reason: str


Action = Write | WriteControl | ClearControl | Fence | Submit | CancelOnRunner


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a decision may look at besides the record."""

    seen: Observation
    now: datetime
    policy: Policy
    jitter: float


def decide(
    record: JobRecord, seen: Observation, now: datetime, policy: Policy, jitter: float = 0.0
) -> tuple[Action, ...]:
    """The next actions for the job; none when all is as it should be. `jitter` is in [0, 1)."""
    around = Circumstances(seen, now, policy, jitter)
    strays = tuple(CancelOnRunner(stray, reasons.STRAY) for stray in seen.live_predecessors)
    actions = _HANDLERS[record.state](_with_known_topics(record, seen.shards), around)
    news = tuple(action for action in actions if not (isinstance(action, Write) and action.record == record))
    return (*strays, *news)


def start_failed(
    record: JobRecord, message: str, now: datetime, policy: Policy, jitter: float
) -> tuple[Action, ...]:
    """After a submission that the runner or the builder refused for good. Nothing of it runs."""
    return _back_off(record, reasons.start_refused(message), now, policy, jitter)


def held_up(record: JobRecord, reason: str) -> JobRecord | None:
    """The record with the reason why it does not get on, or None if it already says so."""
    if record.state_reason == reason:
        return None
    return replace(record, state_reason=reason)


def wants_failure(record: JobRecord, phase: RunnerPhase) -> bool:
    """Whether the decision needs the runner's root cause, which costs a call."""
    return record.occupied and phase in (RunnerPhase.FAILED, RunnerPhase.RESTARTING)


def must_confirm_absence(record: JobRecord) -> bool:
    """Whether ABSENT would end an incarnation, so that a listing that may be older than the record is not enough."""
    return record.occupied


def _idle(record: JobRecord, around: Circumstances) -> tuple[Action, ...]:
    """PENDING, STOPPED, BACKOFF: nothing is to run, unless it is wished."""
    phase = around.seen.phase
    if phase.is_live:
        return _cancel_once(record, phase, reasons.STRAY)
    wish = record.desire.wish
    if wish is Wish.CANCEL:
        return _move(record, State.CANCELLED, reasons.CANCELLED, around.now)
    if wish is Wish.DRAIN:
        return _move(record, State.DRAINED, reasons.DRAINED_IDLE, around.now)
    if wish in (Wish.PAUSE, Wish.HIBERNATE):
        if record.state is State.STOPPED:
            return _stay(record, reasons.asleep(wish))
        return _move(record, State.STOPPED, reasons.asleep(wish), around.now)
    if phase is RunnerPhase.UNKNOWN:
        return _stay(record, reasons.runner_unreachable(around.seen.runner_error))
    if around.seen.predecessor_lives:
        return _stay(record, reasons.PREDECESSOR_LIVES)
    if record.next_start_time is not None and around.now < record.next_start_time:
        return _observed(record)
    return _allocate(record, reasons.start_because(record.state), around)


def _starting(record: JobRecord, around: Circumstances) -> tuple[Action, ...]:
    must_stop = _reason_to_stop(record)
    if must_stop:
        return _move(record, State.STOPPING, must_stop, around.now)
    phase = around.seen.phase
    if phase is RunnerPhase.UNKNOWN:
        return _stay(record, reasons.runner_unreachable(around.seen.runner_error))
    if not record.submitted:
        return _submission(record, around)
    if phase.is_over:
        return _failed(record, around)
    if phase is RunnerPhase.RUNNING:
        missing = shards_not_running(record, around.seen.shards)
        if not missing:
            return _move(record, State.RUNNING, reasons.all_running(_shards(record)), around.now)
        return _stay(record, _waiting_for(record, missing, around))
    if phase is RunnerPhase.RESTARTING:
        return _stay(record, reasons.restarting(around.seen.runner_error))
    return _stay(record, reasons.on_its_way(phase))


def _submission(record: JobRecord, around: Circumstances) -> tuple[Action, ...]:
    if around.seen.phase is not RunnerPhase.ABSENT:
        return (Write(replace(record, submitted=True, fenced=True), reasons.ADOPTED),)
    if around.seen.predecessor_lives:
        return _stay(record, reasons.PREDECESSOR_LIVES)
    if record.fenced:
        return (
            Submit(reasons.SUBMIT),
            Write(replace(record, submitted=True, state_reason=reasons.SUBMITTED), reasons.SUBMITTED),
        )
    fence = (Fence(record.fence_shards, reasons.FENCE),) if record.fence_shards else ()
    return (
        WriteControl(False, reasons.ANNOUNCE),
        *fence,
        Write(replace(record, fenced=True), reasons.ANNOUNCED),
    )


def _running(record: JobRecord, around: Circumstances) -> tuple[Action, ...]:
    must_stop = _reason_to_stop(record)
    if must_stop:
        return _move(record, State.STOPPING, must_stop, around.now)
    phase = around.seen.phase
    healthy = around.now - record.state_time >= around.policy.healthy_after
    if phase is RunnerPhase.UNKNOWN:
        return _stay(record, reasons.runner_unreachable(around.seen.runner_error))
    if phase is RunnerPhase.ABSENT and healthy:
        return _allocate(record, reasons.FORGOTTEN, around)
    if phase.is_over:
        return _failed(record, around)
    if phase is RunnerPhase.RESTARTING:
        return _move(record, State.STARTING, reasons.restarting(around.seen.runner_error), around.now)
    if phase is not RunnerPhase.RUNNING:
        return _move(record, State.STARTING, reasons.on_its_way(phase), around.now)
    if around.seen.shards.readable_since is None:
        return _stay(record, reasons.REPORTS_UNREADABLE)
    lost = shards_lost(record, around.seen.shards, around.now, around.policy)
    if lost:
        return _move(record, State.STARTING, _waiting_for(record, lost, around), around.now)
    if healthy and record.failures:
        record = replace(record, failures=0)
        return (Write(replace(record, state_reason=_well(record, around)), reasons.HEALTHY),)
    return _stay(record, _well(record, around))


def _stopping(record: JobRecord, around: Circumstances) -> tuple[Action, ...]:
    phase = around.seen.phase
    if phase.is_over:
        return _after_stop(record, around)
    wish = record.desire.wish
    overdue = around.now - record.state_time >= around.policy.stop_timeout
    ended = _every_shard_ended(record, around.seen.shards)
    actions: tuple[Action, ...] = ()
    if phase.is_live and (wish is Wish.CANCEL or overdue or ended):
        why = reasons.ALL_ENDED if ended else reasons.OVERDUE if overdue else reasons.CANCEL_WISHED
        actions = _cancel_once(record, phase, why)
    if not record.stop_sent:
        return (
            *actions,
            WriteControl(True, reasons.STOP),
            Write(replace(record, stop_sent=True), reasons.STOP),
        )
    if phase is RunnerPhase.UNKNOWN:
        return _stay(record, reasons.runner_unreachable(around.seen.runner_error))
    return (*actions, *_observed(record))


def _after_stop(record: JobRecord, around: Circumstances) -> tuple[Action, ...]:
    match record.desire.wish:
        case Wish.CANCEL:
            return _move(record, State.CANCELLED, reasons.CANCELLED, around.now)
        case Wish.DRAIN:
            return _move(record, State.DRAINED, reasons.DRAINED, around.now)
        case Wish.PAUSE | Wish.HIBERNATE as wish:
            return _move(record, State.STOPPED, reasons.asleep(wish), around.now)
        case Wish.RUN:
            if around.seen.predecessor_lives:
                return _stay(record, reasons.PREDECESSOR_LIVES)
            return _allocate(record, reasons.REPLACEMENT, around)


def _ended(record: JobRecord, around: Circumstances) -> tuple[Action, ...]:
    """DRAINED, CANCELLED: nothing of it may run, and its control record goes after a while."""
    if around.seen.phase.is_live:
        return _cancel_once(record, around.seen.phase, reasons.STRAY)
    kept = around.now - record.state_time < around.policy.control_retention
    if record.control_cleared or record.incarnation == 0 or kept:
        return _observed(record)
    return (
        ClearControl(reasons.LONG_ENDED),
        Write(replace(record, control_cleared=True), reasons.LONG_ENDED),
    )


_HANDLERS: Mapping[State, Callable[[JobRecord, Circumstances], tuple[Action, ...]]] = {
    State.PENDING: _idle,
    State.STOPPED: _idle,
    State.BACKOFF: _idle,
    State.STARTING: _starting,
    State.RUNNING: _running,
    State.STOPPING: _stopping,
    State.DRAINED: _ended,
    State.CANCELLED: _ended,
}


def shards_not_running(record: JobRecord, reports: ShardReports) -> tuple[int, ...]:
    """Shards of the newest incarnation that do not say RUNNING."""
    running = {status.shard for status in _own(record, reports) if status.phase is ShardPhase.RUNNING}
    return tuple(shard for shard in range(_shards(record)) if shard not in running)


def shards_lost(record: JobRecord, reports: ShardReports, now: datetime, policy: Policy) -> tuple[int, ...]:
    """Shards of a RUNNING job that say otherwise, or said nothing for too long although they could be heard."""
    if reports.readable_since is None:
        return ()
    own = {status.shard: status for status in _own(record, reports)}
    listening_since = max(reports.readable_since, record.state_time)
    lost = []
    for shard in range(_shards(record)):
        status = own.get(shard)
        heard = max(listening_since, status.received) if status else listening_since
        says_otherwise = status is not None and status.phase is not ShardPhase.RUNNING
        if says_otherwise or now - heard > policy.report_timeout:
            lost.append(shard)
    return tuple(lost)


def _own(record: JobRecord, reports: ShardReports) -> tuple[ShardStatus, ...]:
    return tuple(status for status in reports.statuses if status.incarnation == record.incarnation)


def _shards(record: JobRecord) -> int:
    return (record.running or record.spec).shards


def _every_shard_ended(record: JobRecord, reports: ShardReports) -> bool:
    ended = {status.shard for status in _own(record, reports) if status.phase.has_ended}
    return ended >= set(range(_shards(record)))


def _well(record: JobRecord, around: Circumstances) -> str:
    """The reason of a RUNNING job: usually that all is well, else what a shard or the runner complains of."""
    if around.seen.foreign:
        return reasons.foreign(around.seen.foreign)
    stalled = [status for status in _own(record, around.seen.shards) if status.error]
    if stalled:
        return reasons.stalled(stalled[0].shard, stalled[0].error)
    return reasons.all_running(_shards(record))


def _waiting_for(record: JobRecord, shards: tuple[int, ...], around: Circumstances) -> str:
    if around.seen.shards.readable_since is None:
        return reasons.REPORTS_UNREADABLE
    complaints = [
        status for status in _own(record, around.seen.shards) if status.shard in shards and status.error
    ]
    return reasons.waiting_for(
        shards, f"shard {complaints[0].shard}: {complaints[0].error}" if complaints else ""
    )


def _reason_to_stop(record: JobRecord) -> str:
    wish = record.desire.wish
    if wish is not Wish.RUN:
        return reasons.stop_because(wish)
    if record.running is None or record.running.digest != record.spec.digest:
        return reasons.NEW_SPEC
    return ""


def _failed(record: JobRecord, around: Circumstances) -> tuple[Action, ...]:
    """The newest incarnation is over although nobody asked for it."""
    healthy = record.state is State.RUNNING and around.now - record.state_time >= around.policy.healthy_after
    fresh = replace(record, failures=0) if healthy else record
    why = reasons.ended_by_itself(around.seen.phase, around.seen.runner_error)
    return _back_off(fresh, why, around.now, around.policy, around.jitter)


def _back_off(
    record: JobRecord, why: str, now: datetime, policy: Policy, jitter: float
) -> tuple[Action, ...]:
    failures = record.failures + 1
    after = moved(record, State.BACKOFF, why, now)
    next_start = now + policy.backoff(failures, jitter)
    return (Write(_seen(replace(after, failures=failures, next_start_time=next_start)), why),)


def _allocate(record: JobRecord, why: str, around: Circumstances) -> tuple[Action, ...]:
    reported = max((status.incarnation for status in around.seen.shards.statuses), default=Incarnation(0))
    return (Write(_seen(allocated(record, reported, why, around.now)), why),)


def _cancel_once(record: JobRecord, phase: RunnerPhase, why: str) -> tuple[Action, ...]:
    return () if phase is RunnerPhase.ENDING else (CancelOnRunner(record.runner_job_id, why),)


def _move(record: JobRecord, state: State, why: str, now: datetime) -> tuple[Action, ...]:
    return (Write(_seen(moved(record, state, why, now)), why),)


def _stay(record: JobRecord, why: str) -> tuple[Action, ...]:
    """Same state; recorded if the reason, or anything else, is news."""
    return _observed(replace(record, state_reason=why))


def _observed(record: JobRecord) -> tuple[Action, ...]:
    return (Write(_seen(record), record.state_reason),)


def _seen(record: JobRecord) -> JobRecord:
    return replace(record, observed_generation=record.generation)


def _with_known_topics(record: JobRecord, reports: ShardReports) -> JobRecord:
    """Positions are known once every shard of the newest incarnation committed its own; the counts only grow."""
    own = _own(record, reports)
    if record.running is None or {status.shard for status in own if status.known_topics} != set(
        range(_shards(record))
    ):
        return record
    known = {topic.topic_id: topic for topic in record.known_topics}
    for topic_id, told in _agreed(own).items():
        if topic_id not in known or known[topic_id].partitions < told.partitions:
            known[topic_id] = told
    return replace(record, known_topics=tuple(sorted(known.values(), key=lambda topic: topic.topic_id)))


def _agreed(statuses: tuple[ShardStatus, ...]) -> dict[str, KnownTopic]:
    """Per topic that all shards told of, the smallest number of partitions."""
    told: dict[str, list[KnownTopic]] = {}
    for status in statuses:
        for topic in status.known_topics:
            told.setdefault(topic.topic_id, []).append(topic)
    return {
        topic_id: min(topics, key=lambda topic: topic.partitions)
        for topic_id, topics in told.items()
        if len(topics) == len(statuses)
    }
