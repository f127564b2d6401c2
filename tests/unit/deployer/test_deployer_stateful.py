"""Any order of wishes, crashes, failures and outages, on two replicas: the invariants hold, and all ends as wished."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.deployer import commands
from services.deployer.loop import Reconciler
from services.deployer.model import JobRecord, RunnerPhase, State, Wish
from tests.unit.deployer.conftest import JOB, Deployer, a_spec
from tests.unit.deployer.mortal import Fate, ProcessDied, mortal_process


class JobLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self.deployer = Deployer()
        self.replicas: list[Reconciler] = [self.deployer.process(), self.deployer.process()]
        self.newest = 0
        self.names: set[str] = set()
        self._do(self.deployer.apply(a_spec()))
        self._load()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(work)

    def _load(self) -> None:
        for replica in self.replicas:
            self._do(replica.load())

    def _job(self) -> JobRecord:
        record: JobRecord = self._do(self.deployer.job())
        return record

    @precondition(lambda self: self.deployer.server.available)
    @rule(sql=st.sampled_from("ab"), shards=st.integers(1, 4), paused=st.booleans())
    def apply(self, sql: str, shards: int, paused: bool) -> None:
        if not self._job().state.is_terminal:
            self._do(self.deployer.apply(a_spec(f"SELECT {sql} FROM events", shards), paused=paused))

    @precondition(lambda self: self.deployer.server.available)
    @rule(hibernate=st.booleans())
    def hibernate(self, hibernate: bool) -> None:
        def change(record: JobRecord | None) -> JobRecord:
            assert record is not None
            return replace(
                record,
                desire=replace(record.desire, hibernate=hibernate),
                generation=record.generation + 1,
            )

        if not self._job().state.is_terminal:
            self._do(self.deployer.change(change))

    @precondition(lambda self: self.deployer.server.available and self.newest > 2)
    @rule(cancel=st.booleans())
    def end(self, cancel: bool) -> None:
        def change(record: JobRecord | None) -> JobRecord:
            assert record is not None
            return commands.cancelled(record) if cancel else commands.drained(record)

        self._do(self.deployer.change(change))

    @rule(which=st.integers(0, 1), seconds=st.sampled_from([0.1, 1, 40, 400]))
    def pass_of_a_replica(self, which: int, seconds: float) -> None:
        self.deployer.clock.pass_by(seconds)
        self._do(self.replicas[which].pass_once())

    @rule(which=st.integers(0, 1), at=st.integers(0, 6), after=st.booleans())
    def crash_and_restart(self, which: int, at: int, after: bool) -> None:
        fate = Fate(at, after)
        process = mortal_process(self.deployer, fate)
        available, self.deployer.server.available = self.deployer.server.available, True
        successor = self.deployer.process()
        self._do(process.load())
        self._do(successor.load())
        self.deployer.server.available = available
        try:
            for _ in range(4):
                self.deployer.clock.pass_by(0.5)
                self._do(process.pass_once())
        except ProcessDied:
            process = successor
        fate.at = -1
        self.replicas[which] = process

    @rule()
    def the_runner_forgets(self) -> None:
        self.deployer.runner.forget()

    @rule(phase=st.sampled_from([RunnerPhase.FAILED, RunnerPhase.FINISHED, RunnerPhase.RESTARTING]))
    def the_runner_changes_the_phase(self, phase: RunnerPhase) -> None:
        for job in self.deployer.runner.live(JOB):
            self.deployer.runner.end(job.id, phase, "boom")

    @rule(runner=st.booleans(), kafka=st.booleans(), store=st.booleans(), reports=st.booleans())
    def outages(self, runner: bool, kafka: bool, store: bool, reports: bool) -> None:
        self.deployer.runner.away = runner
        self.deployer.control.away = kafka
        self.deployer.server.available = not store
        self.deployer.reports.readable_since = None if reports else self.deployer.clock()

    @invariant()
    def at_most_one_incarnation_lives(self) -> None:
        live = self.deployer.runner.live(JOB)
        assert len(live) <= 1
        self.names |= {job.name for job in live}
        assert len(self.names) <= 1

    @invariant()
    def incarnations_only_grow(self) -> None:
        if self.deployer.server.available:
            record = self._job()
            assert record.incarnation >= self.newest
            self.newest = record.incarnation

    def teardown(self) -> None:
        self.outages(False, False, False, False)
        for job in self.deployer.runner.live(JOB):
            self.deployer.runner.end(job.id, RunnerPhase.RUNNING)
        for turn in range(60):
            self.deployer.clock.pass_by(10)
            self._do(self.replicas[turn % 2].pass_once())
            self.at_most_one_incarnation_lives()
        self._load()
        for _ in range(60):
            self.deployer.clock.pass_by(10)
            self._do(self.replicas[0].pass_once())
        record = self._job()
        assert record.settled, (record.state, record.state_reason, record.desire)
        assert record.observed_generation == record.generation
        alive = len(self.deployer.runner.live(JOB))
        assert alive == (1 if record.desire.wish is Wish.RUN and record.state is State.RUNNING else 0)
        self._loop.close()


JobLife.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestJobLife = JobLife.TestCase
