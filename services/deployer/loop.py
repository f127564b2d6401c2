"""Observe → decide → record the intent → act → record the outcome, for every job, again and again.

A process may die at any line, and several replicas may do the same at the same time: records are written only over the
revision that was decided on, and the runner refuses a second job under one id.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from libs.store import AtRevision, Changed, Compacted, Conflict, StoreUnavailable
from services.deployer import reasons
from services.deployer.decide import (
    Action,
    CancelOnRunner,
    ClearControl,
    Fence,
    Submit,
    Write,
    WriteControl,
    decide,
    held_up,
    must_confirm_absence,
    start_failed,
    wants_failure,
)
from services.deployer.journal import Journal, Known
from services.deployer.metrics import DECISIONS, FAILURES, JOBS, SUBMISSIONS
from services.deployer.model import (
    Incarnation,
    JobName,
    JobRecord,
    Observation,
    Policy,
    RunnerJobId,
    RunnerPhase,
    State,
    runner_job_id,
)
from services.deployer.ports import (
    Builder,
    BuilderUnavailable,
    BuildFailed,
    ControlLog,
    ControlUnavailable,
    Launch,
    Reports,
    Runner,
    RunnerJob,
    RunnerUnavailable,
    SubmissionRefused,
)

_log = structlog.get_logger(__name__)

_FIRST_HOLD = timedelta(milliseconds=500)
_LONGEST_HOLD = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside that the loop touches."""

    runner: Runner
    builder: Builder
    control: ControlLog
    reports: Reports
    clock: Callable[[], datetime]
    jitter: Callable[[], float]
    """A random number in [0, 1)."""


@dataclass(frozen=True, slots=True)
class Pace:
    observe_seconds: float = 0.5
    idle_observe_seconds: float = 2.0
    concurrent_jobs: int = 8


@dataclass(frozen=True, slots=True)
class Listing:
    """One look at the runner. `error` is not empty if it did not answer."""

    by_id: Mapping[RunnerJobId, RunnerJob] = field(default_factory=dict)
    by_name: Mapping[str, tuple[RunnerJob, ...]] = field(default_factory=dict)
    error: str = ""

    @classmethod
    def of(cls, jobs: Iterable[RunnerJob]) -> Listing:
        by_id = {job.id: job for job in jobs}
        by_name: dict[str, tuple[RunnerJob, ...]] = {}
        for job in by_id.values():
            by_name[job.name] = (*by_name.get(job.name, ()), job)
        return cls(by_id, by_name)


@dataclass(slots=True)
class _Hold:
    """A job whose last act failed because something is away: not before `until`."""

    attempts: int
    until: datetime


class Reconciler:
    """Keeps every job as desired. `run()` for ever; `load()` and `pass_once()` are its steps."""

    def __init__(self, journal: Journal, world: World, policy: Policy, pace: Pace | None = None) -> None:
        self._journal = journal
        self._world = world
        self._policy = policy
        self._pace = pace or Pace()
        self._jobs: dict[JobName, Known] = {}
        self._holds: dict[JobName, _Hold] = {}
        self._busy: dict[JobName, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(self._pace.concurrent_jobs)
        self._wake = asyncio.Event()
        self._foreign: set[RunnerJobId] = set()
        world.reports.on_change(self.poke)

    async def run(self) -> None:
        """Until cancelled. Raises StoreUnavailable at the start only; the supervisor then calls it again."""
        revision = await self.load()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(revision + 1))
                group.create_task(self._tick_for_ever())
        finally:
            for task in self._busy.values():
                task.cancel()

    async def load(self) -> int:
        """Read every job; they are adopted as they are. Returns the store's revision."""
        known, revision = await self._journal.everything()
        self._jobs = {job.record.name: job for job in known}
        for job in known:
            self._listen_to(job.record)
        _log.info("jobs adopted", jobs=len(known))
        return revision

    def poke(self, job: JobName) -> None:
        """Look at the job soon: something about it changed."""
        self._wake.set()

    def learn(self, known: Known) -> None:
        """A record as somebody in this process wrote it."""
        name = known.record.name
        current = self._jobs.get(name)
        if current is None or current.revision < known.revision:
            self._jobs[name] = known
            self._holds.pop(name, None)
            self._listen_to(known.record)
            self._wake.set()

    async def pass_once(self) -> None:
        """Look once at everything, and act on it to the end."""
        await self._tick()
        await asyncio.gather(*self._busy.values())

    async def _tick_for_ever(self) -> None:
        while True:
            self._wake.clear()
            await self._tick()
            settled = not self._busy and all(
                known.record.settled or known.record.state.is_terminal for known in self._jobs.values()
            )
            pause = self._pace.idle_observe_seconds if settled else self._pace.observe_seconds
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _tick(self) -> None:
        """Start an attempt for every job that needs one and has none."""
        listing = await self._look()
        now = self._world.clock()
        for state in State:
            JOBS.labels(state.value).set(sum(job.record.state is state for job in self._jobs.values()))
        for name in list(self._jobs):
            hold = self._holds.get(name)
            if name in self._busy or (hold is not None and now < hold.until):
                continue
            if self._needs_attention(self._jobs[name].record, listing, now):
                task = asyncio.create_task(self._attempt(name, listing), name=f"reconcile {name}")
                self._busy[name] = task
                task.add_done_callback(lambda _done, name=name: self._busy.pop(name, None))  # type: ignore[misc]  # mypy cannot infer a lambda with a default

    def _needs_attention(self, record: JobRecord, listing: Listing, now: datetime) -> bool:
        """Whether a closer look may find something to do: cheap, no calls."""
        seen = self._glance(record, listing)
        if wants_failure(record, seen.phase) or (
            seen.phase is RunnerPhase.ABSENT and must_confirm_absence(record)
        ):
            return True
        return bool(decide(record, seen, now, self._policy))

    async def _look(self) -> Listing:
        try:
            return Listing.of(await self._world.runner.list_jobs())
        except RunnerUnavailable as error:
            return Listing(error=str(error))

    def _glance(self, record: JobRecord, listing: Listing) -> Observation:
        spec = record.running or record.spec
        shards = self._world.reports.of(record.name, spec.control_bootstrap)
        if listing.error:
            return Observation(RunnerPhase.UNKNOWN, shards, listing.error)
        own = listing.by_id.get(record.runner_job_id)
        others = [
            job
            for job in listing.by_name.get(record.runner_job_name, ())
            if job.phase.is_live and job.id != record.runner_job_id
        ]
        numbers = range(1, record.incarnation) if others else range(0)
        ours = {runner_job_id(record.name, Incarnation(number)) for number in numbers}
        predecessors = [job for job in others if job.id in ours]
        return Observation(
            phase=own.phase if own else RunnerPhase.ABSENT,
            shards=shards,
            live_predecessors=tuple(job.id for job in predecessors if job.phase is not RunnerPhase.ENDING),
            ending_predecessors=tuple(job.id for job in predecessors if job.phase is RunnerPhase.ENDING),
            foreign=tuple(job.id for job in others if job.id not in ours),
        )

    async def _observe(self, record: JobRecord, listing: Listing) -> Observation:
        """The glance, and what needs a call of its own."""
        seen = self._glance(record, listing)
        phase, error = seen.phase, seen.runner_error
        try:
            if phase is RunnerPhase.ABSENT and must_confirm_absence(record):
                # The listing may be older than the record; this answer is not.
                phase = await self._world.runner.phase(record.runner_job_id)
            if wants_failure(record, phase):
                error = await self._world.runner.root_cause(record.runner_job_id)
        except RunnerUnavailable as away:
            phase, error = RunnerPhase.UNKNOWN, str(away)
        for job in set(seen.foreign) - self._foreign:
            _log.warning(
                "a foreign job has our name on the runner: left alone", job=record.name, runner_job_id=job
            )
            self._foreign.add(job)
        return replace(seen, phase=phase, runner_error=error)

    async def _attempt(self, name: JobName, listing: Listing) -> None:
        """One decision and its actions; whatever is away is tried again a little later."""
        async with self._slots:
            with structlog.contextvars.bound_contextvars(job=name):
                try:
                    await self._reconcile(name, listing)
                    self._holds.pop(name, None)
                except (ControlUnavailable, RunnerUnavailable, BuilderUnavailable) as error:
                    self._hold(name)
                    _log.warning("held up", error=str(error))
                    await self._record_hold_up(name, error)
                except Conflict:
                    await self._refresh(name)
                except StoreUnavailable as error:
                    self._hold(name)
                    _log.warning("the store is away", error=str(error))
                    await self._refresh(name)
                except Exception as error:  # noqa: BLE001  # one job's bug must not stop the others
                    FAILURES.inc()
                    self._hold(name)
                    _log.error("a job could not be reconciled", exc_info=error)

    async def _reconcile(self, name: JobName, listing: Listing) -> None:
        record = self._jobs[name].record
        seen = await self._observe(record, listing)
        actions = decide(record, seen, self._world.clock(), self._policy, self._world.jitter())
        for action in actions:
            if not await self._act(name, action):
                break
        if actions:
            self._wake.set()

    async def _act(self, name: JobName, action: Action) -> bool:
        """False if the actions after it no longer apply."""
        record = self._jobs[name].record
        DECISIONS.labels(type(action).__name__).inc()
        match action:
            case Write(after, reason):
                await self._write(name, after, reason)
            case WriteControl(stop, _):
                await self._world.control.write(record, stop=stop, now=self._world.clock())
            case ClearControl():
                await self._world.control.clear(record)
            case Fence(shards, _):
                await self._world.control.fence(record, shards)
            case CancelOnRunner(job, reason):
                _log.info("cancel on the runner", runner_job_id=job, reason=reason)
                await self._world.runner.cancel(job)
            case Submit():
                return await self._submit(name, record)
        return True

    async def _submit(self, name: JobName, record: JobRecord) -> bool:
        launch = Launch.of(record)
        try:
            pipeline = await self._world.builder.build(launch)
            await self._check_current(name)
            await self._world.runner.submit(launch, pipeline)
        except (BuildFailed, SubmissionRefused) as refusal:
            SUBMISSIONS.labels("refused").inc()
            failed = start_failed(
                record, str(refusal), self._world.clock(), self._policy, self._world.jitter()
            )
            for action in failed:
                await self._act(name, action)
            return False
        SUBMISSIONS.labels("accepted").inc()
        return True

    async def _check_current(self, name: JobName) -> None:
        """Raises Conflict if somebody wrote the record meanwhile: an outdated incarnation is never submitted."""
        current = await self._journal.get(name)
        expected = self._jobs[name].revision
        if current is None or current.revision != expected:
            raise Conflict(name, AtRevision(expected), current.revision if current else None)

    async def _write(self, name: JobName, after: JobRecord, reason: str) -> None:
        before = self._jobs[name]
        written = await self._journal.commit(before, after, self._world.clock())
        if before.record.state is not after.state or before.record.incarnation != after.incarnation:
            _log.info(
                "job state",
                before=before.record.state.value,
                after=after.state.value,
                incarnation=after.incarnation,
                reason=reason,
            )
        if self._jobs[name].revision < written.revision:
            self._jobs[name] = written

    def _hold(self, name: JobName) -> None:
        attempts = self._holds[name].attempts + 1 if name in self._holds else 1
        delay = min(_FIRST_HOLD * 2 ** min(attempts - 1, 10), _LONGEST_HOLD)
        self._holds[name] = _Hold(attempts, self._world.clock() + delay)

    async def _record_hold_up(self, name: JobName, error: Exception) -> None:
        text = str(error)
        reason = (
            reasons.control_unavailable(text)
            if isinstance(error, ControlUnavailable)
            else reasons.runner_unreachable(text)
        )
        after = held_up(self._jobs[name].record, reason)
        if after is not None:
            with contextlib.suppress(Conflict, StoreUnavailable):
                await self._write(name, after, reason)

    async def _refresh(self, name: JobName) -> None:
        """Take the record as it is in the store now; later if that is away."""
        with contextlib.suppress(StoreUnavailable):
            known = await self._journal.get(name)
            if known is not None:
                self.learn(known)

    async def _follow(self, start_revision: int) -> None:
        """Learn what other replicas and the API write."""
        while True:
            try:
                changes = self._journal.store.watch(start_revision, "jobs/")
                async with contextlib.aclosing(changes):
                    async for change in changes:
                        if isinstance(change, Changed):
                            await self._catch_up(JobName(change.event.subject), change.revision)
                        start_revision = change.revision + 1
            except Compacted:
                start_revision = await self.load() + 1
            except StoreUnavailable as error:
                _log.warning("watching paused: the store is away", error=str(error))
                await asyncio.sleep(1.0)

    async def _catch_up(self, name: JobName, revision: int) -> None:
        current = self._jobs.get(name)
        if current is None or current.revision < revision:
            known = await self._journal.get(name)
            if known is not None:
                self.learn(known)

    def _listen_to(self, record: JobRecord) -> None:
        if not record.state.is_terminal:
            self._world.reports.follow(record.spec.control_bootstrap)
            if record.running is not None:
                self._world.reports.follow(record.running.control_bootstrap)
