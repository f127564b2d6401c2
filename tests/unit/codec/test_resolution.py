"""A writer schema read by another: what Avro's resolution gives, and what is refused as it would mislead."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from libs.codec.messages import MessageDecoder
from libs.codec.resolution import conflicts
from tests.unit.codec.avro import read, rows_of, same, write


def record(*fields: dict[str, Any], name: str = "R", **attributes: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, **attributes, "fields": list(fields)}


def field(name: str, avro_type: Any, **attributes: Any) -> dict[str, Any]:
    return {"name": name, "type": avro_type, **attributes}


def decode(writer: Any, reader: Any, row: Any) -> Any:
    decoded = MessageDecoder(json.dumps(writer), json.dumps(reader)).decode([write(writer, row)])
    return rows_of(decoded.batch)[0] if decoded.batch.num_rows else [bad.reason for bad in decoded.bad]


def logical(name: str, logical_type: str, **parameters: int) -> dict[str, Any]:
    return {"type": name, "logicalType": logical_type, **parameters}


def enum(*symbols: str, **attributes: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "symbols": list(symbols), **attributes}


@pytest.mark.parametrize(
    ("written", "read_as", "value"),
    [
        ("int", "long", -5),
        ("int", "float", 5),
        ("int", "double", 5),
        ("long", "float", 2**62 + 1),
        ("long", "double", 2**62 + 1),
        ("float", "double", 1.5),
        ("string", "bytes", "hé"),
        ("bytes", "string", b"abc"),
        ("int", ["null", "long"], 5),
        (["null", "int"], "long", 7),
        (["null", "string"], ["string", "null"], "x"),
        (["null", "string"], ["string", "null"], None),
        (["null", "int", "string"], ["null", "string"], "x"),
        ({"type": "array", "items": "int"}, {"type": "array", "items": "double"}, [1, 2]),
        ({"type": "map", "values": "int"}, {"type": "map", "values": ["null", "long"]}, {"a": 1}),
        (enum("A", "B", "C"), enum("C", "A"), "C"),
        (enum("A", "B", "C"), enum("B", "A", default="B"), "C"),
        (enum("A", "B"), enum("A", "B", name="E2", aliases=["E"]), "B"),
        (logical("string", "unknown-to-all"), "string", "text"),
    ],
)
def test_promotions_unions_and_enums_resolve_as_fastavro_has_them(
    written: Any, read_as: Any, value: Any
) -> None:
    writer, reader = record(field("x", written)), record(field("x", read_as))
    row = {"x": value}
    assert same(decode(writer, reader, row), read(write(writer, row), writer, reader))


@pytest.mark.parametrize(
    ("avro_type", "default", "value"),
    [
        ("int", 3, 3),
        ("long", 2**60, 2**60),
        ("string", "é", "é"),
        ("bytes", "ÿ\u0001", b"\xff\x01"),
        ("boolean", True, True),
        ("double", 1, 1.0),
        ("float", 2.5, 2.5),
        (["null", "int"], None, None),
        (["int", "null"], 7, 7),
        (["null", "int"], 5, 5),
        ({"type": "array", "items": "int"}, [1, 2], [1, 2]),
        ({"type": "map", "values": "string"}, {"a": "b"}, {"a": "b"}),
        (enum("A", "B"), "B", "B"),
        ({"type": "fixed", "name": "F", "size": 2}, "ÿA", b"\xffA"),
        (logical("int", "date"), 10, date(1970, 1, 11)),
        (logical("long", "timestamp-micros"), 10, datetime(1970, 1, 1, 0, 0, 0, 10, UTC)),
        (logical("bytes", "decimal", precision=4, scale=2), "\u0001", Decimal("0.01")),
        (record(field("a", "int"), name="N"), {"a": 5}, {"a": 5}),
        (
            record(field("a", ["int", "null"], default=7), field("b", "int"), name="N"),
            {"b": 1, "gone": 3},
            {"a": 7, "b": 1},
        ),
        ({"type": "array", "items": record(field("a", "int"), name="N")}, [{"a": 1}], [{"a": 1}]),
    ],
)
def test_an_added_field_has_its_default(avro_type: Any, default: Any, value: Any) -> None:
    writer = record(field("x", "int"))
    reader = record(field("x", "int"), field("added", avro_type, default=default))
    assert same(decode(writer, reader, {"x": 1}), {"x": 1, "added": value})


def test_a_promotion_to_float_rounds_to_the_nearest_one() -> None:
    """fastavro keeps the integer's digits, which no float of 32 bits has."""
    writer, reader = record(field("x", "int")), record(field("x", "float"))
    assert decode(writer, reader, {"x": 16_777_217}) == {"x": 16_777_216.0}


def test_fields_are_dropped_reordered_and_renamed_by_alias() -> None:
    inner = record(field("a", "int"), field("b", "string"), name="Old")
    writer = record(field("x", "int"), field("y", "string"), field("n", inner), field("z", "long"))
    renamed = record(field("text", "string", aliases=["b"]), name="New", aliases=["Old"])
    reader = record(field("z", "long"), field("n", renamed), field("number", "int", aliases=["x"]))
    row = {"x": 1, "y": "skipped", "n": {"a": 4, "b": "t"}, "z": 9}
    assert decode(writer, reader, row) == {"z": 9, "n": {"text": "t"}, "number": 1}


def test_a_type_defined_in_a_field_that_is_left_out_is_still_the_writers() -> None:
    """arrow-avro alone reads the second use by the reader's fields, without an error."""
    geo = record(field("country", "string"), field("asn", "long"), name="Geo")
    writer = record(field("from", ["null", geo]), field("to", "Geo"), field("n", "int"))
    reader = record(
        field("to", ["null", record(field("added", "int", default=7), field("asn", "double"), name="Geo")]),
        field("n", "int"),
    )
    row = {"from": None, "to": {"country": "DE", "asn": 5}, "n": 3}
    assert decode(writer, reader, row) == {"to": {"added": 7, "asn": 5.0}, "n": 3}


def test_uses_of_one_type_may_be_nullable_or_not() -> None:
    kind = enum("A", "B")
    writer = record(field("a", kind), field("b", {"type": "array", "items": ["null", "E"]}), field("c", "E"))
    reader = record(
        field("c", ["null", kind]), field("b", {"type": "array", "items": ["E", "null"]}), field("a", "E")
    )
    assert decode(writer, reader, {"a": "A", "b": [None, "B"], "c": "B"}) == {
        "a": "A",
        "b": [None, "B"],
        "c": "B",
    }


def test_a_branch_of_the_writers_union_is_found_by_name_alias_or_kind() -> None:
    branches = [record(field("x", "int"), name="A"), record(field("x", "int"), name="B"), "string", "null"]
    writer = record(field("u", branches))
    for written, name, aliases in (("A", "A", []), ("B", "New", ["B"])):
        reader = record(field("u", ["null", record(field("x", "int"), name=name, aliases=aliases)]))
        assert decode(writer, reader, {"u": (written, {"x": 3})}) == {"u": {"x": 3}}
        assert decode(writer, reader, {"u": None}) == {"u": None}
        (reason,) = decode(writer, reader, {"u": "text"})
        assert "not resolvable" in reason


def test_names_are_compared_without_their_namespaces() -> None:
    def in_namespace(namespace: str) -> dict[str, Any]:
        inner = record(field("e", enum("A", "B")), name="Inner", namespace=f"{namespace}.inner")
        return record(field("x", ["null", inner]), namespace=namespace)

    assert decode(in_namespace("a"), in_namespace("b"), {"x": {"e": "B"}}) == {"x": {"e": "B"}}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (["null", "int", "string"], "text"),
        ({"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"}, b"1" * 12),
        ({"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}, b"1" * 16),
    ],
)
def test_fields_of_unsupported_types_are_skipped(written: Any, value: Any) -> None:
    writer = record(field("x", "int"), field("skipped", written), field("y", "int"))
    row = {"x": 1, "skipped": value, "y": 2}
    assert decode(writer, record(field("x", "int"), field("y", "int")), row) == {"x": 1, "y": 2}


def test_a_uuid_on_a_string_is_its_text() -> None:
    text = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
    schema = record(field("x", logical("string", "uuid")))
    assert decode(schema, schema, {"x": text}) == {"x": text}
    assert decode(schema, record(field("x", "string")), {"x": text}) == {"x": text}


MILLIS, MICROS = logical("long", "timestamp-millis"), logical("long", "timestamp-micros")


@pytest.mark.parametrize(
    ("written", "read_as", "reason"),
    [
        (MILLIS, MICROS, "written as timestamp-millis, read as timestamp-micros"),
        (["null", MILLIS], ["null", MICROS], "written as timestamp-millis, read as timestamp-micros"),
        (MILLIS, ["null", logical("long", "local-timestamp-millis")], "read as local-timestamp-millis"),
        ("long", MICROS, "written as long, read as timestamp-micros"),
        ("int", MICROS, "written as int, read as timestamp-micros"),
        (MICROS, "long", "written as timestamp-micros, read as long"),
        (logical("int", "date"), logical("int", "time-millis"), "written as date, read as time-millis"),
        (
            logical("bytes", "decimal", precision=4, scale=2),
            logical("bytes", "decimal", precision=4, scale=1),
            r"written as decimal\(4, 2\), read as decimal\(4, 1\)",
        ),
        (logical("bytes", "decimal", precision=4, scale=2), "bytes", "written as decimal, read as bytes"),
    ],
)
def test_resolutions_that_change_the_meaning_are_refused(written: Any, read_as: Any, reason: str) -> None:
    def nested(avro_type: Any) -> str:
        inner = record(field("t", {"type": "array", "items": avro_type}), name="Inner")
        return json.dumps(record(field("in", {"type": "map", "values": inner})))

    with pytest.raises(ValueError, match=reason) as refused:
        MessageDecoder(nested(written), nested(read_as))
    assert str(refused.value).startswith("in{}.t[]: ")


@pytest.mark.parametrize(
    ("writer", "reader", "reason"),
    [
        (record(field("x", "long")), record(field("x", "int")), "Illegal promotion"),
        (record(field("x", "int")), record(field("x", "int"), field("y", "int")), "'y'.*must have a default"),
        (record(field("x", "int"), name="A"), record(field("x", "int"), name="B"), "name mismatch"),
    ],
)
def test_schemas_that_do_not_resolve_are_refused(writer: Any, reader: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        MessageDecoder(json.dumps(writer), json.dumps(reader))


@pytest.mark.parametrize(
    ("unreadable", "reason"),
    [
        (["null", "R"], "writer record R contains itself"),
        ({"type": "array", "items": "null"}, "writer field R.bad: items without any bytes"),
        ({"type": "array", "items": record(name="Empty")}, "writer field R.bad: items without any bytes"),
    ],
)
def test_writer_schemas_that_cannot_be_skipped_safely_are_refused(unreadable: Any, reason: str) -> None:
    writer = json.dumps(record(field("x", "int"), field("bad", unreadable)))
    assert conflicts(writer, json.dumps(record(field("x", "int")))) == [("", reason)]


def test_batches_of_two_writer_schemas_have_the_same_arrow_schema() -> None:
    reader = record(field("e", enum("A", "B")), field("x", ["null", "long"], default=None))
    older = record(field("e", enum("B", "A", doc="older")))
    newer = record(field("x", "int"), field("e", enum("A", "B")), doc="newer")
    schemas = [
        MessageDecoder(json.dumps(writer), json.dumps(reader)).schema for writer in (older, newer, reader)
    ]
    assert schemas[0].equals(schemas[1], check_metadata=True)
    assert schemas[0].equals(schemas[2], check_metadata=True)
