"""What must be there before anything starts: a JDK, memory, disk. A lack is one line that says what to do."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from deploy.local.errors import StackError

JAVA_RELEASE = 17
MIB = 1 << 20


def java_release(version_output: str) -> int | None:
    """The release that `java -version` names ("17.0.15" -> 17, "1.8.0_392" -> 8), None if it names none."""
    match = re.search(r'version "(\d+)(?:\.(\d+))?', version_output)
    if match is None:
        return None
    return int(match[2] or 0) if match[1] == "1" else int(match[1])


def find_java(environment: Mapping[str, str] = os.environ) -> Path:
    """The `java` of a JDK 17 or newer, from JAVA_HOME or else PATH; StackError when there is none."""
    home = environment.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin") if home else environment.get("PATH"))
    place = f"JAVA_HOME={home}" if home else "PATH"
    if found is None:
        raise StackError(
            f"No java in {place}: install a JDK {JAVA_RELEASE} (Debian: openjdk-17-jre-headless)."
        )
    answer = subprocess.run([found, "-version"], capture_output=True, text=True)
    release = java_release(answer.stderr + answer.stdout)
    if release is None or release < JAVA_RELEASE:
        raise StackError(
            f"The java in {place} is release {release}: Kafka needs {JAVA_RELEASE} or newer; "
            f"install a JDK {JAVA_RELEASE} and point JAVA_HOME to it."
        )
    return Path(found)


def available_memory_mb() -> int | None:
    """Memory that can be taken without swapping, of the machine and of the control group; None if unknown."""
    try:
        lines = Path("/proc/meminfo").read_text()
    except OSError:
        return None
    match = re.search(r"^MemAvailable:\s+(\d+) kB", lines, re.MULTILINE)
    machine = int(match[1]) // 1024 if match else None
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):
        return machine
    group = (limit - used) // MIB
    return group if machine is None else min(machine, group)


def require_memory(needed_mb: int, available_mb: int | None) -> None:
    if available_mb is not None and available_mb < needed_mb:
        raise StackError(
            f"Too little memory: {available_mb} MiB are available and the stack needs {needed_mb} MiB; "
            "close other programs or start fewer parts with --only."
        )


def require_disk(folder: Path, needed_mb: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free_mb = shutil.disk_usage(folder).free // MIB
    if free_mb < needed_mb:
        raise StackError(
            f"Too little disk space: {free_mb} MiB are free in {folder} and the stack needs {needed_mb} MiB; "
            "free some, or choose another folder with SLUICE_STATE_DIR."
        )
