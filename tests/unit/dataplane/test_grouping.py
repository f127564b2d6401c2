"""Messages sorted by writer schema, in order, with nothing lost and nothing invented."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.codec.framing import VALUE_SCHEMA_ID_HEADER, SchemaId, SchemaRef, guid_header, id_prefix
from libs.dataplane.grouping import Grouping, MessageGrouper
from libs.dataplane.positions import PartitionKey
from libs.dataplane.schemas import Known, Pending, Unknown
from tests.unit.dataplane.fakes import FakeMessage, SettledSchemas, guid_of, header_of

A, B, C = '"string"', '"long"', '"int"'
IDS: dict[SchemaRef, Known | Unknown | Pending] = {
    guid_of(A): Known(A),
    guid_of(B): Known(B),
    SchemaId(1): Known(A),
    SchemaId(2): Known(B),
    SchemaId(9): Unknown(),
}
P0, P1 = PartitionKey("in", 0), PartitionKey("in", 1)


def grouper() -> MessageGrouper:
    return MessageGrouper(SettledSchemas(IDS))


def group(messages: Sequence[FakeMessage], start: int = 0) -> Grouping:
    return grouper().group(messages, {P0: start, P1: start})


def by_header(schema: str, at: int, partition: int = 0, **other: object) -> FakeMessage:
    return FakeMessage(b"data", at, partition, carried=[header_of(schema)], **other)  # type: ignore[arg-type]


def by_id(schema_id: int, at: int, partition: int = 0) -> FakeMessage:
    return FakeMessage(id_prefix(SchemaId(schema_id)) + b"data", at, partition)


def test_interleaved_writers_are_grouped_and_keep_their_ordinals() -> None:
    found = group([by_header(A, 0), by_header(B, 1), by_header(A, 2), by_header(B, 3)])
    assert {each.writer_schema: each.ordinals for each in found.groups} == {A: [0, 2], B: [1, 3]}
    assert found.next_positions == {P0: 4}
    assert found.schema_guids == {str(guid_of(A).value), str(guid_of(B).value)}


def test_the_three_framings_of_one_schema_differ_in_what_precedes_the_datum() -> None:
    guid_prefixed = FakeMessage(guid_header(guid_of(A)) + b"data", 2)
    found = group([by_header(A, 0), by_id(1, 1), guid_prefixed])
    assert {each.skip: each.ordinals for each in found.groups} == {0: [0], 5: [1], 17: [2]}


def test_equal_headers_that_name_no_schema_do_not_hide_that_the_prefixes_differ() -> None:
    messages = [by_id(1, 0), by_id(2, 1), by_id(9, 2), FakeMessage(b"\x07junk", 3)]
    for message in messages:
        message.carried = [("trace", b"same")]
    found = group(messages)
    assert {each.writer_schema: each.ordinals for each in found.groups} == {A: [0], B: [1]}
    assert [(each.ordinal, each.reason) for each in found.dead_letters] == [
        (2, "UNKNOWN_WRITER_SCHEMA"),
        (3, "MISSING_SCHEMA_ID"),
    ]


def test_a_header_goes_before_a_prefix_and_the_last_header_before_earlier_ones() -> None:
    message = by_id(2, 0)
    message.carried = [header_of(B), ("x", None), header_of(A)]
    (only,) = group([message]).groups
    assert (only.writer_schema, only.skip) == (A, 0)


@pytest.mark.parametrize(
    "value", [None, b"", b"\x00", b"\x00\x00\x00", b"\x01short", b"{}", b"\x00\xff\xff\xff\xffdata"]
)
def test_a_message_that_names_no_schema_is_a_dead_letter_and_the_next_goes_on(value: bytes | None) -> None:
    found = group([FakeMessage(value, 0), by_header(A, 1)])
    assert [(each.ordinal, each.reason) for each in found.dead_letters] == [(0, "MISSING_SCHEMA_ID")]
    assert found.groups[0].ordinals == [1]
    assert found.next_positions == {P0: 2}


@pytest.mark.parametrize("content", [b"", None, b"\x01too short", b"text"])
def test_a_broken_schema_header_is_a_dead_letter(content: bytes | None) -> None:
    broken = FakeMessage(b"data", 0, carried=[(VALUE_SCHEMA_ID_HEADER, content)])
    assert [each.reason for each in group([broken]).dead_letters] == ["MISSING_SCHEMA_ID"]


def test_a_tombstone_with_a_schema_is_left_to_the_decoder() -> None:
    found = group([FakeMessage(None, 0, carried=[header_of(A)])])
    assert found.groups[0].ordinals == [0]


def test_an_unknown_schema_holds_back_its_partition_from_there_on_and_no_other() -> None:
    found = group([by_header(A, 0), by_header(C, 1), by_header(A, 2), by_header(A, 0, 1), by_header(A, 3)])
    assert found.held_back == {P0: guid_of(C)}
    assert [(message.partition(), message.offset()) for message in found.messages] == [(0, 0), (1, 0)]
    assert found.next_positions == {P0: 1, P1: 1}


def test_schemas_behind_a_held_back_message_are_asked_for_at_once() -> None:
    schemas = SettledSchemas({})
    MessageGrouper(schemas).group([by_id(5, 0), by_id(6, 1), by_id(7, 2), by_id(6, 3)], {P0: 0})
    assert schemas.wanted == [SchemaId(5), SchemaId(6), SchemaId(7)]


def test_records_before_the_position_and_of_other_partitions_are_passed_over() -> None:
    found = group([by_header(A, 3), by_header(A, 5), by_header(A, 9, 7)], start=5)
    assert [message.offset() for message in found.messages] == [5]
    assert found.next_positions == {P0: 6}


def test_the_end_of_a_partition_moves_the_position_past_markers() -> None:
    sorter = grouper()
    sorter.end_of_partition(P0, 12)
    sorter.end_of_partition(P1, 4)
    found = sorter.group([by_header(A, 9)], {P0: 9, P1: 3})
    assert found.next_positions == {P0: 12, P1: 4}
    assert sorter.group([], {P0: 12, P1: 4}).next_positions == {}


def test_the_end_of_a_held_back_partition_does_not_move_it() -> None:
    sorter = grouper()
    sorter.end_of_partition(P0, 12)
    assert sorter.group([by_header(C, 9)], {P0: 9}).next_positions == {P0: 9}


def test_the_end_told_before_more_records_came_does_not_move_a_position_back() -> None:
    sorter = grouper()
    sorter.end_of_partition(P0, 9)
    assert sorter.group([by_header(A, 9)], {P0: 9}).next_positions == {P0: 10}


KINDS = st.sampled_from(["A", "B", "id1", "id2", "id9", "pending", "junk", "null"])


def _message(kind: str, at: int, partition: int, traced: bool) -> FakeMessage:
    match kind:
        case "A" | "B":
            message = by_header(A if kind == "A" else B, at, partition)
        case "pending":
            message = by_header(C, at, partition)
        case "junk":
            message = FakeMessage(b"\x05junk", at, partition)
        case "null":
            message = FakeMessage(None, at, partition)
        case _:
            message = by_id(int(kind[2:]), at, partition)
    if traced:
        message.carried = [("trace", b"1"), *(message.carried or [])]
    return message


@given(st.lists(st.tuples(KINDS, st.integers(0, 1), st.booleans()), max_size=30))
def test_every_message_is_in_one_group_or_dead_or_held_back_with_all_after_it(
    drawn: list[tuple[str, int, bool]],
) -> None:
    counts = [0, 0]
    messages, expected = [], []
    held: set[int] = set()
    for kind, partition, traced in drawn:
        messages.append(_message(kind, counts[partition], partition, traced))
        if kind == "pending":
            held.add(partition)
        if partition not in held:
            schema = {"A": A, "B": B, "id1": A, "id2": B, "id9": "?", "junk": "!", "null": "!"}[kind]
            expected.append((partition, counts[partition], schema))
        counts[partition] += 1
    found = group(messages)
    where = {ordinal: each.writer_schema for each in found.groups for ordinal in each.ordinals}
    where |= {
        each.ordinal: "?" if each.reason == "UNKNOWN_WRITER_SCHEMA" else "!" for each in found.dead_letters
    }
    assert sorted(where) == list(range(len(found.messages)))
    assert [
        (message.partition(), message.offset(), where[ordinal])
        for ordinal, message in enumerate(found.messages)
    ] == expected
    assert {key.partition for key in found.held_back} == held
    for partition, key in enumerate((P0, P1)):
        used = [at for of, at, _ in expected if of == partition]
        assert found.next_positions.get(key, 0) == len(used)
