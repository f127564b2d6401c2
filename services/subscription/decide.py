"""What a subscription needs next, and what its state is: pure decisions."""

from dataclasses import dataclass
from enum import Enum, auto

from services.subscription.compile import spec_digest
from sluice.deployer.v1 import job_pb2
from sluice.subscription.v1 import record_pb2, subscription_pb2

_ENDED = (job_pb2.JOB_STATE_DRAINED, job_pb2.JOB_STATE_CANCELLED)


class Step(Enum):
    """The one thing to do next. Each may be repeated after a crash without harm."""

    PREPARE = auto()
    APPLY = auto()
    DRAIN = auto()
    FORGET = auto()
    NOTHING = auto()


def next_step(record: record_pb2.SubscriptionRecord) -> Step:
    """Decide from the record alone: everything known of other services is written there first."""
    if is_deleting(record):
        ended = record.HasField("job") and record.job.state in _ENDED
        if not record.applied_digest or ended:
            return Step.FORGET
        return Step.NOTHING if record.drain_requested else Step.DRAIN
    digest = spec_digest(record.spec)
    if record.prepared_digest != digest:
        return Step.PREPARE
    if record.applied_digest != digest or record.applied_paused != record.subscription.paused:
        return Step.APPLY
    return Step.NOTHING


def is_deleting(record: record_pb2.SubscriptionRecord) -> bool:
    """True once DeleteSubscription was accepted."""
    return record.subscription.state == subscription_pb2.SUBSCRIPTION_STATE_DELETING


@dataclass(frozen=True, slots=True)
class Status:
    """The output-only fields that follow from a record."""

    state: subscription_pb2.SubscriptionState
    reason: str
    reconciling: bool


def status_of(record: record_pb2.SubscriptionRecord) -> Status:
    """What the tenant is told."""
    if is_deleting(record):
        return Status(subscription_pb2.SUBSCRIPTION_STATE_DELETING, record.problem or "the job drains", True)
    if record.problem and record.problem_is_final:
        return Status(subscription_pb2.SUBSCRIPTION_STATE_FAILED, record.problem, False)
    if next_step(record) is not Step.NOTHING:
        reason = record.problem or "topics, schema and job are being made ready"
        return Status(subscription_pb2.SUBSCRIPTION_STATE_PROVISIONING, reason, True)
    if not record.HasField("job"):
        return Status(subscription_pb2.SUBSCRIPTION_STATE_PROVISIONING, "the job is about to start", True)
    return _status_of_job(record)


def _status_of_job(record: record_pb2.SubscriptionRecord) -> Status:
    job = record.job
    digest = spec_digest(record.spec)
    match job.state:
        case job_pb2.JOB_STATE_RUNNING if (
            job.running_spec_digest == digest and not record.subscription.paused
        ):
            return Status(subscription_pb2.SUBSCRIPTION_STATE_ACTIVE, job.state_reason, False)
        case job_pb2.JOB_STATE_STOPPED if record.subscription.paused:
            return Status(subscription_pb2.SUBSCRIPTION_STATE_PAUSED, "paused by the tenant", False)
        case job_pb2.JOB_STATE_STOPPED if job.hibernate:
            text = "the input dried up; it wakes by itself when events arrive"
            return Status(subscription_pb2.SUBSCRIPTION_STATE_HIBERNATED, text, False)
        case job_pb2.JOB_STATE_BACKOFF:
            return Status(subscription_pb2.SUBSCRIPTION_STATE_DEGRADED, job.state_reason, True)
        case state if state in _ENDED:
            text = "an operator ended the job for good: delete this subscription and create it again"
            return Status(subscription_pb2.SUBSCRIPTION_STATE_FAILED, text, False)
        case _:
            text = (
                job.state_reason
                or f"the job is {job_pb2.JobState.Name(job.state).removeprefix('JOB_STATE_')}"
            )
            return Status(subscription_pb2.SUBSCRIPTION_STATE_PROVISIONING, text, True)
