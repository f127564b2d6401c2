"""The stages between Kafka and Kafka, on batches made by hand."""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence

import fastavro
import pytest

from libs.codec.schema import canonical
from libs.dataplane.batches import MessageBatch, OutputBatch, SchemaGroup, ShardIdentity
from libs.dataplane.reports import Counters
from libs.dataplane.stages import DecodeStage, EncodeStage, QueryStage, timed
from sluice.dataplane.v1 import job_spec_pb2
from tests.support.jobs import EVENT_SCHEMA, encode_event, job_spec
from tests.unit.dataplane.fakes import FakeMessage

OLDER = canonical(
    json.dumps(
        {
            "type": "record",
            "name": "Event",
            "namespace": "test",
            "fields": [{"name": "action", "type": "string"}, {"name": "number", "type": "int"}],
        }
    )
)
FOREIGN = canonical(
    json.dumps(
        {
            "type": "record",
            "name": "Event",
            "namespace": "test",
            "fields": [{"name": "number", "type": "string"}],
        }
    )
)


def datum(number: int, schema: str = EVENT_SCHEMA) -> bytes:
    event = {"number": number, "action": "allow"} | ({"note": None} if schema == EVENT_SCHEMA else {})
    return encode_event(event, schema)


def batch(values: Sequence[tuple[str, bytes | None]], skip: int = 0) -> MessageBatch:
    """Messages 0, 1, 2 ... of one partition, each with its writer schema."""
    groups: dict[str, list[int]] = defaultdict(list)
    for ordinal, (schema, _) in enumerate(values):
        groups[schema].append(ordinal)
    return MessageBatch(
        ShardIdentity("jobs/a", 1, 0),
        "reader",
        [
            FakeMessage(value, 100 + ordinal, ordinal % 3, named=b"k%d" % ordinal, time_ms=ordinal)
            for ordinal, (_, value) in enumerate(values)
        ],
        [SchemaGroup(schema, skip, ordinals) for schema, ordinals in groups.items()],
        [],
    )


def run(sql: str, source: MessageBatch, **options: object) -> OutputBatch:
    spec = job_spec("kafka:9092", sql=sql, **options)  # type: ignore[arg-type]
    rows = DecodeStage(spec.source).run(source)
    return EncodeStage(spec.outputs[0]).run(QueryStage(spec).run(rows))


def as_json(output: OutputBatch) -> list[dict[str, object]]:
    return [json.loads(value) for value in output.values]


def test_interleaved_writers_come_out_in_the_order_of_consumption() -> None:
    schemas = [EVENT_SCHEMA, OLDER, OLDER, EVENT_SCHEMA, OLDER, EVENT_SCHEMA]
    source = batch([(schema, datum(number, schema)) for number, schema in enumerate(schemas)])
    output = run("SELECT number, action FROM events", source)
    assert [row["number"] for row in as_json(output)] == list(range(6))
    assert output.ordinals == list(range(6))
    assert not source.dead_letters


def test_bad_messages_of_interleaved_writers_are_dead_letters_and_the_rest_keeps_its_place() -> None:
    source = batch(
        [
            (EVENT_SCHEMA, datum(0)),
            (OLDER, b"\x02"),
            (EVENT_SCHEMA, b""),
            (OLDER, datum(3, OLDER)),
            (EVENT_SCHEMA, None),
            (EVENT_SCHEMA, datum(5)),
            (EVENT_SCHEMA, datum(6) + b"!"),
            (OLDER, datum(7, OLDER)),
        ]
    )
    output = run("SELECT number, _offset AS o FROM events", source)
    assert as_json(output) == [{"number": number, "o": 100 + number} for number in (0, 3, 5, 7)]
    assert output.ordinals == [0, 3, 5, 7]
    assert {letter.ordinal: letter.reason for letter in source.dead_letters} == dict.fromkeys(
        (1, 2, 4, 6), "UNDECODABLE"
    )


def test_framing_is_skipped() -> None:
    source = batch([(EVENT_SCHEMA, b"\x00\x00\x00\x00\x01" + datum(4))], skip=5)
    assert as_json(run("SELECT number FROM events", source)) == [{"number": 4}]


def test_a_writer_schema_that_does_not_resolve_makes_dead_letters_of_its_messages_only() -> None:
    source = batch([(FOREIGN, b"\x02a"), (EVENT_SCHEMA, datum(1)), (FOREIGN, b"\x02b")])
    output = run("SELECT number FROM events", source)
    assert output.ordinals == [1]
    assert [(letter.ordinal, letter.reason) for letter in source.dead_letters] == [
        (0, "INCOMPATIBLE_WRITER_SCHEMA"),
        (2, "INCOMPATIBLE_WRITER_SCHEMA"),
    ]


def test_pseudo_columns_tell_the_place_of_each_message() -> None:
    source = batch([(EVENT_SCHEMA, datum(0)), (OLDER, datum(1, OLDER)), (EVENT_SCHEMA, datum(2))])
    sql = "SELECT _topic AS t, _partition AS p, _offset AS o, _timestamp AS at, _key AS k FROM events"
    rows = as_json(run(sql, source))
    assert [(row["t"], row["p"], row["o"]) for row in rows] == [
        ("in", 0, 100),
        ("in", 1, 101),
        ("in", 2, 102),
    ]
    assert [row["at"] for row in rows] == [
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00.001Z",
        "1970-01-01T00:00:00.002Z",
    ]
    assert len({str(row["k"]) for row in rows}) == 3


@pytest.mark.parametrize("schemas", [[EVENT_SCHEMA] * 3, [EVENT_SCHEMA, OLDER, EVENT_SCHEMA]])
@pytest.mark.parametrize(
    ("sql", "expected"), [("SELECT 1 AS x FROM events", 1), ("SELECT _topic AS x FROM events", "in")]
)
def test_a_statement_that_names_no_field_has_a_row_for_each_message(
    schemas: list[str], sql: str, expected: object
) -> None:
    source = batch([(schema, datum(number, schema)) for number, schema in enumerate(schemas)])
    output = run(sql, source)
    assert as_json(output) == [{"x": expected}] * 3
    assert output.ordinals == [0, 1, 2]


def test_filtered_rows_are_neither_output_nor_dead() -> None:
    source = batch([(EVENT_SCHEMA, datum(number)) for number in range(6)])
    output = run("SELECT number FROM events WHERE number % 2 = 1", source)
    assert output.ordinals == [1, 3, 5]
    assert not source.dead_letters


def test_a_row_that_makes_the_statement_fail_is_a_dead_letter_by_itself() -> None:
    source = batch([(EVENT_SCHEMA, datum(number)) for number in (1, 0, 2)])
    output = run("SELECT 10 / number AS q FROM events", source)
    assert as_json(output) == [{"q": 10}, {"q": 5}]
    assert output.ordinals == [0, 2]
    assert [(letter.ordinal, letter.reason) for letter in source.dead_letters] == [(1, "ROW_ERROR")]


@pytest.mark.parametrize("values", [[], [(EVENT_SCHEMA, b"\xff")]])
def test_a_batch_without_a_row_passes_all_stages(values: list[tuple[str, bytes]]) -> None:
    source = batch(values)
    assert run("SELECT number FROM events", source).values == []
    assert len(source.dead_letters) == len(values)


def test_avro_output_is_what_fastavro_reads() -> None:
    import io

    source = batch([(EVENT_SCHEMA, datum(number)) for number in range(3)])
    sql = "SELECT number, action, note FROM events"
    spec = job_spec("kafka:9092", sql=sql, output_format=job_spec_pb2.OUTPUT_FORMAT_AVRO)
    output = run(sql, source, output_format=job_spec_pb2.OUTPUT_FORMAT_AVRO)
    schema = fastavro.parse_schema(json.loads(spec.outputs[0].schema))
    rows = [fastavro.schemaless_reader(io.BytesIO(value), schema, None) for value in output.values]
    assert rows == [{"number": number, "action": "allow", "note": None} for number in range(3)]


def test_a_row_that_cannot_be_encoded_is_a_dead_letter_by_itself() -> None:
    source = batch([(EVENT_SCHEMA, datum(number)) for number in range(3)])
    spec = job_spec("kafka:9092", sql="SELECT number FROM events")
    stage = EncodeStage(spec.outputs[0])
    real = stage._encoder

    class Picky:
        def encode(self, rows: object) -> list[bytes]:
            values = real.encode(rows)
            if b'{"number":1}' in values:
                raise ValueError("no ones")
            return values

    stage._encoder = Picky()
    output = stage.run(QueryStage(spec).run(DecodeStage(spec.source).run(source)))
    assert output.ordinals == [0, 2]
    assert [(letter.ordinal, letter.detail) for letter in source.dead_letters] == [(1, "encode: no ones")]


def test_stage_time_is_counted_even_when_the_stage_fails() -> None:
    counters = Counters(dead_letters=Counter())
    with pytest.raises(ZeroDivisionError), timed(counters, "sql"):
        raise ZeroDivisionError
    assert counters.stage_seconds["sql"] > 0
