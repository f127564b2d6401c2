"""`make demo` as a newcomer's CI would run it: no terminal, an end by itself, nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.local.ports import reserved_offset

pytestmark = pytest.mark.e2e


def start_demo(state_dir: Path, offset: int) -> subprocess.Popen[str]:
    environment = os.environ | {
        "SLUICE_STATE_DIR": str(state_dir),
        "SLUICE_PORT_BASE": str(offset),
        "SLUICE_JARS_DIR": str(Path(".local/jars").resolve()),
        "DEMO_SECONDS": "10",
        "PYTHONPATH": f"{Path.cwd()}:{Path.cwd() / 'libs/contracts'}",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.demo"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_of(state_dir: Path) -> list[str]:
    """Processes that name the state folder on their command line or in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(state_dir).encode() in text:
            found.append(entry.name)
    return found


def test_the_demo_ends_by_itself_with_rows_for_three_tenants(tmp_path: Path) -> None:
    with reserved_offset() as offset:
        demo = start_demo(tmp_path / "state", offset)
        output, _ = demo.communicate(timeout=240)
    assert demo.returncode == 0, output[-4000:]
    for tenant in ("acme", "globex", "initech"):
        assert tenant in output
    assert processes_of(tmp_path / "state") == []


def test_an_interrupted_demo_leaves_no_process(tmp_path: Path) -> None:
    with reserved_offset() as offset:
        demo = start_demo(tmp_path / "state", offset)
        time.sleep(6)  # the point of the test: somewhere in the middle of starting
        demo.send_signal(signal.SIGINT)
        output, _ = demo.communicate(timeout=120)
    assert demo.returncode != 0, output[-4000:]
    assert processes_of(tmp_path / "state") == []
