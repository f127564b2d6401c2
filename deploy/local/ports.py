"""Which port each process listens on, and a check that nobody else does."""

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import StackError

HOST = "127.0.0.1"

# Every default lies below the ephemeral range of Linux (32768 and up), so no client connection can hold it.
DEFAULT_PORTS: Mapping[str, int] = {
    "subscription": 7001,
    "schema_registry": 7002,
    "self_healing": 7003,
    "cold_starter": 7004,
    "deployer": 7005,
    "subscription_metrics": 7101,
    "schema_registry_metrics": 7102,
    "self_healing_metrics": 7103,
    "cold_starter_metrics": 7104,
    "deployer_metrics": 7105,
    "schema_registry_rest": 7202,
    "flink_rpc": 16123,
    "flink_blob": 16124,
    "flink_taskmanager_rpc": 16125,
    "flink_taskmanager_data": 16126,
    "redis": 16379,
    "workers": 17500,
    "flink_rest": 18081,
    "kafka": 19092,
    "kafka_controller": 19093,
}
HIGHEST_OFFSET = 32767 - max(DEFAULT_PORTS.values())


@dataclass(frozen=True)
class Ports:
    """All ports of one stack: the defaults, each moved by `offset` (`SLUICE_PORT_BASE`)."""

    offset: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.offset <= HIGHEST_OFFSET:
            raise StackError(
                f"SLUICE_PORT_BASE is {self.offset}: choose a number from 0 to {HIGHEST_OFFSET}."
            )

    def __getitem__(self, name: str) -> int:
        return DEFAULT_PORTS[name] + self.offset

    def address(self, name: str) -> str:
        """`host:port`, as clients dial it."""
        return f"{HOST}:{self[name]}"


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of the loopback interface right now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def accepts_connections(port: int, timeout_s: float = 1.0) -> bool:
    """Whether somebody listens on `port` of the loopback interface."""
    try:
        with socket.create_connection((HOST, port), timeout=timeout_s):
            return True
    except OSError:
        return False


def require_free(process: str, ports: tuple[int, ...]) -> None:
    """Raises StackError naming the first of `ports` that another program holds."""
    for port in ports:
        if not is_free(port):
            raise StackError(
                f"{process} cannot start: port {port} is in use by another program. Stop that program "
                f"(`ss -ltnp 'sport = :{port}'` names it), or move the whole stack with SLUICE_PORT_BASE=100."
            )


@contextlib.contextmanager
def reserved_offset() -> Iterator[int]:
    """A port offset whose ports are all free, held against other test sessions until the context ends.

    Two sessions that look at the same moment would find the same ports free, hence the lock file.
    """
    folder = Path(tempfile.gettempdir()) / f"sluice-port-offsets-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    candidates = list(range(500, HIGHEST_OFFSET, 7))
    random.shuffle(candidates)
    for offset in candidates:
        with open(folder / str(offset), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            if all(is_free(port + offset) for port in DEFAULT_PORTS.values()):
                yield offset
                return
    raise StackError("No block of free ports was found for a second stack: stop some of the running ones.")
