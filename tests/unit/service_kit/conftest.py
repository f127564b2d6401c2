"""Compiles kit_test.proto once per run; `kit_test` and `kit_test_grpc` are the generated modules."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path
from types import ModuleType

import pytest

PROTOS = Path(__file__).parent / "protos"
STAGED = Path(__file__).resolve().parents[3] / "build" / "third_party_protos"


def google_root() -> Path:
    """The folder in which the googleapis-common-protos wheel has google/api."""
    entry = next(
        entry for entry in files("googleapis-common-protos") or [] if entry.name == "field_behavior.proto"
    )
    return Path(str(entry.locate())).parents[2]


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if not (STAGED / "buf" / "validate" / "validate.proto").exists():
        pytest.fail("build/third_party_protos is missing: run `python protos/generate.py` (make protos)")
    folder = tmp_path_factory.mktemp("kit_test")
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", f"-I{STAGED}", f"-I{google_root()}"]
    subprocess.run(
        [*command, f"--python_out={folder}", f"--grpc_python_out={folder}", "kit_test.proto"], check=True
    )
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture(scope="session")
def kit_test(generated: Path) -> ModuleType:
    return importlib.import_module("kit_test_pb2")


@pytest.fixture(scope="session")
def kit_test_grpc(generated: Path) -> ModuleType:
    return importlib.import_module("kit_test_pb2_grpc")
