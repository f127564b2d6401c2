"""The Java side, resolved once by Maven from pinned POMs and checked against committed SHA-256 lists."""

import hashlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.settings import REPOSITORY

PINS = REPOSITORY / "deploy" / "jars"
COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
PROGRESS_INTERVAL_S = 5.0
Say = Callable[[str], None]


def read_checksums(listing: Path) -> dict[str, str]:
    """File name to SHA-256 hex, from lines as `sha256sum` prints them."""
    pairs = (line.split() for line in listing.read_text().splitlines() if line.strip())
    return {name.removeprefix("*"): digest for digest, name in pairs}


def sha256(path: Path) -> str:
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def differences(folder: Path, expected: dict[str, str]) -> Iterator[str]:
    """One line for each jar that is missing, unlisted, or not the pinned one."""
    found = {path.name: path for path in folder.glob("*.jar")}
    for name in sorted(expected.keys() - found.keys()):
        yield f"{name} is missing"
    for name in sorted(found.keys() - expected.keys()):
        yield f"{name} is not on the list"
    for name in sorted(expected.keys() & found.keys()):
        if sha256(found[name]) != expected[name]:
            yield f"{name} has another checksum than the pinned one"


def pin_key(jar_set: str, pins: Path = PINS) -> str:
    """Changes whenever the POM or the checksum list of the set does."""
    content = (pins / f"pom-{jar_set}.xml").read_bytes() + (pins / f"{jar_set}.sha256").read_bytes()
    return hashlib.sha256(content).hexdigest()


def ensure_jars(jar_set: str, jars_dir: Path, say: Say, pins: Path = PINS) -> Path:
    """The folder of a set's jars, resolved and verified if the pins have changed since the last time.

    Raises StackError when Maven is missing or fails, or when a jar is not the pinned one.
    """
    target = jars_dir / jar_set
    key = pin_key(jar_set, pins)
    stamp = target / ".pins"
    expected = read_checksums(pins / f"{jar_set}.sha256")
    if (
        stamp.exists()
        and stamp.read_text() == key
        and {p.name for p in target.glob("*.jar")} == expected.keys()
    ):
        return target
    fresh = jars_dir / f"{jar_set}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    began = time.monotonic()
    say(f"{jar_set} jars: resolving {len(expected)} with Maven (once)")
    _resolve(jar_set, pins, fresh, jars_dir / f"maven-{jar_set}.log", len(expected), say)
    wrong = list(differences(fresh, expected))
    if wrong:
        raise StackError(
            f"{jar_set} jars: {len(wrong)} differ from deploy/jars/{jar_set}.sha256 "
            f"({'; '.join(wrong[:3])}): the registry served other files than pinned; none was installed."
        )
    (fresh / ".pins").write_text(key)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
    size_mb = sum(path.stat().st_size for path in target.glob("*.jar")) / 1e6
    say(f"{jar_set} jars: {len(expected)} verified, {size_mb:.0f} MB, {time.monotonic() - began:.0f} s")
    return target


def _resolve(jar_set: str, pins: Path, target: Path, log: Path, expected: int, say: Say) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise StackError(
            "Maven is missing (no mvn in PATH): install it (Debian: maven), it is needed only once."
        )
    command = [maven, "--batch-mode", "--file", str(pins / f"pom-{jar_set}.xml"), COPY_GOAL]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={target}"]
    began = time.monotonic()
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            while True:
                try:
                    status = process.wait(PROGRESS_INTERVAL_S)
                    break
                except subprocess.TimeoutExpired:
                    downloaded = log.read_text(errors="replace").count("Downloaded from")
                    copied = sum(1 for _ in target.glob("*.jar"))
                    passed = f"{time.monotonic() - began:.0f} s"
                    say(f"{jar_set} jars: {downloaded} fetched, {copied} of {expected} copied, {passed}")
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if status != 0:
        errors = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("[ERROR]")]
        reason = errors[0].removeprefix("[ERROR] ")[:200] if errors else f"exit code {status}"
        raise StackError(f"{jar_set} jars: Maven failed ({reason}); the whole story is in {log}.")
