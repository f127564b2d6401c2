"""The JSON form of every type, as `libs/codec/README.md` documents it."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from libs.codec.messages import JsonMessageEncoder


def encoded(value: Any, arrow: pa.DataType) -> str:
    return encoded_array(pa.array([value], arrow))


def encoded_array(array: pa.Array) -> str:
    (message,) = JsonMessageEncoder().encode(pa.record_batch({"x": array}))
    text = message.decode()
    assert text.startswith('{"x":') and text.endswith("}")
    return text[5:-1]


def utc(unit: str) -> pa.DataType:
    return pa.timestamp(unit, "UTC")


@pytest.mark.parametrize(
    ("value", "arrow", "json_form"),
    [
        (None, pa.string(), "null"),
        (True, pa.bool_(), "true"),
        (-(2**63), pa.int64(), "-9223372036854775808"),
        (1.5, pa.float32(), "1.5"),
        (0.1, pa.float64(), "0.1"),
        (math.nan, pa.float64(), '"NaN"'),
        (math.inf, pa.float64(), '"Infinity"'),
        (-math.inf, pa.float32(), '"-Infinity"'),
        ('é "q"\n\x01', pa.string(), '"é \\"q\\"\\n\\u0001"'),
        (b"\x00\xff", pa.binary(), '"AP8="'),
        (b"abc", pa.binary(3), '"YWJj"'),
        (b"", pa.binary(), '""'),
        (Decimal("-1.20"), pa.decimal128(10, 2), '"-1.20"'),
        (Decimal("1" * 40 + ".5"), pa.decimal256(50, 1), f'"{"1" * 40}.5"'),
        (["a", None], pa.list_(pa.string()), '["a",null]'),
        ([math.nan, 1.0], pa.list_(pa.float64()), '["NaN",1.0]'),
        ([("k", b"v"), ("n", None)], pa.map_(pa.string(), pa.binary()), '{"k":"dg==","n":null}'),
        ({"a": 1, "b": None}, pa.struct({"a": pa.int32(), "b": pa.string()}), '{"a":1,"b":null}'),
        ("A", pa.dictionary(pa.int32(), pa.string()), '"A"'),
    ],
)
def test_values_have_their_documented_form(value: Any, arrow: pa.DataType, json_form: str) -> None:
    assert encoded(value, arrow) == json_form


@pytest.mark.parametrize(
    ("number", "arrow", "json_form"),
    [
        (18263, pa.date32(), '"2020-01-02"'),
        (3_723_004, pa.time32("ms"), '"01:02:03.004"'),
        (3_723_000_004, pa.time64("us"), '"01:02:03.000004"'),
        (1_577_934_245_006, utc("ms"), '"2020-01-02T03:04:05.006Z"'),
        (-1, utc("us"), '"1969-12-31T23:59:59.999999Z"'),
        (0, utc("us"), '"1970-01-01T00:00:00Z"'),
        (1, utc("ns"), '"1970-01-01T00:00:00.000000001Z"'),
        (0, pa.timestamp("ms", "America/New_York"), '"1970-01-01T00:00:00Z"'),
        (1_577_934_245_006, pa.timestamp("ms"), '"2020-01-02T03:04:05.006"'),
        (-62_167_219_200_000, utc("ms"), '"0000-01-01T00:00:00Z"'),
        (253_402_300_799_999, utc("ms"), '"9999-12-31T23:59:59.999Z"'),
    ],
)
def test_times_are_rfc_3339(number: int, arrow: pa.DataType, json_form: str) -> None:
    assert encoded_array(_time(number, arrow)) == json_form


@pytest.mark.parametrize(
    ("number", "arrow"),
    [
        (2**63 - 1, utc("us")),
        (-(2**63), pa.timestamp("us")),
        (253_402_300_800_000, utc("ms")),
        (-62_167_219_200_001, utc("ms")),
        (2**31 - 1, pa.date32()),
        (-1, pa.time32("ms")),
        (86_400_000, pa.time32("ms")),
        (86_400_000_000, pa.time64("us")),
    ],
)
def test_times_outside_the_calendar_are_the_number_that_was_there(number: int, arrow: pa.DataType) -> None:
    assert encoded_array(_time(number, arrow)) == str(number)


def test_a_time_outside_the_calendar_leaves_the_other_rows_alone() -> None:
    column = pa.array([0, None, 2**63 - 1], pa.int64()).view(utc("us"))
    messages = JsonMessageEncoder().encode(pa.record_batch({"x": column}))
    assert messages == [b'{"x":"1970-01-01T00:00:00Z"}', b'{"x":null}', b'{"x":9223372036854775807}']


def test_a_slice_of_a_batch_is_encoded_from_its_own_rows() -> None:
    batch = pa.record_batch({"x": [1, 2, 3], "y": [b"a", None, b"c"]})
    assert JsonMessageEncoder().encode(batch.slice(1, 2)) == [b'{"x":2,"y":null}', b'{"x":3,"y":"Yw=="}']


def test_rows_without_columns_are_empty_objects() -> None:
    batch = pa.record_batch({"x": [1, 2]}).select([])
    assert JsonMessageEncoder().encode(batch) == [b"{}", b"{}"]


def _time(number: int, arrow: pa.DataType) -> pa.Array:
    return pa.array([number], pa.int32() if arrow.bit_width == 32 else pa.int64()).view(arrow)
