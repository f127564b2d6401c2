"""How a message names its writer schema: Confluent's header with a GUID, or the prefix with a registry's id.

Of confluentinc/schema-registry, `schema-serializer/.../schema/id/SchemaId.java`.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from typing import Final, TypeAlias

VALUE_SCHEMA_ID_HEADER: Final = "__value_schema_id"
ID_MAGIC: Final = 0
GUID_MAGIC: Final = 1
PREFIX_BYTES: Final = 5
HEADER_BYTES: Final = 17

_PREFIX: Final = struct.Struct(">bi")


class FramingError(ValueError):
    """The message does not say which schema wrote it."""


@dataclass(frozen=True)
class Guid:
    value: uuid.UUID


@dataclass(frozen=True)
class SchemaId:
    """An id that one registry allocated; never negative."""

    value: int


SchemaRef: TypeAlias = Guid | SchemaId


@dataclass(frozen=True)
class Framing:
    """The writer schema, and the bytes of framing in front of the datum."""

    schema: SchemaRef
    skip: int


def guid_header(guid: Guid) -> bytes:
    """The value of the `__value_schema_id` header: 0x01 and the 16 bytes of the GUID."""
    return bytes([GUID_MAGIC]) + guid.value.bytes


def id_prefix(schema_id: SchemaId) -> bytes:
    """The five bytes in front of a datum: 0x00 and the id as int32, big-endian."""
    if not 0 <= schema_id.value < 2**31:
        raise ValueError(f"schema id {schema_id.value} is not between 0 and 2147483647")
    return _PREFIX.pack(ID_MAGIC, schema_id.value)


def parse_header(value: bytes) -> SchemaRef:
    """The schema that a `__value_schema_id` header names; Confluent allows the id form there too."""
    if len(value) == HEADER_BYTES and value[0] == GUID_MAGIC:
        return Guid(uuid.UUID(bytes=value[1:]))
    if len(value) == PREFIX_BYTES and value[0] == ID_MAGIC:
        return _schema_id(value)
    raise FramingError(
        f"header {VALUE_SCHEMA_ID_HEADER}: {len(value)} bytes starting with {value[:1].hex() or 'nothing'}; "
        f"expected 01 and a GUID ({HEADER_BYTES} bytes) or 00 and an id ({PREFIX_BYTES} bytes)"
    )


def parse_prefix(message: bytes) -> SchemaRef:
    """The schema that the first bytes of a message name: an id, or a GUID, which Confluent writes there as
    well.
    """
    if not message:
        raise FramingError(f"no {VALUE_SCHEMA_ID_HEADER} header, and the message is empty")
    if message[0] == ID_MAGIC and len(message) >= PREFIX_BYTES:
        return _schema_id(message)
    if message[0] == GUID_MAGIC and len(message) >= HEADER_BYTES:
        return Guid(uuid.UUID(bytes=bytes(message[1:HEADER_BYTES])))
    raise FramingError(
        f"no {VALUE_SCHEMA_ID_HEADER} header, and none in front of the {len(message)} bytes of the message "
        f"(first byte {message[:1].hex()}; expected 00 and an id, or 01 and a GUID)"
    )


def parse_framing(header: bytes | None, message: bytes) -> Framing:
    """The schema of a message with this `__value_schema_id` header (None when it has none).

    Raises `FramingError`, a ValueError, when neither header nor prefix names a schema.
    """
    if header is not None:
        return Framing(parse_header(header), 0)
    schema = parse_prefix(message)
    return Framing(schema, HEADER_BYTES if isinstance(schema, Guid) else PREFIX_BYTES)


def _schema_id(value: bytes) -> SchemaId:
    _, schema_id = _PREFIX.unpack_from(value)
    if schema_id < 0:
        raise FramingError(f"schema id {schema_id} is negative")
    return SchemaId(schema_id)
