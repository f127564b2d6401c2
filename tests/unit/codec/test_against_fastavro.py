"""Every value that the codec reads or writes is the one that fastavro reads."""

from __future__ import annotations

import io
import json
import random
from dataclasses import replace
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.security_events import SCHEMA_JSON, events
from libs.codec.messages import AvroMessageEncoder, JsonMessageEncoder, MessageDecoder, decoded_schema
from libs.codec.parse import parse
from libs.codec.schema import canonical, prune
from libs.codec.tree import Array, Default, Field, Map, Primitive, Record, Schema, Type, Union, render
from libs.codec.types import avro_schema_for, unsupported
from tests.unit.codec.avro import Sample, read, rows_of, same, samples, write

GENERATED = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@GENERATED
@given(samples())
def test_decoded_values_are_those_of_fastavro(sample: Sample) -> None:
    assert unsupported(sample.text) == []
    decoder = MessageDecoder(sample.text, sample.text)
    decoded = decoder.decode(sample.messages)
    assert decoded.bad == ()
    assert decoded.batch.num_rows == len(sample.rows)
    assert decoded.batch.schema == decoder.schema == decoded_schema(sample.text)
    decoded.batch.validate(full=True)
    expected = [read(message, sample.schema) for message in sample.messages]
    for got, wanted in zip(rows_of(decoded.batch), expected, strict=True):
        assert same(got, wanted), (got, wanted)


@GENERATED
@given(samples())
def test_encoded_rows_read_back_by_fastavro_are_the_rows(sample: Sample) -> None:
    batch = MessageDecoder(sample.text, sample.text).decode(sample.messages).batch
    schema = avro_schema_for(batch.schema, "Output", "sluice.test")
    assert schema == avro_schema_for(batch.schema, "Output", "sluice.test")
    assert unsupported(schema) == []
    messages = AvroMessageEncoder(schema).encode(batch)
    for message, row in zip(messages, rows_of(batch), strict=True):
        assert same(read(message, schema), row)


@GENERATED
@given(samples())
def test_every_row_is_one_json_object_of_all_its_columns(sample: Sample) -> None:
    batch = MessageDecoder(sample.text, sample.text).decode(sample.messages).batch
    for message, row in zip(JsonMessageEncoder().encode(batch), rows_of(batch), strict=True):
        assert list(json.loads(message)) == list(row)


@GENERATED
@given(samples(), st.data())
def test_pruned_values_are_those_of_fastavro(sample: Sample, data: st.DataObject) -> None:
    pruned = prune(sample.text, data.draw(st.sets(st.sampled_from(paths(parse(sample.text))))))
    decoded = MessageDecoder(sample.text, pruned).decode(sample.messages)
    assert decoded.bad == ()
    assert decoded.batch.num_rows == len(sample.rows)
    expected = [read(message, sample.schema, pruned) for message in sample.messages]
    for got, wanted in zip(rows_of(decoded.batch), expected, strict=bool(decoded.batch.num_columns)):
        assert same(got, wanted), (got, wanted)


def paths(schema: Schema) -> list[tuple[str, ...]]:
    """Every path that a statement can name: through records and nullable records."""

    def below(node: Type) -> list[tuple[str, ...]]:
        branches = node.branches if isinstance(node, Union) else (node,)
        records = [record for branch in branches if isinstance(record := schema.resolve(branch), Record)]
        fields = [field for record in records for field in record.fields]
        return [(field.name, *path) for field in fields for path in [(), *below(field.type)]]

    return below(schema.root)


@st.composite
def evolved(draw: st.DrawFn, writer_schema: str) -> str:
    """A reader schema: in every record, fields dropped, reordered, renamed, widened and added with a default."""
    writer = parse(writer_schema)
    named = dict(writer.named)
    for name, node in writer.named.items():
        if isinstance(node, Record):
            kept = draw(
                st.lists(st.sampled_from(node.fields), min_size=1, unique_by=lambda field: field.name)
            )
            fields = [draw(evolved_field(field)) for field in kept]
            fields.append(Field("added", Primitive("int"), default=Default(7)))
            named[name] = replace(node, fields=tuple(draw(st.permutations(fields))))
    return render(Schema(writer.root, named))


@st.composite
def evolved_field(draw: st.DrawFn, field: Field) -> Field:
    match draw(st.sampled_from(["as it is", "renamed", "nullable", "promoted"])), field.type:
        case "renamed", _:
            return replace(field, name=f"new_{field.name}", aliases=(field.name,))
        case (
            "nullable",
            Primitive() | Array() | Map(),
        ):  # fastavro fails when it is a named type defined elsewhere
            return replace(field, type=Union((Primitive("null"), field.type)))
        case "promoted", Primitive("int", ()):
            return replace(field, type=Primitive("long"))
        case "promoted", Primitive("int" | "long" | "float", ()):
            return replace(field, type=Primitive("double"))
    return field


@GENERATED
@given(samples(), st.data())
def test_values_read_by_an_evolved_schema_are_those_of_fastavro(sample: Sample, data: st.DataObject) -> None:
    reader = data.draw(evolved(sample.text))
    decoded = MessageDecoder(sample.text, reader).decode(sample.messages)
    assert decoded.bad == ()
    expected = [read(message, sample.schema, reader) for message in sample.messages]
    for got, wanted in zip(rows_of(decoded.batch), expected, strict=True):
        assert same(promoted(got), promoted(wanted)), (got, wanted)


def promoted(value: Any) -> Any:
    """fastavro leaves a promoted number an int."""
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, dict):
        return {key: promoted(inner) for key, inner in value.items()}
    return [promoted(item) for item in value] if isinstance(value, list) else value


@GENERATED
@given(samples())
def test_canonical_text_is_a_fixed_point_that_means_the_same(sample: Sample) -> None:
    text = canonical(sample.text)
    assert canonical(text) == text
    for message in sample.messages:
        assert same(read(message, text), read(message, sample.schema))


@GENERATED
@given(samples(max_rows=4), st.data())
def test_damaged_messages_never_crash_nor_take_good_ones_with_them(
    sample: Sample, data: st.DataObject
) -> None:
    good = sample.messages
    messages: list[bytes | None] = []
    kept: list[bytes] = []
    for message in good:
        messages.append(message)
        kept.append(message)
        kind = data.draw(st.sampled_from(["none", "cut", "more", "random"]))
        match kind:
            case "none":
                messages.append(None)
            case "cut" if message:
                messages.append(message[: data.draw(st.integers(0, len(message) - 1))])
            case "more":
                messages.append(message + data.draw(st.binary(min_size=1, max_size=3)))
            case "random":
                messages.append(data.draw(st.binary(max_size=40)))
    decoded = MessageDecoder(sample.text, sample.text).decode(messages)
    bad = {message.index for message in decoded.bad}
    survivors = [message for index, message in enumerate(messages) if index not in bad]
    assert decoded.batch.num_rows == len(survivors)
    for survivor, row in zip(survivors, rows_or_skip(decoded.batch), strict=True):
        assert survivor is not None
        expected = fastavro_or_none(sample.schema, survivor)
        if expected is not None and row is not None:
            assert same(row, expected)
    assert set(kept) <= {message for message in survivors if message is not None}


def rows_or_skip(batch: Any) -> list[Any]:
    """Random bytes may be times that Python cannot hold; those rows are not compared."""
    rows: list[Any] = []
    for index in range(batch.num_rows):
        try:
            rows.extend(rows_of(batch.slice(index, 1)))
        except (OverflowError, ValueError):
            rows.append(None)
    return rows


def fastavro_or_none(schema: Any, message: bytes) -> Any:
    try:
        return fastavro.schemaless_reader(io.BytesIO(message), fastavro.parse_schema(schema), None)
    except (OverflowError, ValueError, EOFError, IndexError):
        return None


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_of_a_wide_schema_never_crash(seed: int) -> None:
    source = random.Random(seed)
    decoder = MessageDecoder(SCHEMA_JSON, SCHEMA_JSON)
    good = next(iter(events(1, seed)))
    message = write(SCHEMA_JSON, good)
    damaged = []
    for _ in range(300):
        copy = bytearray(message)
        for _ in range(source.randrange(1, 6)):
            copy[source.randrange(len(copy))] = source.randrange(256)
        damaged.append(bytes(copy))
    damaged += [source.randbytes(source.randrange(200)) for _ in range(100)]
    decoded = decoder.decode([*damaged, message])
    assert decoded.batch.num_rows + len(decoded.bad) == len(damaged) + 1
    decoded.batch.validate(full=True)
    assert decoded.batch.slice(decoded.batch.num_rows - 1)["event_id"].to_pylist() == [good["event_id"]]
