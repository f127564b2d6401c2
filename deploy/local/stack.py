"""Starting, watching and stopping the processes of one stack."""

import contextlib
import fcntl
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from deploy.local import jars, preflight, processes
from deploy.local.errors import StackError
from deploy.local.interrupts import interrupts_deferred
from deploy.local.launch import Launch
from deploy.local.parts import BY_NAME, INFRASTRUCTURE, PROCESSES, Process, processes_of
from deploy.local.ports import Ports, require_free
from deploy.local.processes import ProcessRecord
from deploy.local.settings import REPOSITORY, Settings

NEEDED_DISK_MB = 2048
POLL_INTERVAL_S = 0.1
LOG_LINES_SHOWN = 12


def say_nothing(line: str) -> None:
    """For callers that want no progress."""


@dataclass(frozen=True)
class ProcessStatus:
    """A row of the status table; `state` is `healthy`, `unhealthy`, `dead` (killed, crashed) or `stopped`."""

    name: str
    state: str
    pid: int | None
    address: str
    log: Path


class LocalStack:
    """One stack of real servers. As a context manager it starts `parts` and stops them again.

    `kill`, `stop` and `start` take the name of a process: `kafka`, `redis`, `jobmanager`, `taskmanager`,
    `workers`, or a service. All calls block until their effect is there; StackError says that it did not
    come about.
    """

    def __init__(
        self,
        settings: Settings,
        parts: Sequence[str] = INFRASTRUCTURE,
        say: Callable[[str], None] = say_nothing,
    ) -> None:
        self.settings = settings
        self.processes = processes_of(parts)
        self._say = say

    def __enter__(self) -> "LocalStack":
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    @property
    def ports(self) -> Ports:
        return self.settings.ports

    @property
    def kafka_bootstrap(self) -> str:
        return self.ports.address("kafka")

    @property
    def redis_url(self) -> str:
        return f"redis://{self.ports.address('redis')}/0"

    @property
    def flink_url(self) -> str:
        return f"http://{self.ports.address('flink_rest')}"

    @property
    def worker_pool(self) -> str:
        return self.ports.address("workers")

    def up(self, parts: Sequence[str] | None = None) -> None:
        """Starts what does not run of `parts` (default: the stack's) and waits until all of it is healthy.

        On failure or interrupt, what this call had started is stopped again.
        """
        wanted = self.processes if parts is None else processes_of(parts)
        with self._locked():
            missing = [process for process in wanted if not self._runs(process.name)]
            if missing:
                self._check_machine(missing)
            started: list[ProcessRecord] = []
            try:
                for wave in sorted({process.wave for process in wanted}):
                    self._start_wave([process for process in missing if process.wave == wave], started)
                    self._await_healthy([process for process in wanted if process.wave == wave])
            except BaseException:
                with interrupts_deferred():
                    self._stop_all(started)
                raise

    def down(self) -> None:
        """Stops every process of this stack, also those that an earlier call with other parts had started."""
        with self._locked():
            for wave in sorted({process.wave for process in PROCESSES}, reverse=True):
                names = [process.name for process in PROCESSES if process.wave == wave]
                self._stop_all([record for name in names if (record := self._record(name)) is not None])

    def start(self, name: str) -> None:
        """Starts one process and waits for its health; nothing happens when it runs."""
        process = BY_NAME[name]
        started: list[ProcessRecord] = []
        with self._locked():
            try:
                if not self._runs(name):
                    self._start_wave([process], started)
                self._await_healthy([process])
            except BaseException:
                with interrupts_deferred():
                    self._stop_all(started)
                raise

    def stop(self, name: str) -> None:
        """Stops one process and its children in good order (SIGTERM first)."""
        with self._locked():
            record = self._record(name)
            if record is not None:
                self._stop_all([record])

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends a signal to one process alone; after SIGKILL this returns when the process is gone."""
        record = self._record(name)
        if record is None or not processes.signal_process(record, number):
            raise StackError(f"{name} does not run, so it cannot be sent {number.name}.")
        while number == signal.SIGKILL and processes.is_alive(record):
            time.sleep(POLL_INTERVAL_S / 10)

    def pid(self, name: str) -> int:
        """The pid of a running process; StackError when it does not run."""
        record = self._record(name)
        if record is None or not processes.is_alive(record):
            raise StackError(f"{name} does not run.")
        return record.pid

    def log(self, name: str) -> Path:
        return self.settings.logs_dir / f"{name}.log"

    def status(self) -> list[ProcessStatus]:
        """What every process of the stack does now."""
        return [self._status(process) for process in self.processes]

    def _status(self, process: Process) -> ProcessStatus:
        record = self._record(process.name)
        if record is None:
            return ProcessStatus(process.name, "stopped", None, "", self.log(process.name))
        if not processes.is_alive(record):
            return ProcessStatus(process.name, "dead", record.pid, "", self.log(process.name))
        launch = process.launch(self.settings, record.token)
        state = "healthy" if launch.healthy() else "unhealthy"
        return ProcessStatus(process.name, state, record.pid, launch.address, self.log(process.name))

    def _record(self, name: str) -> ProcessRecord | None:
        return processes.load_record(self.settings.run_dir, name)

    def _runs(self, name: str) -> bool:
        record = self._record(name)
        return record is not None and processes.is_alive(record)

    def _check_machine(self, missing: Sequence[Process]) -> None:
        preflight.require_disk(self.settings.state_dir, NEEDED_DISK_MB)
        preflight.require_memory(
            sum(process.memory_mb for process in missing), preflight.available_memory_mb()
        )
        jar_sets = sorted({process.jar_set for process in missing if process.jar_set is not None})
        if jar_sets:
            preflight.find_java()
        for jar_set in jar_sets:
            jars.ensure_jars(jar_set, self.settings.jars_dir, self._say)

    def _start_wave(self, wave: Sequence[Process], started: list[ProcessRecord]) -> None:
        launches: list[tuple[Process, Launch, str]] = []
        for process in wave:
            leftover = self._record(process.name)
            if leftover is not None:
                self._stop_all([leftover])
            token = processes.new_token()
            launches.append((process, process.launch(self.settings, token), token))
        for process, launch, _ in launches:
            require_free(process.name, launch.ports)
        for process, launch, token in launches:
            launch.prepare()
            log = self.log(process.name)
            # An interrupt between the start and the note of it would leave a process that nobody knows.
            with interrupts_deferred():
                record = processes.start(
                    process.name, launch.command, launch.environment, log, REPOSITORY, token
                )
                started.append(record)
                record.save(self.settings.run_dir)

    def _await_healthy(self, wave: Sequence[Process]) -> None:
        for process in wave:
            record = self._record(process.name)
            if record is None:
                raise StackError(f"{process.name} does not run.")
            launch = process.launch(self.settings, record.token)
            deadline = time.time() + launch.start_timeout_s
            while not launch.healthy():
                if not processes.is_alive(record):
                    raise StackError(self._with_log(f"{process.name} died while starting", process.name))
                if time.time() > deadline:
                    waited = f"{process.name} is not healthy after {time.time() - record.started_at:.0f} s"
                    raise StackError(self._with_log(waited, process.name))
                time.sleep(POLL_INTERVAL_S)
            self._say(f"{process.name:<16} {launch.address:<28} pid {record.pid}")

    def _with_log(self, problem: str, name: str) -> str:
        try:
            lines = self.log(name).read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        except OSError:
            lines = []
        return "\n".join(
            (f"{problem}; the last lines of {self.log(name)}:", *(f"  {line}" for line in lines))
        )

    def _stop_all(self, records: Sequence[ProcessRecord]) -> None:
        now = time.monotonic()
        for record in records:
            processes.request_stop(record)
        for record in records:
            bound_s = BY_NAME[record.name].launch(self.settings, record.token).stop_timeout_s
            if not processes.await_stop(record, now + bound_s):
                self._say(f"{record.name} did not stop within {bound_s:.0f} s and was killed")
            processes.forget_record(self.settings.run_dir, record.name)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Two commands at the same time must not start the same process twice."""
        self.settings.run_dir.mkdir(parents=True, exist_ok=True)
        with open(self.settings.run_dir / "lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self._say("Another command works on this stack: waiting for it to end.")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
