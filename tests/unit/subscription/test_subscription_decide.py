"""What a record needs next, and what the tenant is told: tables, and properties over all records."""

import itertools
from collections.abc import Iterator

import pytest

from services.subscription.compile import spec_digest
from services.subscription.decide import ENDED, Step, job_ended, next_step, status_of, waits_for_job
from services.subscription.records import Record, set_spec
from sluice.deployer.v1 import job_pb2
from sluice.subscription.v1 import subscription_pb2
from tests.unit.subscription.subscriptions import NAME, compiled, record, wish

FIRST = compiled(wish(name=NAME))
SECOND = compiled(wish("SELECT number FROM events", name=NAME))
BARE = record()
JOB_STATES = job_pb2.JobState.values()


def make(**changes: object) -> Record:
    """A subscription that runs as asked, but for `changes`."""
    made = record(prepared=True, applied=True)
    made.job.state = job_pb2.JOB_STATE_RUNNING
    made.job.state_reason = "All 2 shards are running."
    made.job.running_spec_digest = spec_digest(FIRST)
    for field, value in changes.items():
        match field:
            case "deleting":
                made.subscription.state = subscription_pb2.SUBSCRIPTION_STATE_DELETING
            case "paused":
                made.subscription.paused = bool(value)
            case "new_spec":
                set_spec(made, SECOND)
            case "job_state":
                made.job.state = value  # type: ignore[assignment]  # a state, as the keyword says
            case "hibernate":
                made.job.hibernate = bool(value)
            case "job":
                made.ClearField("job")
            case "applied_spec":
                made.ClearField("applied_spec")
            case _:
                setattr(made, field, value)
    return made


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({}, Step.NOTHING),
        ({"compile_due": True}, Step.COMPILE),
        ({"prepared_digest": ""}, Step.PREPARE),
        ({"applied_spec": None}, Step.APPLY),
        ({"new_spec": True}, Step.PREPARE),
        ({"new_spec": True, "prepared_digest": spec_digest(SECOND)}, Step.APPLY),
        ({"new_spec": True, "compile_due": True}, Step.COMPILE),
        # A pause waits for nothing, and stops what runs with the spec that it runs.
        ({"paused": True}, Step.HALT),
        ({"paused": True, "compile_due": True}, Step.HALT),
        ({"paused": True, "new_spec": True}, Step.HALT),
        ({"paused": True, "new_spec": True, "applied_paused": True}, Step.PREPARE),
        ({"paused": True, "applied_paused": True}, Step.NOTHING),
        ({"paused": True, "applied_spec": None, "prepared_digest": ""}, Step.PREPARE),
        # A resume goes ahead of a compilation, never ahead of a changed statement.
        ({"applied_paused": True}, Step.APPLY),
        ({"applied_paused": True, "compile_due": True}, Step.APPLY),
        ({"applied_paused": True, "new_spec": True}, Step.PREPARE),
        ({"deleting": True}, Step.DRAIN),
        ({"deleting": True, "compile_due": True, "paused": True}, Step.DRAIN),
        ({"deleting": True, "drain_requested": True}, Step.NOTHING),
        ({"deleting": True, "applied_spec": None, "job": None}, Step.DRAIN),
        ({"deleting": True, "prepared_digest": "", "applied_spec": None, "job": None}, Step.FORGET),
        *(({"deleting": True, "job_state": state}, Step.FORGET) for state in ENDED),
        *(({"new_spec": True, "job_state": state}, Step.NOTHING) for state in ENDED),
    ],
    ids=str,
)
def test_the_next_step_follows_from_the_record(changes: dict[str, object], step: Step) -> None:
    assert next_step(make(**changes)) is step


PROVISIONING = subscription_pb2.SUBSCRIPTION_STATE_PROVISIONING
ACTIVE = subscription_pb2.SUBSCRIPTION_STATE_ACTIVE
PAUSED = subscription_pb2.SUBSCRIPTION_STATE_PAUSED
HIBERNATED = subscription_pb2.SUBSCRIPTION_STATE_HIBERNATED
DEGRADED = subscription_pb2.SUBSCRIPTION_STATE_DEGRADED
FAILED = subscription_pb2.SUBSCRIPTION_STATE_FAILED
DELETING = subscription_pb2.SUBSCRIPTION_STATE_DELETING

# Job state -> subscription state, reconciling: when it should run, when it is paused, when it hibernates.
BY_JOB_STATE = {
    job_pb2.JOB_STATE_UNSPECIFIED: ((PROVISIONING, True), (PROVISIONING, True), (PROVISIONING, True)),
    job_pb2.JOB_STATE_PENDING: ((PROVISIONING, True), (PROVISIONING, True), (PROVISIONING, True)),
    job_pb2.JOB_STATE_STARTING: ((PROVISIONING, True), (PROVISIONING, True), (PROVISIONING, True)),
    job_pb2.JOB_STATE_RUNNING: ((ACTIVE, False), (PROVISIONING, True), (ACTIVE, False)),
    job_pb2.JOB_STATE_STOPPING: ((PROVISIONING, True), (PROVISIONING, True), (PROVISIONING, True)),
    job_pb2.JOB_STATE_STOPPED: ((PROVISIONING, True), (PAUSED, False), (HIBERNATED, False)),
    job_pb2.JOB_STATE_BACKOFF: ((DEGRADED, True), (DEGRADED, True), (DEGRADED, True)),
    job_pb2.JOB_STATE_DRAINED: ((FAILED, False), (FAILED, False), (FAILED, False)),
    job_pb2.JOB_STATE_CANCELLED: ((FAILED, False), (FAILED, False), (FAILED, False)),
}


def test_the_table_has_every_state_of_a_job() -> None:
    assert sorted(BY_JOB_STATE) == sorted(JOB_STATES)


@pytest.mark.parametrize("state", JOB_STATES, ids=job_pb2.JobState.Name)
def test_every_state_of_the_job_has_a_state_of_the_subscription(state: job_pb2.JobState) -> None:
    run, pause, hibernate = BY_JOB_STATE[state]
    settings: list[tuple[dict[str, object], tuple[int, bool]]] = [
        ({}, run),
        ({"paused": True, "applied_paused": True}, pause),
        ({"hibernate": True}, hibernate),
    ]
    for changes, expected in settings:
        status = status_of(make(job_state=state, **changes))
        assert (status.state, status.reconciling) == expected
        assert status.reason


@pytest.mark.parametrize(
    ("changes", "state", "reconciling", "words"),
    [
        ({}, ACTIVE, False, "All 2 shards"),
        ({"compile_due": True}, ACTIVE, True, "All 2 shards"),
        ({"new_spec": True}, PROVISIONING, True, "topics and output schema"),
        ({"paused": True}, PROVISIONING, True, "told to stop"),
        ({"applied_spec": None, "job": None, "compile_due": True}, PROVISIONING, True, "being compiled"),
        ({"applied_spec": None, "job": None}, PROVISIONING, True, "told to run"),
        ({"job": None}, PROVISIONING, True, "about to start"),
        ({"problem": "waiting for deployer"}, DEGRADED, True, "waiting for deployer"),
        ({"problem": "refused", "problem_is_final": True}, DEGRADED, False, "as it was last accepted"),
        (
            {"problem": "refused", "problem_is_final": True, "applied_spec": None, "job": None},
            FAILED,
            False,
            "refused",
        ),
        ({"job_state": job_pb2.JOB_STATE_DRAINED}, FAILED, False, "create it again"),
        ({"deleting": True}, DELETING, True, "drains"),
        ({"deleting": True, "problem": "waiting for deployer"}, DELETING, True, "waiting for deployer"),
    ],
    ids=str,
)
def test_the_tenant_is_told_what_is_the_case(
    changes: dict[str, object], state: int, reconciling: bool, words: str
) -> None:
    status = status_of(make(**changes))
    assert (status.state, status.reconciling) == (state, reconciling)
    assert words in status.reason


def test_a_replacement_says_that_the_old_job_still_runs() -> None:
    running = make(new_spec=True, prepared_digest=spec_digest(SECOND))
    running.applied_spec.CopyFrom(SECOND)
    status = status_of(running)
    assert (status.state, status.reconciling) == (PROVISIONING, True)
    assert "the old one runs" in status.reason


def every_record() -> Iterator[Record]:
    digests = ("", spec_digest(FIRST), spec_digest(SECOND))
    specs = (None, FIRST, SECOND)
    flags = (False, True)
    for prepared, applied, paused, applied_paused, due, deleting, drain, state in itertools.product(
        digests, specs, flags, flags, flags, flags, flags, (None, *JOB_STATES)
    ):
        made = Record()
        made.CopyFrom(BARE)
        made.prepared_digest, made.compile_due, made.drain_requested = prepared, due, drain
        if applied is not None:
            made.applied_spec.CopyFrom(applied)
        made.applied_paused, made.subscription.paused = applied_paused, paused
        if state is not None:
            made.job.state = state  # type: ignore[assignment]  # one of JobState's values
        if deleting:
            made.subscription.state = DELETING
        yield made


def _outcome(made: Record, step: Step) -> bool:
    """What the step records when all goes well; False when the record is gone."""
    match step:
        case Step.HALT:
            made.applied_paused = made.subscription.paused
        case Step.COMPILE:
            made.compile_due = False
        case Step.PREPARE:
            made.prepared_digest = spec_digest(made.spec)
        case Step.APPLY:
            made.applied_spec.CopyFrom(made.spec)
            made.applied_paused = made.subscription.paused
        case Step.DRAIN:
            made.drain_requested = True
        case Step.FORGET:
            return False
    return True


def test_fromevery_record_a_few_steps_lead_to_nothing_left_to_do() -> None:
    seen = 0
    for made in every_record():
        seen += 1
        taken = []
        while (step := next_step(made)) is not Step.NOTHING:
            taken.append(step)
            assert len(taken) <= 4, taken
            if not _outcome(made, step):
                break
        assert len(set(taken)) == len(taken), f"a step was taken twice: {taken}"
        if taken[-1:] != [Step.FORGET] and not job_ended(made) and made.subscription.state != DELETING:
            assert made.applied_spec == made.spec and made.applied_paused == made.subscription.paused
    assert seen == 3 * 3 * 2**5 * (1 + len(JOB_STATES))


def test_nothing_is_applied_that_was_not_prepared_unless_it_ran_before() -> None:
    for made in every_record():
        step = next_step(made)
        if step is Step.APPLY and made.prepared_digest != spec_digest(made.spec):
            assert spec_digest(made.applied_spec) == spec_digest(made.spec)
        if step is Step.FORGET:
            assert job_ended(made) or not made.prepared_digest


@pytest.mark.parametrize(("problem", "final"), [("", False), ("away", False), ("refused", True)])
def test_what_is_settled_needs_no_step_and_what_needs_one_is_not_called_settled(
    problem: str, final: bool
) -> None:
    for made in every_record():
        made.problem, made.problem_is_final = problem, final
        status = status_of(made)
        made.subscription.reconciling = status.reconciling
        assert status.reason or status.state == ACTIVE
        if waits_for_job(made):
            assert next_step(made) is Step.NOTHING and status.reconciling
        if status.state in (ACTIVE, PAUSED, HIBERNATED) and not status.reconciling:
            assert next_step(made) is Step.NOTHING
