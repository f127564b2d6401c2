"""The stages between Kafka and Kafka, each a plain object that turns one batch into the next."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc

from libs.codec.messages import (
    AvroMessageEncoder,
    JsonMessageEncoder,
    MessageDecoder,
    MessageEncoder,
    decoded_schema,
)
from libs.dataplane.batches import DeadLetter, InputMessage, MessageBatch, OutputBatch, RowBatch, SchemaGroup
from libs.dataplane.reports import Counters
from libs.sql import Query, compile_query
from libs.sql.columns import PSEUDO_COLUMNS
from sluice.dataplane.v1 import job_spec_pb2


@contextmanager
def timed(counters: Counters, stage: str) -> Iterator[None]:
    """Add the wall time spent in the block to a stage's counter."""
    started = time.perf_counter()
    try:
        yield
    finally:
        counters.stage_seconds[stage] += time.perf_counter() - started


class DecodeStage:
    """Avro messages to columns of the job's pruned reader schema, in the order of consumption."""

    def __init__(self, source: job_spec_pb2.Source) -> None:
        self._reader_schema = source.reader_schema
        self._schema = decoded_schema(source.reader_schema)
        # A statement that names no column at all still has one row for each message: some column must carry that.
        self._pseudo_columns = list(source.pseudo_columns) or ([] if len(self._schema) else ["_offset"])
        self._decoders: dict[str, MessageDecoder | str] = {}

    def run(self, batch: MessageBatch) -> RowBatch:
        """Decode a batch; messages that cannot be decoded become its dead letters."""
        parts: list[pa.RecordBatch] = []
        ordinals: list[int] = []
        for group in batch.groups:
            rows, decoded = self._decode(group, batch)
            parts.append(rows)
            ordinals += decoded
        rows = self._in_order(parts, ordinals) if len(parts) > 1 else (parts[0] if parts else self._empty())
        if len(parts) > 1:
            ordinals.sort()
        return RowBatch(batch, self._with_pseudo_columns(rows, batch.messages, ordinals), ordinals)

    def _decode(self, group: SchemaGroup, batch: MessageBatch) -> tuple[pa.RecordBatch, list[int]]:
        decoder = self._decoder(group.writer_schema)
        if isinstance(decoder, str):
            batch.dead_letters += [
                DeadLetter(ordinal, "INCOMPATIBLE_WRITER_SCHEMA", decoder) for ordinal in group.ordinals
            ]
            return self._empty(), []
        messages = batch.messages
        decoded = decoder.decode([messages[ordinal].value() for ordinal in group.ordinals], group.skip)
        if not decoded.bad:
            return decoded.batch, group.ordinals
        for bad in decoded.bad:
            batch.dead_letters.append(DeadLetter(group.ordinals[bad.index], "UNDECODABLE", bad.reason))
        bad_indices = {bad.index for bad in decoded.bad}
        return decoded.batch, [o for index, o in enumerate(group.ordinals) if index not in bad_indices]

    def _decoder(self, writer_schema: str) -> MessageDecoder | str:
        """The decoder of a writer schema, or why there can be none."""
        found = self._decoders.get(writer_schema)
        if found is None:
            try:
                found = MessageDecoder(writer_schema, self._reader_schema)
            except ValueError as error:
                found = f"the writer schema cannot be read by this job: {error}"
            self._decoders[writer_schema] = found
        return found

    def _in_order(self, parts: Sequence[pa.RecordBatch], ordinals: Sequence[int]) -> pa.RecordBatch:
        table = pa.Table.from_batches(parts, schema=self._schema).combine_chunks()
        ordered = table.take(pc.sort_indices(pa.array(ordinals, pa.int32())))
        batches = ordered.combine_chunks().to_batches()
        return batches[0] if batches else self._empty()

    def _empty(self) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays(
            [pa.array([], field.type) for field in self._schema], schema=self._schema
        )

    def _with_pseudo_columns(
        self, rows: pa.RecordBatch, messages: Sequence[InputMessage], ordinals: Sequence[int]
    ) -> pa.RecordBatch:
        if not self._pseudo_columns:
            return rows
        kept = [name for name in rows.schema.names if name not in self._pseudo_columns]
        fields = [rows.schema.field(name) for name in kept]
        columns = [rows.column(name) for name in kept]
        for name in self._pseudo_columns:
            values = [_PSEUDO_VALUES[name](messages[ordinal]) for ordinal in ordinals]
            fields.append(PSEUDO_COLUMNS.field(name))
            columns.append(pa.array(values, fields[-1].type))
        return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


_PSEUDO_VALUES = {
    "_topic": lambda message: message.topic(),
    "_partition": lambda message: message.partition(),
    "_offset": lambda message: message.offset(),
    "_timestamp": lambda message: message.timestamp()[1],
    "_key": lambda message: message.key(),
}


class QueryStage:
    """The tenant's statement over a batch of rows."""

    def __init__(self, spec: job_spec_pb2.JobSpec) -> None:
        compiled = compile_query(spec.outputs[0].sql, decoded_schema(spec.source.reader_schema))
        self._query = Query(compiled)

    def run(self, batch: RowBatch) -> RowBatch:
        """Filter and project; rows that make the statement fail become dead letters."""
        if batch.rows.num_rows == 0:
            return RowBatch(batch.source, batch.rows, [])
        result = self._query.execute(batch.rows)
        for error in result.errors:
            ordinal = batch.ordinals[error.ordinal]
            batch.source.dead_letters.append(
                DeadLetter(ordinal, "ROW_ERROR", f"{error.reason}: {error.detail}")
            )
        ordinals = [batch.ordinals[row] for row in result.ordinals.to_pylist()]
        return RowBatch(batch.source, result.rows, ordinals)


class EncodeStage:
    """Output rows to message values."""

    def __init__(self, output: job_spec_pb2.Output) -> None:
        avro = output.format == job_spec_pb2.OUTPUT_FORMAT_AVRO
        self._encoder: MessageEncoder = AvroMessageEncoder(output.schema) if avro else JsonMessageEncoder()

    def run(self, batch: RowBatch) -> OutputBatch:
        """Encode a batch; a row that cannot be encoded becomes a dead letter."""
        if not batch.ordinals:
            return OutputBatch(batch.source, [], [])
        try:
            return OutputBatch(batch.source, self._encoder.encode(batch.rows), batch.ordinals)
        except ValueError:
            return self._row_by_row(batch)

    def _row_by_row(self, batch: RowBatch) -> OutputBatch:
        values: list[bytes] = []
        ordinals: list[int] = []
        for row, ordinal in enumerate(batch.ordinals):
            try:
                values += self._encoder.encode(batch.rows.slice(row, 1))
                ordinals.append(ordinal)
            except ValueError as error:
                batch.source.dead_letters.append(DeadLetter(ordinal, "ROW_ERROR", f"encode: {error}"))
        return OutputBatch(batch.source, values, ordinals)
