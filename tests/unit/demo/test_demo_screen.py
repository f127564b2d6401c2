"""What the demo prints, and the variables it obeys."""

import io
import uuid
from pathlib import Path
from typing import Any, cast

import pytest

from deploy.demo.__main__ import demo_seconds, demo_settings
from deploy.demo.rows import RowDecoder
from deploy.demo.screen import Screen, TenantFigures, clip, duration
from deploy.local import StackError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


FIGURES = (
    TenantFigures("acme", "36", 1999.6, 1203.2, 0, 152.0, 1_234_567),
    TenantFigures("globex", "33", None, None, None, None, 0),
)


def test_a_file_gets_no_escape_codes_and_a_terminal_does() -> None:
    plain, terminal = io.StringIO(), Terminal()

    for stream in (plain, terminal):
        screen = Screen(stream, environment={}, width=100)
        screen.section("Title", "remark")
        screen.table("12:00:00", FIGURES)

    assert "\033" not in plain.getvalue()
    assert "\033[1mTitle\033[0m" in terminal.getvalue()


@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colours_gets_none(variable: dict[str, str]) -> None:
    terminal = Terminal()

    Screen(terminal, environment=variable).title("Title")

    assert "\033" not in terminal.getvalue()


def test_the_columns_of_the_table_are_aligned() -> None:
    stream = io.StringIO()

    Screen(stream, environment={}).table("12:00:00", FIGURES)

    heading, *lines = stream.getvalue().splitlines()
    assert [len(line) for line in lines] == [len(heading)] * 2
    assert lines[0].split() == ["acme", "2,000", "1,203", "0", "152", "ms", "1,234,567"]


def test_long_rows_are_clipped_to_the_screen() -> None:
    stream = io.StringIO()

    Screen(stream, environment={}, width=60).entry("acme", "x" * 500)

    assert len(stream.getvalue().rstrip("\n")) == 60
    assert clip("a\nb", 10) == "a b"


def test_delays_are_readable() -> None:
    assert (duration(152.4), duration(41_000)) == ("152 ms", "41 s")


@pytest.mark.parametrize(
    "text, terminal, expected", [("", True, None), ("", False, 20.0), ("7.5", True, 7.5), ("3", False, 3.0)]
)
def test_the_demo_ends_by_itself_where_nobody_can_end_it(
    text: str, terminal: bool, expected: float | None
) -> None:
    assert demo_seconds({"DEMO_SECONDS": text}, terminal) == expected


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_a_wrong_number_of_seconds_is_refused_by_name(text: str) -> None:
    with pytest.raises(StackError, match="DEMO_SECONDS"):
        demo_seconds({"DEMO_SECONDS": text}, False)


def test_the_demo_lives_in_a_folder_of_its_own(tmp_path: Path) -> None:
    settings = demo_settings({"SLUICE_STATE_DIR": str(tmp_path), "SLUICE_PORT_BASE": "100"})

    assert settings.state_dir == tmp_path / "demo"
    assert settings.ports["kafka"] == 19192


class FakeMessage:
    """As much of a Kafka message as decoding asks for."""

    def __init__(self, value: bytes, headers: list[tuple[str, bytes]] | None) -> None:
        self._value = value
        self._headers = headers

    def value(self) -> bytes:
        return self._value

    def headers(self) -> list[tuple[str, bytes]] | None:
        return self._headers


def test_avro_rows_are_read_with_the_schema_that_their_header_names() -> None:
    guid = uuid.uuid4()
    asked: list[uuid.UUID] = []

    def schema_of(wanted: uuid.UUID) -> str:
        asked.append(wanted)
        return '{"type":"record","name":"R","fields":[{"name":"n","type":"long"}]}'

    decoder = RowDecoder(schema_of)
    message = FakeMessage(b"\x06", [("__value_schema_id", b"\x01" + guid.bytes)])

    assert [decoder.text(cast(Any, message)), decoder.text(cast(Any, message))] == ['{"n":3}', '{"n":3}']
    assert asked == [guid]


def test_json_rows_are_shown_as_they_are() -> None:
    def refuse(wanted: uuid.UUID) -> str:
        raise AssertionError("a JSON row names no schema")

    assert RowDecoder(refuse).text(cast(Any, FakeMessage(b'{"a": 1}', None))) == '{"a": 1}'
