"""What identifies a schema: Confluent's GUID; Avro's Parsing Canonical Form and its fingerprints."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import fastavro.schema

SCHEMA_TYPES: Final = ("AVRO", "JSON", "PROTOBUF")


@dataclass(frozen=True)
class SchemaReference:
    name: str
    subject: str
    version: int


def guid(
    schema_text: str, schema_type: str = "AVRO", references: Sequence[SchemaReference] = ()
) -> uuid.UUID:
    """Confluent's schema GUID: the MD5 of the schema's text and references, as a UUID without version bits.

    Of confluentinc/schema-registry, `client/.../rest/entities/Schema.java` (`getGuid`, `updateHash`): UTF-8
    of the text, then of each reference its name, subject and version (int32 big-endian). Metadata and rule
    sets would enter too where a registry has them; the schema type and the subject do not. The registry
    hashes the text it stores, which for Avro is `schema.canonical(text)`: pass that, this function hashes
    what it is given.

    Raises ValueError for an unknown schema type.
    """
    if schema_type not in SCHEMA_TYPES:
        raise ValueError(f"schema_type: {schema_type!r} is none of {', '.join(SCHEMA_TYPES)}")
    digest = hashlib.md5(schema_text.encode(), usedforsecurity=False)
    for reference in references:
        digest.update(reference.name.encode())
        digest.update(reference.subject.encode())
        digest.update(reference.version.to_bytes(4, "big", signed=True))
    return uuid.UUID(bytes=digest.digest())


def parsing_canonical_form(schema_json: str) -> str:
    """The specification's Parsing Canonical Form: what a decoder must know, and nothing else."""
    return fastavro.schema.to_parsing_canonical_form(json.loads(schema_json))


def crc64_fingerprint(schema_json: str) -> bytes:
    """CRC-64-AVRO of the Parsing Canonical Form: 8 bytes, little-endian as in single-object encoding."""
    form = parsing_canonical_form(schema_json)
    return bytes.fromhex(fastavro.schema.fingerprint(form, "CRC-64-AVRO"))


def sha256_fingerprint(schema_json: str) -> bytes:
    """SHA-256 of the Parsing Canonical Form: 32 bytes."""
    return bytes.fromhex(fastavro.schema.fingerprint(parsing_canonical_form(schema_json), "SHA-256"))
