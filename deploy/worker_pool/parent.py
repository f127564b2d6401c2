"""The process that has everything imported: it forks workers, stops them and notices their end."""

import contextlib
import ctypes
import gc
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from types import FrameType

from deploy.worker_pool import worker
from deploy.worker_pool.messages import MAX_PACKET_BYTES, StartWorker, StopWorker, decode

PR_SET_PDEATHSIG = 1


def log(line: str) -> None:
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} worker pool: {line}", file=sys.stderr, flush=True)


def fork_child(body: Callable[[], None]) -> int:
    """Runs `body` in a child that dies when this process does. Returns the child's pid."""
    pid = os.fork()
    if pid != 0:
        return pid
    status = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        body()
        status = 0
    except BaseException:  # noqa: BLE001  # whatever it is, it must not unwind into the parent's frames
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        # Leaving by os._exit: the parent's exit handlers are not the child's business.
        os._exit(status)


class Parent:
    """Owns the workers: `stop_timeout_s` is what a worker gets between SIGTERM and SIGKILL."""

    def __init__(self, front: socket.socket, front_pid: int, stop_timeout_s: float) -> None:
        self._front = front
        self._front_pid = front_pid
        self._stop_timeout_s = stop_timeout_s
        self._workers: dict[int, str] = {}
        self._kill_at: dict[int, float] = {}
        self._stopping = False

    def run(self) -> int:
        """Until SIGTERM (0) or until the front is gone (1); no worker is left behind."""
        wake_reader, wake_writer = socket.socketpair()
        wake_writer.setblocking(False)
        signal.set_wakeup_fd(wake_writer.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        gc.collect()
        gc.freeze()
        with selectors.DefaultSelector() as selector:
            selector.register(self._front, selectors.EVENT_READ)
            selector.register(wake_reader, selectors.EVENT_READ)
            while not self._stopping:
                for key, _ in selector.select(timeout=0.5 if self._kill_at else None):
                    if key.fileobj is wake_reader:
                        wake_reader.recv(4096)
                    elif not self._obey(self._front.recv(MAX_PACKET_BYTES)):
                        self._stopping = True
                self._reap()
                self._kill_overdue(time.monotonic())
        front_alive = self._front_pid != 0
        self._end_all()
        return 0 if front_alive else 1

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _obey(self, packet: bytes) -> bool:
        if not packet:
            return False
        message = decode(packet)
        if isinstance(message, StartWorker):
            pid = fork_child(lambda: self._become_worker(message))
            self._workers[pid] = message.worker_id
            log(f"started worker {message.worker_id} pid {pid} for {message.control_address}")
        else:
            self._stop_worker(message)
        return True

    def _become_worker(self, message: StartWorker) -> None:
        self._front.close()
        worker.run(message)

    def _stop_worker(self, message: StopWorker) -> None:
        for pid, worker_id in self._workers.items():
            if worker_id == message.worker_id and pid not in self._kill_at:
                log(f"stopping worker {worker_id} pid {pid}")
                self._kill_at[pid] = time.monotonic() + self._stop_timeout_s
                os.kill(pid, signal.SIGTERM)

    def _kill_overdue(self, now: float) -> None:
        for pid in [pid for pid, when in self._kill_at.items() if when <= now]:
            log(f"killing worker {self._workers[pid]} pid {pid}: it did not stop by itself")
            os.kill(pid, signal.SIGKILL)
            self._kill_at[pid] = now + self._stop_timeout_s

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._front_pid:
                log("the front died")
                self._front_pid = 0
                self._stopping = True
            worker_id = self._workers.pop(pid, None)
            self._kill_at.pop(pid, None)
            if worker_id is not None:
                log(f"worker {worker_id} pid {pid} ended with {os.waitstatus_to_exitcode(status)}")

    def _end_all(self) -> None:
        deadline = time.monotonic() + self._stop_timeout_s
        for pid in [*self._workers, *([self._front_pid] if self._front_pid else [])]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        while self._workers and time.monotonic() < deadline:
            self._reap()
            time.sleep(0.02)
        for pid in self._workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
