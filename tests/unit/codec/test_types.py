"""Which Avro types are refused, and the Avro schema of a statement's columns."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from bench.security_events import SCHEMA_JSON
from libs.codec.messages import AvroMessageEncoder, MessageDecoder
from libs.codec.types import avro_schema_for, unsupported
from tests.unit.codec.avro import read


def of_field(avro_type: Any) -> str:
    return json.dumps({"type": "record", "name": "R", "fields": [{"name": "f", "type": avro_type}]})


def fixed(size: int, **attributes: Any) -> dict[str, Any]:
    return {"type": "fixed", "name": "F", "size": size, **attributes}


def decimal(avro_type: Any, **parameters: Any) -> dict[str, Any]:
    base = avro_type if isinstance(avro_type, dict) else {"type": avro_type}
    return {**base, "logicalType": "decimal", **parameters}


@pytest.mark.parametrize(
    ("avro_type", "path", "reason"),
    [
        (["int", "string"], "f", "a union is supported only of null and one other type"),
        (["null", "int", "string"], "f", "a union is supported only of null and one other type"),
        (["int"], "f", "a union is supported only of null and one other type"),
        ("null", "f", "null is supported only in a union with one other type"),
        (["null", "R"], "f", "record R contains itself"),
        ({"type": "map", "values": {"type": "array", "items": "R"}}, "f{}[]", "record R contains itself"),
        (fixed(12, logicalType="duration"), "f", "the logical type duration on fixed is not supported"),
        (fixed(16, logicalType="uuid"), "f", "the logical type uuid on fixed is not supported"),
        (
            {"type": "bytes", "logicalType": "big-decimal"},
            "f",
            "the logical type big-decimal on bytes is not supported",
        ),
        ({"type": "array", "items": fixed(0)}, "f", "items without any bytes"),
        ({"type": "int", "logicalType": "timestamp-millis"}, "f", "timestamp-millis annotates long, not int"),
        (decimal("bytes"), "f", "decimal needs a precision above 0 and a scale"),
        (decimal("bytes", precision=77), "f", "decimal of precision 77, at most 76 is supported"),
        (decimal(fixed(33), precision=5), "f", "decimal on fixed of 33 bytes, 1 to 32 are supported"),
        (decimal("string", precision=5), "f", "decimal annotates bytes or fixed, not string"),
    ],
)
def test_types_out_of_scope_are_refused_with_path_and_reason(avro_type: Any, path: str, reason: str) -> None:
    ((found_path, found_reason),) = unsupported(of_field(avro_type))
    assert found_path == path
    assert found_reason.startswith(reason)


def test_every_refused_field_is_named() -> None:
    schema = {
        "type": "record",
        "name": "R",
        "fields": [
            {"name": "good", "type": "int"},
            {"name": "a", "type": ["int", "string"]},
            {
                "name": "b",
                "type": {"type": "record", "name": "In", "fields": [{"name": "c", "type": "null"}]},
            },
        ],
    }
    assert [path for path, _ in unsupported(json.dumps(schema))] == ["a", "b.c"]


def test_the_security_event_is_supported_and_a_root_other_than_a_record_is_not() -> None:
    assert unsupported(SCHEMA_JSON) == []
    assert unsupported('"string"') == [("", "the root must be a record")]


def test_a_decoder_refuses_what_is_unsupported_in_the_reader_schema() -> None:
    with pytest.raises(ValueError, match="f: a union is supported only"):
        MessageDecoder(of_field(["int", "string"]), of_field(["int", "string"]))


MOMENT = datetime(2020, 1, 2, 3, 4, 5, 6000, UTC)


@pytest.mark.parametrize(
    ("arrow", "avro_type", "value"),
    [
        (pa.bool_(), "boolean", True),
        (pa.int8(), "int", -5),
        (pa.uint16(), "int", 65535),
        (pa.int32(), "int", -(2**31)),
        (pa.uint32(), "long", 2**32 - 1),
        (pa.int64(), "long", 2**63 - 1),
        (pa.float16(), "float", 1.5),
        (pa.float32(), "float", 1.5),
        (pa.float64(), "double", 0.1),
        (pa.string(), "string", "é"),
        (pa.large_string(), "string", "é"),
        (pa.string_view(), "string", "longer than twelve bytes"),
        (pa.binary(), "bytes", b"\xff"),
        (pa.large_binary(), "bytes", b"\xff"),
        (pa.binary_view(), "bytes", b"\xff"),
        (pa.dictionary(pa.int32(), pa.string()), "string", "A"),
        (pa.decimal128(10, 2), decimal("bytes", precision=10, scale=2), Decimal("-1.25")),
        (pa.decimal256(60, 2), decimal("bytes", precision=60, scale=2), Decimal("1" * 50 + ".25")),
        (pa.date32(), {"type": "int", "logicalType": "date"}, MOMENT.date()),
        (pa.time32("s"), {"type": "int", "logicalType": "time-millis"}, MOMENT.time().replace(microsecond=0)),
        (pa.time32("ms"), {"type": "int", "logicalType": "time-millis"}, MOMENT.time()),
        (pa.time64("us"), {"type": "long", "logicalType": "time-micros"}, MOMENT.time()),
        (pa.timestamp("ms", "UTC"), {"type": "long", "logicalType": "timestamp-millis"}, MOMENT),
        (pa.timestamp("us", "Asia/Tokyo"), {"type": "long", "logicalType": "timestamp-micros"}, MOMENT),
        (
            pa.timestamp("s"),
            {"type": "long", "logicalType": "local-timestamp-millis"},
            MOMENT.replace(microsecond=0, tzinfo=None),
        ),
        (
            pa.timestamp("us"),
            {"type": "long", "logicalType": "local-timestamp-micros"},
            MOMENT.replace(tzinfo=None),
        ),
        (pa.list_(pa.int32()), {"type": "array", "items": ["null", "int"]}, [1, None]),
        (pa.large_list(pa.int32()), {"type": "array", "items": ["null", "int"]}, [1, None]),
        (pa.list_(pa.int32(), 2), {"type": "array", "items": ["null", "int"]}, [1, None]),
        (pa.map_(pa.string(), pa.int8()), {"type": "map", "values": ["null", "int"]}, {"a": 1, "b": None}),
    ],
)
def test_each_column_type_has_its_avro_type_and_keeps_its_values(
    arrow: pa.DataType, avro_type: Any, value: Any
) -> None:
    column = pa.array([list(value.items()) if isinstance(value, dict) else value, None], arrow)
    batch = pa.record_batch({"x": column})
    schema = avro_schema_for(batch.schema, "Output", "sluice.test")
    (field,) = json.loads(schema)["fields"]
    assert field == {"name": "x", "type": ["null", avro_type], "default": None}
    messages = AvroMessageEncoder(schema).encode(batch)
    assert [read(message, schema) for message in messages] == [{"x": value}, {"x": None}]


def test_nested_records_and_fixed_are_named_by_their_path() -> None:
    inner = pa.struct(
        [pa.field("id", pa.binary(2), nullable=False), pa.field("b", pa.struct({"c": pa.int32()}))]
    )
    schema = pa.schema(
        [pa.field("a", inner, nullable=False), pa.field("list", pa.list_(inner)), pa.field("b", inner)]
    )
    text = avro_schema_for(schema, "Output", "sluice.t1")
    row = {"id": b"xy", "b": {"c": 1}}
    batch = pa.RecordBatch.from_pylist([{"a": row, "list": [row, None], "b": None}], schema)
    (message,) = AvroMessageEncoder(text).encode(batch)
    assert read(message, text) == {"a": row, "list": [row, None], "b": None}
    first = json.loads(text)["fields"][0]["type"]
    assert (first["namespace"], first["name"]) == ("sluice.t1.Output", "a")


def test_columns_that_are_not_nullable_are_not_unions() -> None:
    schema = pa.schema([pa.field("x", pa.int64(), nullable=False)])
    assert json.loads(avro_schema_for(schema, "Output", ""))["fields"] == [{"name": "x", "type": "long"}]


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (pa.schema([("count(*)", pa.int64())]), r"^count\(\*\): not an Avro name.*with AS"),
        (pa.schema([("s", pa.struct({"a-b": pa.int64()}))]), r"^s.a-b: not an Avro name"),
        (pa.schema([("x", pa.int64()), ("x", pa.int64())]), "^x: this column name appears twice"),
        (pa.schema([("x", pa.uint64())]), "^x: the type uint64 cannot be written"),
        (pa.schema([("x", pa.duration("s"))]), "^x: the type duration.s. cannot be written"),
        (pa.schema([("x", pa.list_(pa.null()))]), r"^x\[\]: the type null cannot be written"),
        (pa.schema([("x", pa.map_(pa.int32(), pa.string()))]), "^x: map keys must be strings"),
    ],
)
def test_a_column_that_cannot_be_written_is_named(schema: pa.Schema, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        avro_schema_for(schema, "Output", "sluice.test")


def encoder(avro_type: Any) -> AvroMessageEncoder:
    return AvroMessageEncoder(
        json.dumps({"type": "record", "name": "R", "fields": [{"name": "x", "type": avro_type}]})
    )


@pytest.mark.parametrize(
    ("avro_type", "column", "reason"),
    [
        ("int", pa.array([1, None], pa.int32()), "'x'.*contains null"),
        ({"type": "array", "items": "int"}, pa.array([[1, None]], pa.list_(pa.int32())), "(?i)non-nullable"),
        ("int", pa.array(["1"]), "column x: Utf8 where Int32 is wanted"),
        ("int", pa.array([1], pa.int64()), "column x: Int64 where Int32 is wanted"),
        ("long", pa.array([1], pa.uint64()), "column x: UInt64 where Int64 is wanted"),
        (
            {"type": "long", "logicalType": "timestamp-millis"},
            pa.array([1], pa.timestamp("us", "UTC")),
            "column x: Timestamp",
        ),
        (
            {"type": "long", "logicalType": "timestamp-micros"},
            pa.array([1], pa.timestamp("us")),
            "column x: Timestamp",
        ),
        (
            decimal("bytes", precision=9, scale=2),
            pa.array([Decimal("1.5")], pa.decimal128(9, 1)),
            "column x: Dec",
        ),
    ],
)
def test_a_column_that_does_not_fit_the_schema_is_refused(
    avro_type: Any, column: pa.Array, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        encoder(avro_type).encode(pa.record_batch({"x": column}))


def test_columns_of_other_names_are_refused_and_the_encoder_stays_usable() -> None:
    encode = encoder(["null", "int"]).encode
    with pytest.raises(ValueError, match=r'columns \["y"\] instead of \["x"\]'):
        encode(pa.record_batch({"y": pa.array([1], pa.int32())}))
    assert encode(pa.record_batch({"x": pa.array([1, None], pa.int32())})) == [b"\x02\x02", b"\x00"]
