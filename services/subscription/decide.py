"""What a subscription needs next, and what its state is: pure decisions."""

from dataclasses import dataclass
from enum import Enum, auto

from services.subscription.compile import spec_digest
from sluice.deployer.v1 import job_pb2
from sluice.subscription.v1 import record_pb2, subscription_pb2

ENDED = (job_pb2.JOB_STATE_DRAINED, job_pb2.JOB_STATE_CANCELLED)
"""A job in one of these is never started again."""


class Step(Enum):
    """The one thing to do next. Each may be repeated after a crash without harm."""

    HALT = auto()
    """Stop what runs, whatever else is due: a pause waits for nothing."""
    COMPILE = auto()
    PREPARE = auto()
    APPLY = auto()
    DRAIN = auto()
    FORGET = auto()
    NOTHING = auto()


def next_step(record: record_pb2.SubscriptionRecord) -> Step:
    """Decide from the record alone: everything known of other services is written there first."""
    if is_deleting(record):
        # Nothing was applied before it was prepared. Afterwards an ApplyJob may be under way, its answer lost.
        if not record.prepared_digest or job_ended(record):
            return Step.FORGET
        return Step.NOTHING if record.drain_requested else Step.DRAIN
    if job_ended(record):
        return Step.NOTHING
    accepted, paused = record.HasField("applied_spec"), record.subscription.paused
    if accepted and paused and not record.applied_paused:
        return Step.HALT
    digest = spec_digest(record.spec)
    applied = accepted and spec_digest(record.applied_spec) == digest
    if applied and record.applied_paused != paused:
        return Step.APPLY
    if record.compile_due:
        return Step.COMPILE
    if record.prepared_digest != digest:
        return Step.PREPARE
    return Step.NOTHING if applied else Step.APPLY


def is_deleting(record: record_pb2.SubscriptionRecord) -> bool:
    """True once DeleteSubscription was accepted."""
    return record.subscription.state == subscription_pb2.SUBSCRIPTION_STATE_DELETING


def job_ended(record: record_pb2.SubscriptionRecord) -> bool:
    """True once the deployer said that the job ended for good."""
    return record.HasField("job") and record.job.state in ENDED


def waits_for_job(record: record_pb2.SubscriptionRecord) -> bool:
    """True when everything is done here and a fact of the deployer's has to come."""
    return next_step(record) is Step.NOTHING and record.subscription.reconciling


@dataclass(frozen=True, slots=True)
class Status:
    """The output-only fields that follow from a record."""

    state: subscription_pb2.SubscriptionState
    reason: str
    reconciling: bool


_GETTING_READY = {
    Step.HALT: "the job is told to stop",
    Step.COMPILE: "the statement is being compiled",
    Step.PREPARE: "topics and output schema are being made ready",
    Step.APPLY: "the job is told to run as asked",
}


def status_of(record: record_pb2.SubscriptionRecord) -> Status:
    """What the tenant is told."""
    if is_deleting(record):
        return Status(subscription_pb2.SUBSCRIPTION_STATE_DELETING, record.problem or "the job drains", True)
    if job_ended(record):
        text = "an operator ended the job for good: delete this subscription and create it again"
        return Status(subscription_pb2.SUBSCRIPTION_STATE_FAILED, text, False)
    if record.problem:
        return _status_of_problem(record)
    step = next_step(record)
    # A job that runs as asked is not less active because Sluice looks whether that is still right.
    if step is Step.NOTHING or (step is Step.COMPILE and _is_applied(record)):
        status = _status_of_job(record)
        return Status(status.state, status.reason, status.reconciling or step is Step.COMPILE)
    text = "the job is told to stop" if record.subscription.paused else _GETTING_READY[step]
    return Status(subscription_pb2.SUBSCRIPTION_STATE_PROVISIONING, text, True)


def _is_applied(record: record_pb2.SubscriptionRecord) -> bool:
    return record.HasField("applied_spec") and spec_digest(record.applied_spec) == spec_digest(record.spec)


def _status_of_problem(record: record_pb2.SubscriptionRecord) -> Status:
    if not record.problem_is_final:
        return Status(subscription_pb2.SUBSCRIPTION_STATE_DEGRADED, record.problem, True)
    if record.HasField("applied_spec"):
        text = f"{record.problem}; until then the job goes on as it was last accepted"
        return Status(subscription_pb2.SUBSCRIPTION_STATE_DEGRADED, text, False)
    return Status(subscription_pb2.SUBSCRIPTION_STATE_FAILED, record.problem, False)


def _status_of_job(record: record_pb2.SubscriptionRecord) -> Status:
    job, paused = record.job, record.subscription.paused
    as_asked = job.running_spec_digest == spec_digest(record.spec)
    provisioning = subscription_pb2.SUBSCRIPTION_STATE_PROVISIONING
    match job.state:
        case job_pb2.JOB_STATE_STOPPED if paused:
            return Status(subscription_pb2.SUBSCRIPTION_STATE_PAUSED, "paused by the tenant", False)
        case job_pb2.JOB_STATE_STOPPED if job.hibernate:
            text = "the input dried up; it wakes by itself when events arrive"
            return Status(subscription_pb2.SUBSCRIPTION_STATE_HIBERNATED, text, False)
        case job_pb2.JOB_STATE_RUNNING if as_asked and not paused:
            return Status(subscription_pb2.SUBSCRIPTION_STATE_ACTIVE, job.state_reason, False)
        case job_pb2.JOB_STATE_RUNNING:
            text = (
                "the job is about to stop" if paused else "the job is about to be replaced; the old one runs"
            )
            return Status(provisioning, text, True)
        case job_pb2.JOB_STATE_BACKOFF:
            text = job.state_reason or "the job failed and is started again"
            return Status(subscription_pb2.SUBSCRIPTION_STATE_DEGRADED, text, True)
        case job_pb2.JOB_STATE_UNSPECIFIED:
            return Status(provisioning, "the job is about to start", True)
        case state:
            word = job_pb2.JobState.Name(state).removeprefix("JOB_STATE_").lower()
            return Status(provisioning, job.state_reason or f"the job is {word}", True)
