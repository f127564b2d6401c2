"""Generate the Python contracts under libs/contracts from protos/ (run by `make protos`).

Third-party .proto files come from pinned packages, never from the repository: google/rpc and google/api from the
googleapis-common-protos wheel, buf/validate from the protovalidate jar. They are staged in build/third_party_protos,
which buf reads as a second module.

With --check the generated code is compared with the committed one and nothing is written; exit code 1 means stale.
"""

import argparse
import filecmp
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import files
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
STAGED = ROOT / "build" / "third_party_protos"
CONTRACTS = ROOT / "libs" / "contracts"
VALIDATE_ARTIFACT = "build.buf:protovalidate:1.3.0"
VALIDATE_SHA256 = "fc65013a322d9b390759670b454c05f94579c49a40dff872143dfba831ebbdc2"
# Compiled by us because no wheel on google's protobuf runtime carries them.
VENDORED = ["buf/validate/validate.proto"]


def stage_validate() -> None:
    target = STAGED / "buf" / "validate" / "validate.proto"
    if target.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "mvn",
            "-q",
            "-B",
            "dependency:copy",
            f"-Dartifact={VALIDATE_ARTIFACT}",
            f"-DoutputDirectory={folder}",
        ]
        subprocess.run([*command, "-Dmdep.useBaseVersion=true"], check=True)
        (jar,) = Path(folder).glob("*.jar")
        digest = hashlib.sha256(jar.read_bytes()).hexdigest()
        if digest != VALIDATE_SHA256:
            sys.exit(f"{VALIDATE_ARTIFACT}: sha256 is {digest}, expected {VALIDATE_SHA256}")
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(jar) as archive:
            target.write_bytes(archive.read("buf/validate/validate.proto"))


def stage_google() -> None:
    for entry in files("googleapis-common-protos") or []:
        path = Path(str(entry))
        if (
            path.suffix == ".proto"
            and path.parts[:2] in {("google", "rpc"), ("google", "api")}
            and len(path.parts) == 3
        ):
            target = STAGED / path
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(entry.locate()), target)


def generate(into: Path) -> None:
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", f"-I{STAGED}"]
    subprocess.run([*protoc, f"--python_out={into}", f"--pyi_out={into}", *sources, *VENDORED], check=True)
    services = [
        source
        for source in sources
        if "service " in (PROTOS / source).read_text() and "rpc " in (PROTOS / source).read_text()
    ]
    if services:
        plugin = Path(sys.executable).parent / "protoc-gen-mypy_grpc"
        grpc = [
            f"--grpc_python_out={into}",
            f"--plugin=protoc-gen-mypy_grpc={plugin}",
            f"--mypy_grpc_out={into}",
        ]
        subprocess.run([*protoc, *grpc, *services], check=True)


def differences(left: Path, right: Path) -> list[str]:
    """Relative paths that are missing on either side or differ."""

    def listing(folder: Path) -> set[str]:
        return {
            str(path.relative_to(folder)) for path in folder.rglob("*.py*") if path.suffix in {".py", ".pyi"}
        }

    ours, theirs = listing(left), listing(right)
    changed = {name for name in ours & theirs if not filecmp.cmp(left / name, right / name, shallow=False)}
    return sorted((ours ^ theirs) | changed)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="fail when the committed code is stale")
    arguments = parser.parse_args()
    stage_google()
    stage_validate()
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        stale = differences(fresh, CONTRACTS)
        if arguments.check and stale:
            sys.exit("generated code is stale, run `make protos`: " + ", ".join(stale))
        if not arguments.check:
            shutil.rmtree(CONTRACTS, ignore_errors=True)
            shutil.copytree(fresh, CONTRACTS)
    print(f"contracts: {'fresh' if not stale else f'{len(stale)} files written'}")


if __name__ == "__main__":
    main()
