"""The parts of the stack, the processes each consists of, and how one process is described."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from deploy.local import flink, kafka, redis, services, workers
from deploy.local.errors import StackError
from deploy.local.launch import Launch
from deploy.local.services import SERVICES
from deploy.local.settings import Settings


@dataclass(frozen=True)
class Process:
    """One process of a part. All of a `wave` are healthy before the next wave starts."""

    name: str
    part: str
    wave: int
    memory_mb: int
    jar_set: str | None
    launch: Callable[[Settings, str], Launch] = field(repr=False)


PROCESSES: tuple[Process, ...] = (
    Process("kafka", "kafka", 0, 700, "kafka", kafka.launch),
    Process("redis", "redis", 0, 50, None, redis.launch),
    Process("jobmanager", "flink", 0, 600, "flink", flink.launch_jobmanager),
    Process("taskmanager", "flink", 0, 1200, "flink", flink.launch_taskmanager),
    Process("workers", "workers", 0, 400, None, workers.launch),
    *(Process(service.name, service.name, 1, 150, None, services.launcher(service)) for service in SERVICES),
)
BY_NAME = {process.name: process for process in PROCESSES}
PARTS: tuple[str, ...] = tuple(dict.fromkeys(process.part for process in PROCESSES))
INFRASTRUCTURE: tuple[str, ...] = ("kafka", "redis", "flink", "workers")


def processes_of(parts: Sequence[str]) -> tuple[Process, ...]:
    """The processes of the named parts, in starting order. Raises StackError for a name that is no part."""
    for part in parts:
        if part not in PARTS:
            raise StackError(f"There is no part {part!r}: choose from {', '.join(PARTS)}.")
    return tuple(process for process in PROCESSES if process.part in parts)
