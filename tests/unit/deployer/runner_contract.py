"""What every adapter of the Runner port does, whichever runner is behind it. Subclass it, and provide the fixtures."""

import tenacity

from services.deployer.model import (
    Incarnation,
    JobName,
    RunnerJobId,
    RunnerJobName,
    RunnerPhase,
    Spec,
    runner_job_id,
)
from services.deployer.ports import Launch, Pipeline, Runner


def a_launch(job: str, spec: Spec, incarnation: int = 1) -> Launch:
    name = JobName(job)
    number = Incarnation(incarnation)
    return Launch(
        name, number, runner_job_id(name, number), RunnerJobName(f"sluice-{job.removeprefix('jobs/')}"), spec
    )


async def becomes(runner: Runner, job: RunnerJobId, *phases: RunnerPhase, seconds: float = 60) -> RunnerPhase:
    """The first of `phases` that the job reaches; AssertionError after `seconds`."""
    async for attempt in tenacity.AsyncRetrying(
        stop=tenacity.stop_after_delay(seconds), wait=tenacity.wait_fixed(0.1), reraise=True
    ):
        with attempt:
            phase = await runner.phase(job)
            assert phase in phases, phase
    return phase


class RunnerContract:
    """Fixtures: `runner`; `launch`, never submitted before, which runs until it is cancelled; its `pipeline`."""

    async def test_an_unknown_job_is_absent(self, runner: Runner) -> None:
        assert await runner.phase(RunnerJobId("0" * 31 + "1")) is RunnerPhase.ABSENT

    async def test_a_submitted_job_is_listed_under_its_name_and_id_and_comes_to_run(
        self, runner: Runner, launch: Launch, pipeline: Pipeline
    ) -> None:
        assert await runner.phase(launch.runner_job_id) is RunnerPhase.ABSENT
        await runner.submit(launch, pipeline)
        listed = {job.id: job for job in await runner.list_jobs()}
        assert listed[launch.runner_job_id].name == launch.runner_job_name
        await becomes(runner, launch.runner_job_id, RunnerPhase.RUNNING)
        await runner.cancel(launch.runner_job_id)
        await becomes(runner, launch.runner_job_id, RunnerPhase.CANCELLED)

    async def test_a_second_submission_under_one_id_does_nothing_while_it_runs_and_after_it_ended(
        self, runner: Runner, launch: Launch, pipeline: Pipeline
    ) -> None:
        await runner.submit(launch, pipeline)
        await runner.submit(launch, pipeline)
        assert sum(job.name == launch.runner_job_name for job in await runner.list_jobs()) == 1
        await becomes(runner, launch.runner_job_id, RunnerPhase.RUNNING)
        await runner.cancel(launch.runner_job_id)
        await becomes(runner, launch.runner_job_id, RunnerPhase.CANCELLED)
        await runner.submit(launch, pipeline)
        assert await runner.phase(launch.runner_job_id) is RunnerPhase.CANCELLED

    async def test_cancelling_what_is_unknown_or_over_does_nothing(
        self, runner: Runner, launch: Launch, pipeline: Pipeline
    ) -> None:
        await runner.cancel(launch.runner_job_id)
        await runner.submit(launch, pipeline)
        await becomes(runner, launch.runner_job_id, RunnerPhase.RUNNING)
        await runner.cancel(launch.runner_job_id)
        await becomes(runner, launch.runner_job_id, RunnerPhase.CANCELLED)
        await runner.cancel(launch.runner_job_id)
        assert await runner.phase(launch.runner_job_id) is RunnerPhase.CANCELLED

    async def test_the_next_incarnation_runs_under_the_same_name(
        self, runner: Runner, launch: Launch, pipeline: Pipeline
    ) -> None:
        following = a_launch(launch.job, launch.spec, launch.incarnation + 1)
        await runner.submit(launch, pipeline)
        await becomes(runner, launch.runner_job_id, RunnerPhase.RUNNING)
        await runner.cancel(launch.runner_job_id)
        await becomes(runner, launch.runner_job_id, RunnerPhase.CANCELLED)
        await runner.submit(following, pipeline)
        listed = {job.id: job for job in await runner.list_jobs()}
        assert listed[following.runner_job_id].name == listed[launch.runner_job_id].name
        await becomes(runner, following.runner_job_id, RunnerPhase.RUNNING)
        await runner.cancel(following.runner_job_id)
        await becomes(runner, following.runner_job_id, RunnerPhase.CANCELLED)

    async def test_there_is_no_root_cause_of_what_did_not_fail(self, runner: Runner, launch: Launch) -> None:
        assert await runner.root_cause(launch.runner_job_id) == ""

    async def test_ids_are_deterministic(self, runner: Runner) -> None:
        assert runner.capabilities.deterministic_job_ids
