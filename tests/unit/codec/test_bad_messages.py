"""Bad messages are named with their reason; the good ones around them and the next batch are unharmed."""

from __future__ import annotations

import json
import re
import threading
import time

import pytest
import sluice_serde

from libs.codec.messages import BadMessage, MessageDecoder
from tests.unit.codec.avro import write

SCHEMA = {
    "type": "record",
    "name": "R",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "text", "type": "string"},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
    ],
}
TEXT = json.dumps(SCHEMA)


def message(number: int) -> bytes:
    return write(SCHEMA, {"id": number, "text": f"text {number}", "kind": "B", "tags": ["x", "y"]})


def with_bad_utf8(number: int) -> bytes:
    return message(number).replace(b"text", b"t\xffxt")


def with_bad_enum(number: int) -> bytes:
    return message(number).replace(b"\x02\x04\x02x", b"\x06\x04\x02x")


BAD: list[tuple[bytes | None, str]] = [
    (None, "null value"),
    (b"", "varint"),
    (message(1)[:-1], "varint"),
    (message(1)[:4], "EOF"),
    (message(1) + b"\x00", "1 bytes follow the datum"),
    (b"\x02\x03", "overflow"),
    (b"\xff" * 30, "varint"),
    (with_bad_utf8(1), "UTF-8"),
    (with_bad_enum(1), "(?i)enum|dictionary|out of bounds|index"),
    (b"\x02\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01abc", "EOF"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD)
def test_a_bad_message_is_named_and_its_neighbours_survive(bad: bytes | None, reason: str) -> None:
    decoder = MessageDecoder(TEXT, TEXT)
    decoded = decoder.decode([message(0), bad, message(2)])
    assert decoded.batch["id"].to_pylist() == [0, 2]
    assert [found.index for found in decoded.bad] == [1]
    assert re.search(reason, decoded.bad[0].reason), decoded.bad[0].reason
    assert decoder.decode([message(3)]).batch["id"].to_pylist() == [3]


def test_all_kinds_of_bad_messages_in_one_batch_are_told_apart() -> None:
    messages: list[bytes | None] = []
    for number, (bad, _) in enumerate(BAD):
        messages += [message(number), bad]
    decoded = MessageDecoder(TEXT, TEXT).decode(messages)
    assert decoded.batch["id"].to_pylist() == list(range(len(BAD)))
    assert [bad.index for bad in decoded.bad] == list(range(1, 2 * len(BAD), 2))


def test_a_batch_of_nothing_good_is_empty_and_typed() -> None:
    decoder = MessageDecoder(TEXT, TEXT)
    for messages in ([], [None], [b"\x02", with_bad_utf8(1)]):
        decoded = decoder.decode(messages)
        assert decoded.batch.num_rows == 0
        assert decoded.batch.schema == decoder.schema
        assert len(decoded.bad) == len(messages)


def test_framing_is_skipped_and_a_message_shorter_than_it_is_bad() -> None:
    decoded = MessageDecoder(TEXT, TEXT).decode([b"\x00\x00\x00\x00\x07" + message(1), b"\x00\x00"], skip=5)
    assert decoded.batch["id"].to_pylist() == [1]
    assert decoded.bad == (BadMessage(1, "2 bytes, shorter than the 5 of its framing"),)


def test_fields_left_out_by_the_reader_are_not_checked() -> None:
    reader = json.dumps({**SCHEMA, "fields": SCHEMA["fields"][:1]})
    decoded = MessageDecoder(TEXT, reader).decode([with_bad_utf8(1), with_bad_enum(2)])
    assert decoded.bad == ()
    assert decoded.batch["id"].to_pylist() == [1, 2]


def test_rows_without_columns_are_still_counted() -> None:
    reader = json.dumps({**SCHEMA, "fields": []})
    decoded = MessageDecoder(TEXT, reader).decode([message(1), None, message(2)[:-1], message(3)])
    assert (decoded.batch.num_rows, decoded.batch.num_columns) == (2, 0)
    assert [bad.index for bad in decoded.bad] == [1, 2]


def test_three_bad_messages_in_five_thousand_cost_little() -> None:
    messages = [message(number) for number in range(5000)]
    for index in (7, 2500, 4999):
        messages[index] = with_bad_utf8(index)
    started = time.process_time()
    decoded = MessageDecoder(TEXT, TEXT).decode(messages)
    assert time.process_time() - started < 2
    assert [bad.index for bad in decoded.bad] == [7, 2500, 4999]
    assert decoded.batch.num_rows == 4997


def test_a_batch_of_only_bad_messages_ends_soon() -> None:
    started = time.process_time()
    decoded = MessageDecoder(TEXT, TEXT).decode([with_bad_utf8(number) for number in range(2000)])
    assert time.process_time() - started < 10
    assert len(decoded.bad) == 2000


def test_other_threads_run_while_a_batch_is_decoded() -> None:
    messages = [message(1)] * 500_000
    assert any(turns_while_decoding(messages) > 50 for _ in range(20))  # a busy machine may leave us no turn


def turns_while_decoding(messages: list[bytes]) -> int:
    decoding = threading.Thread(target=MessageDecoder(TEXT, TEXT).decode, args=(messages,))
    turns = 0
    decoding.start()
    while decoding.is_alive():
        turns += 1
    return turns


def test_anything_but_bytes_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        sluice_serde.Decoder(TEXT, TEXT).decode(["text"])  # type: ignore[list-item]  # wrong on purpose
