"""What a stack is made of and where it lives."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.ports import Ports

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Settings:
    """One stack. Two stacks may run side by side when neither `state_dir` nor `ports` are shared.

    `kafka_properties` and `flink_configuration` override single entries of the generated configuration, and
    `service_environment` is added to each service's environment. `worker_modules` are imported by the SDK
    worker pool before it forks the first worker.
    """

    state_dir: Path
    ports: Ports = field(default_factory=Ports)
    jars_dir: Path = REPOSITORY / ".local" / "jars"
    python: Path = Path(sys.executable)
    kafka_heap_mb: int = 512
    jobmanager_heap_mb: int = 384
    taskmanager_heap_mb: int = 768
    task_slots: int = 16
    kafka_properties: Mapping[str, str] = field(default_factory=dict)
    flink_configuration: Mapping[str, str] = field(default_factory=dict)
    service_environment: Mapping[str, str] = field(default_factory=dict)
    worker_modules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.state_dir.is_absolute():
            object.__setattr__(self, "state_dir", self.state_dir.resolve())

    @property
    def run_dir(self) -> Path:
        return self.state_dir / "run"

    @property
    def logs_dir(self) -> Path:
        return self.state_dir / "logs"

    @property
    def config_dir(self) -> Path:
        return self.state_dir / "config"

    @property
    def data_dir(self) -> Path:
        return self.state_dir / "data"

    @property
    def tmp_dir(self) -> Path:
        return self.state_dir / "tmp"


def settings_from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """`SLUICE_STATE_DIR` (default: the repository's `.local`), `SLUICE_PORT_BASE` (0), `SLUICE_JARS_DIR`.

    Raises StackError for an offset that is no number or out of range.
    """
    offset = environment.get("SLUICE_PORT_BASE", "0")
    if not offset.isdigit():
        raise StackError(f"SLUICE_PORT_BASE is {offset!r}: it must be a whole number, 0 or more.")
    return Settings(
        state_dir=Path(environment.get("SLUICE_STATE_DIR", REPOSITORY / ".local")),
        ports=Ports(int(offset)),
        jars_dir=Path(environment.get("SLUICE_JARS_DIR", REPOSITORY / ".local" / "jars")),
    )
