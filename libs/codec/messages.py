"""Messages to Arrow batches and batches to messages: the native crate behind the checks of this package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import sluice_serde

from libs.codec.native import native_pair, native_text
from libs.codec.resolution import conflicts
from libs.codec.tree import SchemaError
from libs.codec.types import unsupported


@dataclass(frozen=True)
class BadMessage:
    """`index` counts the messages given to `decode`."""

    index: int
    reason: str


@dataclass(frozen=True)
class Decoded:
    """`batch` has the good messages' rows in order; `bad` names the others, in order."""

    batch: pa.RecordBatch
    bad: tuple[BadMessage, ...]


class MessageDecoder:
    """Decodes bare or framed Avro datums of one writer schema into batches of one reader schema.

    Building one takes milliseconds: keep one for each writer schema. One thread at a time;
    the GIL is released while decoding.
    Raises ValueError when the reader schema is unsupported, when the two schemas do not resolve, or when
    they would resolve to values that mean something else (another time unit, another decimal scale).
    """

    def __init__(self, writer_schema: str, reader_schema: str) -> None:
        _refuse(unsupported(reader_schema))
        _refuse(conflicts(writer_schema, reader_schema))
        self._native = sluice_serde.Decoder(*native_pair(writer_schema, reader_schema))
        self.schema: pa.Schema = self._native.schema

    def decode(self, messages: Sequence[bytes | None], skip: int = 0) -> Decoded:
        """`skip`: bytes of framing in front of each datum. A tombstone (None) is a bad message.

        Fields that the reader schema leaves out are skipped, not checked: their UTF-8 and symbols may be
        wrong. Raises ValueError for more than 2 GiB in one batch.
        """
        batch, bad = self._native.decode(messages, skip)
        return Decoded(batch, tuple(BadMessage(index, reason) for index, reason in bad))


class MessageEncoder(Protocol):
    def encode(self, batch: pa.RecordBatch) -> list[bytes]:
        """One message value a row. Raises ValueError when a column does not fit."""


class AvroMessageEncoder:
    """Bare Avro datums of a schema made by `types.avro_schema_for` (which has no enums)."""

    def __init__(self, schema_json: str) -> None:
        _refuse(unsupported(schema_json))
        self._native = sluice_serde.AvroEncoder(native_text(schema_json))

    def encode(self, batch: pa.RecordBatch) -> list[bytes]:
        return self._native.encode(batch)


class JsonMessageEncoder:
    """JSON objects in UTF-8 with explicit nulls; the forms of values are in `libs/codec/README.md`."""

    def encode(self, batch: pa.RecordBatch) -> list[bytes]:
        return sluice_serde.encode_json(batch)


def decoded_schema(reader_schema: str) -> pa.Schema:
    """The schema of the batches that every decoder with this reader schema yields.

    Raises ValueError when the schema is invalid or unsupported.
    """
    _refuse(unsupported(reader_schema))
    return sluice_serde.arrow_schema(native_text(reader_schema))


def _refuse(problems: list[tuple[str, str]]) -> None:
    if problems:
        path, reason = problems[0]
        raise SchemaError(path, reason)
