"""Detached processes that are found again by pid *and* start time, so that a reused pid is never touched."""

import contextlib
import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

TOKEN_VARIABLE = "SLUICE_STACK_TOKEN"


@dataclass(frozen=True)
class ProcessRecord:
    """One started process as `run/NAME.json` remembers it.

    `start_time` is whatever the system tells of the process's birth (opaque, only compared); `token` is in
    the environment of the process and of all its children.
    """

    name: str
    pid: int
    start_time: str
    token: str
    started_at: float

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f"{self.name}.json.new"
        temporary.write_text(json.dumps(asdict(self), indent=1) + "\n")
        temporary.replace(folder / f"{self.name}.json")


def load_record(folder: Path, name: str) -> ProcessRecord | None:
    """The record of process `name`, or None when there is none or it was cut short by a crash."""
    try:
        return ProcessRecord(**json.loads((folder / f"{name}.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def forget_record(folder: Path, name: str) -> None:
    (folder / f"{name}.json").unlink(missing_ok=True)


def start_time_of(pid: int) -> str | None:
    """When process `pid` was born, or None when no such process runs (a zombie does not run)."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        # proc(5): the name in parentheses may hold spaces; state is field 3 and starttime field 22.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
        return answer.stdout.strip() or None
    return None if fields[0] in "ZX" else fields[19]


def is_alive(record: ProcessRecord) -> bool:
    """Whether the very process that was started still runs."""
    return start_time_of(record.pid) == record.start_time


def start(
    name: str, command: Sequence[str], environment: Mapping[str, str], log: Path, directory: Path, token: str
) -> ProcessRecord:
    """Starts `command` in a session of its own, its output appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command,
            env={**environment, TOKEN_VARIABLE: token},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # The record outlives this object, and Popen would warn about a process that is meant to go on.
    process.returncode = 0
    return ProcessRecord(name, process.pid, start_time_of(process.pid) or "gone", token, time.time())


def new_token() -> str:
    return uuid.uuid4().hex


def members(record: ProcessRecord) -> list[int]:
    """Pids of the process and of what is left of its group, also after the process itself was killed.

    A group whose leader is gone is recognised by the token: its number could have been given to another.
    """
    if is_alive(record):
        leader = [record.pid]
    elif start_time_of(record.pid) is not None:
        return []
    else:
        leader = []
    mark = f"{TOKEN_VARIABLE}={record.token}".encode()
    children = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            group = int((entry / "stat").read_text().rpartition(")")[2].split()[2])
            ours = group == record.pid and mark in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if ours and int(entry.name) != record.pid and start_time_of(int(entry.name)) is not None:
            children.append(int(entry.name))
    return leader + children


def signal_process(record: ProcessRecord, number: signal.Signals) -> bool:
    """Sends a signal to the process alone; False when it does not run any more."""
    if not is_alive(record):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(record.pid, number)
        return True
    return False


def request_stop(record: ProcessRecord) -> None:
    """Asks the process and its children to end; a stopped one (SIGSTOP) is continued so that it can."""
    for pid in members(record):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)


def await_stop(record: ProcessRecord, deadline: float) -> bool:
    """Waits until process and children are gone; past `deadline` (monotonic) they are killed.

    Returns whether they went by themselves.
    """
    while members(record):
        if time.monotonic() >= deadline:
            for pid in members(record):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            while members(record):
                time.sleep(0.05)
            return False
        time.sleep(0.05)
    return True
