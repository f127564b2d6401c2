"""The whole life of a job, with the deployer killed (or a dependency broken) at every single external call."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from services.deployer import commands
from services.deployer.adapters.simulated import SimulatedRunner
from services.deployer.model import JobName, JobRecord, RunnerPhase, State
from services.deployer.ports import Launch, Pipeline
from tests.unit.deployer.conftest import JOB, Deployer, a_spec
from tests.unit.deployer.mortal import Fate, ProcessDied, mortal_process

Command = Callable[[JobRecord | None, Deployer], JobRecord]


@dataclass
class WatchedRunner(SimulatedRunner):
    """Checks at the moment of every submission that nothing of the job lives."""

    names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    async def submit(self, launch: Launch, pipeline: Pipeline) -> None:
        others = [job for job in self.live(launch.job) if job.id != launch.runner_job_id]
        assert others == [], "a second incarnation would live"
        self.names.add(launch.runner_job_name)
        await super().submit(launch, pipeline)


def apply(sql: str, shards: int, *, paused: bool = False) -> Command:
    def command(record: JobRecord | None, deployer: Deployer) -> JobRecord:
        if record is None:
            return commands.created(JOB, a_spec(sql, shards), paused=paused, now=deployer.clock())
        return commands.applied(record, a_spec(sql, shards), paused=paused)

    return command


def drain(record: JobRecord | None, deployer: Deployer) -> JobRecord:
    assert record is not None
    return commands.drained(record)


LIFE: tuple[tuple[Command, State], ...] = (
    (apply("SELECT a FROM events", 2), State.RUNNING),
    (apply("SELECT b FROM events", 3), State.RUNNING),
    (apply("SELECT b FROM events", 3, paused=True), State.STOPPED),
    (apply("SELECT b FROM events", 3), State.RUNNING),
    (drain, State.DRAINED),
)


async def live_through(deployer: Deployer, fate: Fate) -> None:
    """LIFE, with new processes as the old ones die, and the invariants checked after every pass."""
    deployer.reconciler = mortal_process(deployer, fate)
    await deployer.reconciler.load()
    newest = 0
    for command, goal in LIFE:
        await deployer.change(lambda record, command=command: command(record, deployer))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        for _ in range(80):
            try:
                await deployer.passes(1)
            except ProcessDied:
                deployer.reconciler = mortal_process(deployer, fate)
                await deployer.reconciler.load()
            record = await deployer.job()
            assert len(deployer.runner.live(JOB)) <= 1
            assert record.incarnation >= newest
            newest = record.incarnation
            if record.state is goal and record.settled:
                break
        else:
            raise AssertionError(
                f"stuck in {record.state.value} ({record.state_reason}) after {fate.struck}, goal {goal.value}"
            )


async def calls_of_a_quiet_life() -> int:
    fate = Fate(at=-1, after=False)
    await live_through(Deployer(runner=WatchedRunner()), fate)
    return fate.calls


@pytest.mark.parametrize("dies", [True, False], ids=["the process dies", "the call fails"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_job_lives_its_whole_life_whatever_call_is_struck(after: bool, dies: bool) -> None:
    calls = await calls_of_a_quiet_life()
    assert calls > 40
    struck = set()
    for at in range(calls):
        runner = WatchedRunner()
        deployer = Deployer(runner=runner)
        fate = Fate(at, after, dies)
        await live_through(deployer, fate)
        record = await deployer.job()
        struck.add(fate.struck)
        assert (record.state, record.failures) == (State.DRAINED, 0), fate
        assert len(runner.submissions) == len(set(runner.submissions)) == record.incarnation == 3, fate
        assert runner.names == {record.runner_job_name}
        assert deployer.control.newest[JOB].stop
        assert {(incarnation, shards) for _, incarnation, shards in deployer.control.fences} == {
            (2, 3),
            (3, 3),
        }
    assert struck >= {"list_jobs", "phase", "submit", "cancel", "write", "fence", "build", "commit"}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_crash_while_the_runner_fails_the_job_still_ends_in_one_live_incarnation(after: bool) -> None:
    for at in range(60):
        deployer = Deployer(runner=WatchedRunner())
        await deployer.apply(a_spec())
        first = await deployer.until(State.RUNNING)
        deployer.runner.end(first.runner_job_id, RunnerPhase.FAILED, "boom")
        deployer.reconciler = mortal_process(deployer, Fate(at, after))
        await deployer.reconciler.load()
        for _ in range(20):
            try:
                await deployer.passes(1)
            except ProcessDied:
                await deployer.restart()
        record = await deployer.job()
        assert (record.state, record.incarnation, record.failures) == (State.RUNNING, 2, 1)
        assert len(deployer.runner.live(JOB)) == 1


async def test_unfenced_shards_of_an_abandoned_start_are_fenced_by_the_next(deployer: Deployer) -> None:
    await deployer.apply(a_spec(shards=8))
    await deployer.until(State.RUNNING)
    deployer.control.away = True
    await deployer.apply(a_spec("SELECT b FROM events", shards=4))
    await deployer.passes(30)
    deployer.clock.pass_by(30)
    await deployer.passes(30)
    assert (await deployer.job()).incarnation == 2
    await deployer.apply(a_spec("SELECT c FROM events", shards=2))
    deployer.clock.pass_by(30)
    await deployer.passes(30)
    deployer.control.away = False
    record = await deployer.until(State.RUNNING)
    assert deployer.control.fences == [(JobName(JOB), record.incarnation, 8)]
    assert replace(record).fence_shards == 8
