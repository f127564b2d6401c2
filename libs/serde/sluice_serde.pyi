"""Avro messages to Arrow batches and back (Rust, `libs/serde`). Use it through `libs.codec`."""

from collections.abc import Sequence
from typing import final

import pyarrow as pa

@final
class Decoder:
    """Decodes messages of one writer schema into batches of one reader schema.

    Not safe for two threads at once; the GIL is released while decoding.
    Raises ValueError when the two schemas cannot be resolved. The schemas must come from `libs.codec.native`: of
    others some are read wrongly, without an error.
    """

    def __init__(self, writer_schema: str, reader_schema: str) -> None: ...
    @property
    def schema(self) -> pa.Schema:
        """What `decode` yields: the same for every writer schema with this reader schema."""

    def decode(
        self, messages: Sequence[bytes | None], skip: int = 0
    ) -> tuple[pa.RecordBatch, list[tuple[int, str]]]:
        """The good messages' rows in order, and (index, reason) of each bad one, in order.

        `skip`: bytes of framing in front of each datum. A message is bad when it is None, truncated, followed by
        further bytes, not UTF-8 where it must be, or names no symbol of its enum.
        Raises ValueError for more than 2 GiB in one batch.
        """

@final
class AvroEncoder:
    """Encodes batches as bare Avro datums, one per row."""

    def __init__(self, avro_schema: str) -> None: ...
    def encode(self, batch: pa.RecordBatch) -> list[bytes]:
        """Raises ValueError when the batch's columns do not fit the Avro schema, or a null has no place there."""

def encode_json(batch: pa.RecordBatch) -> list[bytes]:
    """One JSON object per row, UTF-8, nulls explicit. Raises ValueError for a type without a JSON form."""

def arrow_schema(reader_schema: str) -> pa.Schema:
    """The schema of the batches that a decoder of this reader schema yields."""
