"""The loop over a simulated world: one life of a job after the other."""

from dataclasses import replace

from services.deployer import commands
from services.deployer.adapters.simulated import SimulatedJob
from services.deployer.model import (
    Incarnation,
    JobName,
    JobRecord,
    KnownTopic,
    RunnerJobId,
    RunnerPhase,
    ShardPhase,
    State,
    runner_job_id,
)
from tests.unit.deployer.conftest import JOB, Deployer, a_spec


def drained(record: JobRecord | None) -> JobRecord:
    assert record is not None
    return commands.drained(record)


def cancelled(record: JobRecord | None) -> JobRecord:
    assert record is not None
    return commands.cancelled(record)


def hibernated(record: JobRecord | None) -> JobRecord:
    assert record is not None
    return replace(record, desire=replace(record.desire, hibernate=True), generation=record.generation + 1)


async def test_a_new_job_runs_as_its_first_incarnation(deployer: Deployer) -> None:
    await deployer.apply(a_spec())
    job = await deployer.until(State.RUNNING)
    assert (job.incarnation, job.running, job.observed_generation) == (1, job.spec, job.generation)
    assert deployer.runner.submissions == [runner_job_id(JOB, Incarnation(1))]
    assert deployer.control.newest[JOB].stop is False
    assert deployer.control.fences == []


async def test_a_new_spec_replaces_the_job_under_the_same_name_after_fencing_the_most_shards(
    deployer: Deployer,
) -> None:
    await deployer.apply(a_spec(shards=5))
    await deployer.until(State.RUNNING)
    await deployer.apply(a_spec("SELECT b FROM events", shards=3))
    job = await deployer.until(State.RUNNING)
    assert job.incarnation == 2
    assert {known.name for known in deployer.runner.jobs.values()} == {job.runner_job_name}
    assert deployer.control.fences == [(JOB, 2, 5)]
    assert [(entry.incarnation, entry.stop) for entry in deployer.control.entries] == [
        (1, False),
        (1, True),
        (2, False),
    ]
    assert [start.end_time is None for start in job.history] == [True, False]


async def test_an_old_incarnation_whose_shards_are_deaf_is_cancelled_after_the_bound(
    deployer: Deployer,
) -> None:
    deployer.control.deaf = True
    await deployer.apply(a_spec())
    await deployer.until(State.RUNNING)
    await deployer.apply(a_spec("SELECT b FROM events"))
    await deployer.passes(5)
    assert (await deployer.job()).state is State.STOPPING
    assert len(deployer.runner.live(JOB)) == 1
    deployer.clock.pass_by(30)
    assert (await deployer.until(State.RUNNING)).incarnation == 2


async def test_the_next_incarnation_waits_until_the_old_one_has_really_ended(deployer: Deployer) -> None:
    await deployer.apply(a_spec())
    await deployer.until(State.RUNNING)
    deployer.runner.slow_cancel = True
    await deployer.apply(a_spec("SELECT b FROM events"))
    await deployer.passes(100)
    assert len(deployer.runner.submissions) == 1
    deployer.runner.end(runner_job_id(JOB, Incarnation(1)), RunnerPhase.CANCELLED)
    assert (await deployer.until(State.RUNNING)).incarnation == 2


async def test_a_restarted_deployer_adopts_what_runs_without_touching_it(deployer: Deployer) -> None:
    await deployer.apply(a_spec())
    before = await deployer.until(State.RUNNING)
    for _ in range(3):
        await deployer.restart()
        await deployer.passes(5)
    assert await deployer.job() == before
    assert len(deployer.runner.submissions) == 1


async def test_an_unreachable_runner_is_unknown_and_never_failed(deployer: Deployer) -> None:
    await deployer.apply(a_spec())
    await deployer.until(State.RUNNING)
    deployer.runner.away = True
    await deployer.passes(200)
    job = await deployer.job()
    assert (job.state, job.incarnation, job.failures) == (State.RUNNING, 1, 0)
    assert "runner does not answer" in job.state_reason
    deployer.runner.away = False
    await deployer.passes(3)
    assert "running" in (await deployer.job()).state_reason
    assert len(deployer.runner.submissions) == 1


async def test_a_runner_that_forgot_its_jobs_gets_a_new_incarnation(deployer: Deployer) -> None:
    await deployer.apply(a_spec())
    await deployer.until(State.RUNNING)
    await deployer.passes(1, seconds=120)
    deployer.runner.forget()
    await deployer.passes(1)
    job = await deployer.until(State.RUNNING)
    assert (job.incarnation, job.failures) == (2, 0)


async def test_a_failing_job_is_started_again_less_and_less_often_with_its_cause(
    deployer: Deployer,
) -> None:
    await deployer.apply(a_spec())
    waits = []
    for failures in range(1, 6):
        job = await deployer.until(State.RUNNING, passes=200)
        deployer.runner.end(job.runner_job_id, RunnerPhase.FAILED, "no such topic: in")
        job = await deployer.until(State.BACKOFF)
        assert job.failures == failures
        assert "no such topic: in" in job.state_reason
        assert job.next_start_time is not None
        waits.append((job.next_start_time - job.state_time).total_seconds())
    assert waits == [1, 2, 4, 8, 16]


async def test_failures_are_forgotten_once_the_job_was_healthy(deployer: Deployer) -> None:
    await deployer.apply(a_spec())
    job = await deployer.until(State.RUNNING)
    deployer.runner.end(job.runner_job_id, RunnerPhase.FAILED)
    assert (await deployer.until(State.RUNNING)).failures == 1
    await deployer.passes(1, seconds=61)
    assert (await deployer.job()).failures == 0


async def test_a_new_spec_ends_the_wait_after_a_failure(deployer: Deployer) -> None:
    deployer.builder.broken = "no such column"
    await deployer.apply(a_spec())
    for _ in range(60):
        await deployer.passes(1, seconds=60)
    job = await deployer.job()
    assert "no such column" in job.state_reason
    assert job.failures > 5
    deployer.builder.broken = ""
    await deployer.apply(a_spec("SELECT b FROM events"))
    assert (await deployer.until(State.RUNNING, passes=6)).failures == 0


async def test_a_refused_submission_is_a_failure_of_the_job(deployer: Deployer) -> None:
    deployer.runner.refuse = "Job client must be a CoordinationRequestGateway"
    await deployer.apply(a_spec())
    assert "CoordinationRequestGateway" in (await deployer.until(State.BACKOFF)).state_reason


async def test_pause_outranks_hibernate_and_a_spec_applied_to_a_sleeping_job_wakes_nobody(
    deployer: Deployer,
) -> None:
    await deployer.apply(a_spec())
    await deployer.until(State.RUNNING)
    await deployer.change(hibernated)
    assert "Hibernated" in (await deployer.until(State.STOPPED)).state_reason
    await deployer.apply(a_spec("SELECT b FROM events"), paused=True)
    await deployer.passes(5)
    assert "Paused" in (await deployer.job()).state_reason
    await deployer.apply(a_spec("SELECT b FROM events"), paused=False)
    await deployer.passes(20)
    job = await deployer.job()
    assert (job.state, job.incarnation) == (State.STOPPED, 1)
    assert "Hibernated" in job.state_reason
    assert job.observed_generation == job.generation


async def test_a_paused_job_runs_again_when_applied_unpaused(deployer: Deployer) -> None:
    await deployer.apply(a_spec(), paused=True)
    assert (await deployer.until(State.STOPPED)).incarnation == 0
    await deployer.apply(a_spec(), paused=False)
    assert (await deployer.until(State.RUNNING)).incarnation == 1


async def test_drain_tells_the_shards_to_stop_and_ends_the_job_for_good(deployer: Deployer) -> None:
    await deployer.apply(a_spec())
    await deployer.until(State.RUNNING)
    await deployer.change(drained)
    await deployer.until(State.DRAINED)
    assert deployer.runner.live(JOB) == ()
    assert deployer.control.newest[JOB].stop


async def test_cancel_does_not_wait_for_the_shards_nor_for_kafka(deployer: Deployer) -> None:
    await deployer.apply(a_spec())
    await deployer.until(State.RUNNING)
    deployer.control.deaf = deployer.control.away = True
    await deployer.change(cancelled)
    await deployer.until(State.CANCELLED)
    assert deployer.runner.live(JOB) == ()


async def test_the_control_record_of_an_ended_job_is_removed_after_a_day(deployer: Deployer) -> None:
    await deployer.apply(a_spec())
    await deployer.until(State.RUNNING)
    await deployer.change(drained)
    await deployer.until(State.DRAINED)
    await deployer.passes(3)
    assert JOB in deployer.control.newest
    await deployer.passes(2, seconds=86_400)
    assert JOB not in deployer.control.newest


async def test_kafka_away_for_a_minute_delays_the_start_and_loses_nothing(deployer: Deployer) -> None:
    deployer.control.away = True
    await deployer.apply(a_spec())
    await deployer.passes(120)
    job = await deployer.job()
    assert (job.state, job.failures, job.incarnation) == (State.STARTING, 0, 1)
    assert "sluice.control" in job.state_reason
    deployer.control.away = False
    assert (await deployer.until(State.RUNNING)).incarnation == 1


async def test_the_store_away_for_a_minute_is_survived(deployer: Deployer) -> None:
    await deployer.apply(a_spec())
    await deployer.passes(1)
    deployer.server.available = False
    await deployer.passes(120)
    deployer.server.available = True
    assert (await deployer.until(State.RUNNING)).incarnation == 1
    assert len(deployer.runner.submissions) == 1


async def test_reports_that_cannot_be_read_do_not_make_a_running_job_flap(deployer: Deployer) -> None:
    await deployer.apply(a_spec())
    running = await deployer.until(State.RUNNING)
    deployer.reports.readable_since = None
    await deployer.passes(200)
    job = await deployer.job()
    assert (job.state, job.state_time) == (State.RUNNING, running.state_time)
    assert "sluice.reports" in job.state_reason


async def test_a_job_without_reports_stays_starting_and_says_what_it_waits_for(deployer: Deployer) -> None:
    await deployer.apply(a_spec(shards=3))
    await deployer.passes(3)
    await deployer.until(State.RUNNING)
    (job,) = deployer.runner.live(JOB)
    job.shards_phase = ShardPhase.CLAIMING
    await deployer.passes(2)
    record = await deployer.job()
    assert record.state is State.STARTING
    assert "shards 0, 1, 2" in record.state_reason


async def test_a_restart_by_the_runner_is_not_a_new_incarnation(deployer: Deployer) -> None:
    await deployer.apply(a_spec())
    job = await deployer.until(State.RUNNING)
    deployer.runner.end(job.runner_job_id, RunnerPhase.RESTARTING, "worker died")
    await deployer.passes(3)
    record = await deployer.job()
    assert (record.state, record.incarnation) == (State.STARTING, 1)
    assert "worker died" in record.state_reason
    deployer.runner.end(job.runner_job_id, RunnerPhase.RUNNING)
    assert (await deployer.until(State.RUNNING)).incarnation == 1
    assert len(deployer.runner.submissions) == 1


async def test_an_old_incarnation_that_shows_up_alive_is_cancelled(deployer: Deployer) -> None:
    await deployer.apply(a_spec())
    old = (await deployer.until(State.RUNNING)).runner_job_id
    await deployer.apply(a_spec("SELECT b FROM events"))
    await deployer.until(State.RUNNING)
    deployer.runner.jobs[old].phase = RunnerPhase.RUNNING
    await deployer.passes(2)
    assert deployer.runner.jobs[old].phase is RunnerPhase.CANCELLED
    assert (await deployer.job()).state is State.RUNNING


async def test_a_foreign_job_under_our_name_is_told_of_and_left_alone(deployer: Deployer) -> None:
    await deployer.apply(a_spec())
    job = await deployer.until(State.RUNNING)
    foreign = RunnerJobId("f" * 32)
    deployer.runner.jobs[foreign] = SimulatedJob(
        foreign, job.runner_job_name, JobName("jobs/other"), Incarnation(9), 1, RunnerPhase.RUNNING
    )
    await deployer.passes(3)
    assert deployer.runner.jobs[foreign].phase is RunnerPhase.RUNNING
    assert foreign in (await deployer.job()).state_reason


async def test_a_submission_that_lands_late_on_a_stopped_job_is_cancelled(deployer: Deployer) -> None:
    await deployer.apply(a_spec())
    job = await deployer.until(State.RUNNING)
    await deployer.change(drained)
    await deployer.until(State.DRAINED)
    deployer.runner.jobs[job.runner_job_id].phase = RunnerPhase.RUNNING
    await deployer.passes(2)
    assert deployer.runner.live(JOB) == ()


async def test_what_the_shards_know_of_their_topics_is_given_back_to_the_next_incarnation(
    deployer: Deployer,
) -> None:
    deployer.reports.known_topics = (KnownTopic("in", "id-1", 8),)
    await deployer.apply(a_spec())
    await deployer.until(State.RUNNING)
    await deployer.passes(2)
    deployer.reports.known_topics = (KnownTopic("in", "id-1", 6),)
    await deployer.passes(2)
    await deployer.apply(a_spec("SELECT b FROM events"))
    await deployer.until(State.RUNNING)
    assert deployer.control.newest[JOB].known_topics == (KnownTopic("in", "id-1", 8),)


async def test_two_replicas_reach_the_goal_with_one_submission(deployer: Deployer) -> None:
    other = deployer.process()
    await other.load()
    await deployer.apply(a_spec())
    for _ in range(20):
        await deployer.passes(1)
        await other.load()
        await other.pass_once()
        await deployer.reconciler.load()
    job = await deployer.job()
    assert (job.state, job.incarnation) == (State.RUNNING, 1)
    assert len(deployer.runner.submissions) == 1
