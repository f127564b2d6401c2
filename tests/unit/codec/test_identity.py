"""GUIDs, fingerprints and message framing, byte for byte those of Confluent and of the Avro specification."""

from __future__ import annotations

import hashlib
import uuid

import pytest

from libs.codec.framing import (
    Framing,
    FramingError,
    Guid,
    SchemaId,
    guid_header,
    id_prefix,
    parse_framing,
    parse_header,
    parse_prefix,
)
from libs.codec.guid import (
    SchemaReference,
    crc64_fingerprint,
    guid,
    parsing_canonical_form,
    sha256_fingerprint,
)

GUID = uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"string"', "095d71cf-1255-6b9d-5e33-0ad575b3df5d"),
        ("", "d41d8cd9-8f00-b204-e980-0998ecf8427e"),
    ],
)
def test_the_guid_is_the_md5_of_the_text(text: str, expected: str) -> None:
    assert str(guid(text)) == expected


def test_the_guid_hashes_references_after_the_text_and_not_the_schema_type() -> None:
    reference = SchemaReference("com.example.Geo", "geo-value", 3)
    expected = hashlib.md5(b'"com.example.Geo"com.example.Geogeo-value\x00\x00\x00\x03').digest()
    assert guid('"com.example.Geo"', references=[reference]).bytes == expected
    assert guid("{}", "JSON") == guid("{}", "AVRO")
    with pytest.raises(ValueError, match="schema_type: 'XML' is none of AVRO, JSON, PROTOBUF"):
        guid("{}", "XML")


def test_fingerprints_are_those_of_the_specification() -> None:
    """The vectors are of Avro's own `share/test/data/schema-tests.txt`."""
    assert crc64_fingerprint('"int"') == (8247732601305521295).to_bytes(8, "little")
    assert sha256_fingerprint('"int"').hex() == hashlib.sha256(b'"int"').hexdigest()
    assert parsing_canonical_form('{"type": "int", "doc": "x"}') == '"int"'


def test_the_header_is_confluents() -> None:
    header = bytes.fromhex("01 12345678 9abc def0 1234 56789abcdef0")
    assert guid_header(Guid(GUID)) == header
    assert parse_header(header) == Guid(GUID)


def test_the_prefix_is_confluents() -> None:
    assert id_prefix(SchemaId(100_001)) == b"\x00\x00\x01\x86\xa1"
    assert parse_prefix(b"\x00\x00\x01\x86\xa1datum") == SchemaId(100_001)


def test_the_header_wins_over_the_prefix_and_leaves_nothing_to_skip() -> None:
    message = id_prefix(SchemaId(7)) + b"datum"
    assert parse_framing(guid_header(Guid(GUID)), message) == Framing(Guid(GUID), 0)
    assert parse_framing(id_prefix(SchemaId(8)), message) == Framing(SchemaId(8), 0)
    assert parse_framing(None, message) == Framing(SchemaId(7), 5)
    assert parse_framing(None, guid_header(Guid(GUID)) + b"datum") == Framing(Guid(GUID), 17)


@pytest.mark.parametrize(
    "header", [b"", b"\x01", b"\x01" + b"x" * 15, b"\x01" + b"x" * 17, b"\x00\x00\x00", b"\x02"]
)
def test_a_malformed_header_is_an_error_that_says_what_was_expected(header: bytes) -> None:
    with pytest.raises(FramingError, match=r"header __value_schema_id: \d+ bytes.*expected 01 and a GUID"):
        parse_header(header)


@pytest.mark.parametrize("message", [b"", b"\x00\x00", b"\x01" + b"x" * 15, b"{}", b"\x00\xff\xff\xff\xff"])
def test_a_message_that_names_no_schema_is_an_error(message: bytes) -> None:
    with pytest.raises(FramingError):
        parse_framing(None, message)


def test_ids_out_of_range_have_no_prefix() -> None:
    for value in (-1, 2**31):
        with pytest.raises(ValueError, match="not between 0 and 2147483647"):
            id_prefix(SchemaId(value))
