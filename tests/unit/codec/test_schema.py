"""Schema text: what is refused and where, canonical text, pruning to the fields that a statement needs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.security_events import SCHEMA_JSON
from libs.codec.schema import canonical, prune
from libs.codec.tree import SchemaError


def record(*fields: Any, name: str = "R", **attributes: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, **attributes, "fields": list(fields)}


def field(name: str, avro_type: Any, **attributes: Any) -> dict[str, Any]:
    return {"name": name, "type": avro_type, **attributes}


def in_field(avro_type: Any) -> str:
    return json.dumps(record(field("a", {"type": "map", "values": record(field("b", avro_type), name="In")})))


@pytest.mark.parametrize(
    ("schema", "path", "reason"),
    [
        ("{", "", "not JSON"),
        ("5", "", "a schema must be"),
        (in_field("strin"), "a{}.b", "unknown type 'strin'"),
        (in_field({"type": "array"}), "a{}.b[]", "a type must be"),
        (in_field({"type": "enum", "name": "E", "symbols": []}), "a{}.b", "an enum must have symbols"),
        (in_field({"type": "enum", "name": "E", "symbols": ["a b"]}), "a{}.b", "'a b' is not an Avro name"),
        (in_field({"type": "enum", "name": "E", "symbols": ["A"], "default": "B"}), "a{}.b", "not a symbol"),
        (in_field({"type": "fixed", "name": "F", "size": "3"}), "a{}.b", "size of fixed"),
        (in_field({"type": "fixed", "size": 3}), "a{}.b", "without a name"),
        (in_field(["null", ["int"]]), "a{}.b", "union directly within a union"),
        (in_field(["int", "int"]), "a{}.b", "each of another type"),
        (in_field(record(name="R")), "a{}.b", "R is defined twice"),
        (json.dumps(record(field("a", "int"), field("a", "int"))), "a", "exists already"),
        (json.dumps(record(field("1a", "int"))), "1a", "not an Avro name"),
        (json.dumps(record({"name": "a"})), "a", "without a type"),
        (json.dumps(record("a")), "", "field 0 has no name"),
        (json.dumps({"type": "record", "name": "R"}), "", "without a list of fields"),
    ],
)
def test_an_invalid_schema_is_refused_with_path_and_reason(schema: str, path: str, reason: str) -> None:
    with pytest.raises(SchemaError, match=reason) as refused:
        canonical(schema)
    assert refused.value.path == path
    assert isinstance(refused.value, ValueError)


def test_nesting_and_expansion_are_bounded() -> None:
    deep: Any = "int"
    for _ in range(200):
        deep = {"type": "array", "items": deep}
    with pytest.raises(SchemaError, match="nested more than 100"):
        canonical(json.dumps(deep))
    wide: Any = record(field("x", "int"), name="R0")
    for level in range(1, 40):
        wide = record(field("a", wide), field("b", f"R{level - 1}"), name=f"R{level}")
    with pytest.raises(SchemaError, match="more than 10000 fields"):
        canonical(json.dumps(wide))


def test_canonical_text_is_what_avro_for_java_writes() -> None:
    schema = """
      { "namespace": "com.example", "doc": "d", "name": "R", "type": "record", "owner": "me",
        "aliases": ["Old"],
        "fields": [
          {"default": null, "type": ["null", {"type": "string"}], "name": "a", "doc": "x",
           "order": "ascending"},
          {"name": "g", "type": {"name": "other.G", "type": "fixed", "size": 2}, "aliases": ["h"],
           "pii": true},
          {"name": "g2", "type": "other.G"},
          {"name": "e", "type": {"symbols": ["A"], "name": "E", "type": "enum", "default": "A"}},
          {"name": "e2", "type": {"type": "array", "items": "com.example.E"}},
          {"name": "t", "type": {"logicalType": "timestamp-millis", "type": "long"}} ] }
    """
    assert canonical(schema) == (
        '{"type":"record","name":"R","namespace":"com.example","doc":"d","fields":['
        '{"name":"a","type":["null","string"],"doc":"x","default":null},'
        '{"name":"g","type":{"type":"fixed","name":"G","namespace":"other","size":2},"aliases":["h"],"pii":true},'
        '{"name":"g2","type":"other.G"},'
        '{"name":"e","type":{"type":"enum","name":"E","symbols":["A"],"default":"A"}},'
        '{"name":"e2","type":{"type":"array","items":"E"}},'
        '{"name":"t","type":{"type":"long","logicalType":"timestamp-millis"}}'
        '],"owner":"me","aliases":["Old"]}'
    )


def names_of(schema_json: str) -> list[str]:
    return [field["name"] for field in json.loads(schema_json)["fields"]]


def test_pruning_keeps_the_named_fields_in_the_order_of_the_schema() -> None:
    pruned = prune(SCHEMA_JSON, [("src_ip",), ("action",), ("ts",)])
    assert names_of(pruned) == ["ts", "action", "src_ip"]
    assert json.loads(pruned)["namespace"] == "com.example.logs"


def test_pruning_does_not_depend_on_the_order_or_repetition_of_paths() -> None:
    paths = [("src_geo", "city"), ("tags",), ("threat",), ("device", "labels")]
    assert prune(SCHEMA_JSON, paths) == prune(SCHEMA_JSON, [*reversed(paths), *paths])


def test_pruning_reaches_into_nullable_records_but_keeps_arrays_and_maps_whole() -> None:
    pruned = json.loads(prune(SCHEMA_JSON, [("threat", "name"), ("hops", "ip"), ("labels", "env")]))
    threat, labels, hops = pruned["fields"]
    assert [field["name"] for field in threat["type"][1]["fields"]] == ["name"]
    assert threat["default"] is None
    assert labels["type"] == {"type": "map", "values": "string"}
    assert [field["name"] for field in hops["type"]["items"]["fields"]] == ["ip", "rtt_ms"]


def test_a_record_type_used_twice_keeps_what_either_use_needs() -> None:
    pruned = json.loads(prune(SCHEMA_JSON, [("src_geo", "city"), ("dst_geo", "asn")]))
    source, destination = pruned["fields"]
    assert [field["name"] for field in source["type"]["fields"]] == ["city", "asn"]
    assert destination["type"] == "Geo"


def test_a_type_defined_in_a_field_that_is_cut_away_is_defined_at_its_next_use() -> None:
    (destination,) = json.loads(prune(SCHEMA_JSON, [("dst_geo", "country")]))["fields"]
    assert destination["type"]["name"] == "Geo"


def test_pruning_keeps_aliases_docs_logical_types_and_fits_defaults() -> None:
    inner = record(
        field("a", "int"), field("b", "int", default=2), field("c", "int"), name="In", aliases=["Was"]
    )
    outer = record(
        field("n", inner, default={"a": 1, "c": 3}, aliases=["m"], doc="why"),
        field("t", {"type": "long", "logicalType": "timestamp-millis"}),
    )
    kept, time = json.loads(prune(json.dumps(outer), [("n", "a"), ("n", "b"), ("t",)]))["fields"]
    assert (kept["aliases"], kept["doc"], kept["default"]) == (["m"], "why", {"a": 1, "b": 2})
    assert kept["type"]["aliases"] == ["Was"]
    assert time["type"]["logicalType"] == "timestamp-millis"


def test_no_paths_leave_a_record_without_fields() -> None:
    assert prune(SCHEMA_JSON, []) == (
        '{"type":"record","name":"SecurityLog","namespace":"com.example.logs","fields":[]}'
    )


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (("nothing",), "nothing: no field 'nothing' in the record"),
        (("src_geo", "planet"), "src_geo.planet: no field 'planet' in src_geo"),
        (("threat", "nothing"), "threat.nothing: no field 'nothing' in threat"),
        (("src_ip", "octet"), "src_ip.octet: no field 'octet' in src_ip"),
        (("severity", "level"), "severity.level: no field 'level' in severity"),
        (("url", "host"), "url.host: no field 'host' in url"),
        ((), "an empty path"),
    ],
)
def test_a_path_that_names_no_field_is_refused(path: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        prune(SCHEMA_JSON, [path])
    assert str(refused.value) == reason


def test_only_records_can_be_pruned() -> None:
    with pytest.raises(ValueError, match="must be a record"):
        prune('"string"', [])
