"""A statement from reader schema to output schema, through decoder, engine and encoder."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest

from libs.codec.messages import AvroMessageEncoder, MessageDecoder
from libs.sql import Query, Reason, SqlError
from libs.sql.avro import compile_for_avro

EVENT = json.dumps(
    {
        "type": "record",
        "name": "Event",
        "namespace": "test",
        "fields": [
            {"name": "src", "type": "string"},
            {
                "name": "device",
                "type": [
                    "null",
                    {"type": "record", "name": "Device", "fields": [{"name": "serial", "type": "string"}]},
                ],
            },
            {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["TCP", "UDP"]}},
            {"name": "unused", "type": "long"},
        ],
    }
)


def _encode(record: dict[str, Any]) -> bytes:
    target = io.BytesIO()
    fastavro.schemaless_writer(target, fastavro.parse_schema(json.loads(EVENT)), record)
    return target.getvalue()


def test_only_the_fields_a_statement_reads_are_decoded_and_the_output_is_avro() -> None:
    compiled = compile_for_avro(
        "SELECT src, device.serial, lower(kind) AS kind FROM events WHERE kind <> 'UDP'", EVENT, "Out", "test"
    )
    assert [field["name"] for field in json.loads(compiled.reader_schema)["fields"]] == [
        "src",
        "device",
        "kind",
    ]
    messages = [
        _encode({"src": src, "device": device, "kind": kind, "unused": 1})
        for src, device, kind in (("a", {"serial": "s"}, "TCP"), ("b", None, "TCP"), ("c", None, "UDP"))
    ]
    decoded = MessageDecoder(EVENT, compiled.reader_schema).decode(messages)
    result = Query(compiled.query).execute(decoded.batch)
    output = fastavro.parse_schema(json.loads(compiled.output_schema))
    rows = [
        fastavro.schemaless_reader(io.BytesIO(datum), output, None)
        for datum in AvroMessageEncoder(compiled.output_schema).encode(result.rows)
    ]
    assert rows == [{"src": "a", "serial": "s", "kind": "tcp"}, {"src": "b", "serial": None, "kind": "tcp"}]


def test_a_column_without_an_avro_form_is_refused() -> None:
    with pytest.raises(SqlError) as caught:
        compile_for_avro("SELECT INTERVAL '1' DAY AS i FROM events", EVENT, "Out", "test")
    assert caught.value.violations[0].reason is Reason.UNSUPPORTED_TYPE
