"""Run a compiled statement on batches; a bad row costs itself only."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from libs.sql.columns import TABLE, flat_name, flatten, quote
from libs.sql.compiler import CompiledQuery
from libs.sql.failures import FailPoint, FailureKind
from libs.sql.limits import BatchBounds
from libs.sql.planner import READ_ONLY, engine_message, session


@dataclass(frozen=True)
class RowError:
    """A row that gives no output: its index in the batch, why, and the operation with the value to blame."""

    ordinal: int
    reason: FailureKind
    detail: str


@dataclass(frozen=True)
class QueryResult:
    """Output rows in the order of the input; `ordinals[i]` (int32) is the input row of output row i.

    `errors` are in the order of the input, and no row is both in `rows` and in `errors`.
    """

    rows: pa.RecordBatch
    ordinals: pa.Int32Array
    errors: tuple[RowError, ...]


class _BatchFailed(Exception):
    """The engine gave up on a whole batch."""


class Query:
    """A compiled statement with an engine session of its own; not for concurrent use."""

    def __init__(
        self,
        compiled: CompiledQuery,
        bounds: BatchBounds | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._compiled = compiled
        self._bounds = bounds or BatchBounds()
        self._monotonic = monotonic
        self._context = session(self._bounds.memory_bytes)
        self._schema = compiled.output_schema
        self._width = len(self._schema)
        self._paths = sorted(compiled.referenced) + [(name,) for name in sorted(compiled.pseudo_columns)]
        self._ordinals = pa.array(range(0), pa.int32())

    @property
    def output_schema(self) -> pa.Schema:
        """The schema of every result's rows."""
        return self._schema

    def execute(self, batch: pa.RecordBatch) -> QueryResult:
        """Run the statement on a batch.

        The batch has the columns of `CompiledQuery.referenced` (records may be pruned to the paths) and
        `pseudo_columns`; further columns are ignored. Bad rows come back as errors; an exception
        means a broken
        batch (a column is missing) or process, never a bad row.
        """
        if batch.num_rows == 0:
            return QueryResult(self._empty(), pa.array([], pa.int32()), ())
        table = self._with_ordinals(batch)
        try:
            return self._split(table, self._run(table, self._compiled.executable_sql))
        except _BatchFailed as error:
            return self._isolate(table, str(error))

    def _empty(self) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays(
            [pa.array([], field.type) for field in self._schema], schema=self._schema
        )

    def _with_ordinals(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if len(self._ordinals) < batch.num_rows:
            self._ordinals = pa.array(range(2 * batch.num_rows), pa.int32())
        columns = [flatten(batch, path) for path in self._paths]
        columns.append(self._ordinals.slice(0, batch.num_rows))
        names = [flat_name(path) for path in self._paths]
        return pa.RecordBatch.from_arrays(columns, names=[*names, self._compiled.ordinal_column])

    def _run(self, batch: pa.RecordBatch, sql: str) -> pa.RecordBatch | None:
        """The engine's answer as one batch, None for no rows."""
        self._context.register_record_batches(TABLE, [[batch]])
        try:
            parts = self._context.sql_with_options(sql, READ_ONLY).collect()
        except Exception as error:
            raise _BatchFailed(engine_message(error)) from error
        finally:
            self._context.deregister_table(TABLE)
        filled = [part for part in parts if part.num_rows]
        if len(filled) <= 1:
            return filled[0] if filled else None
        return pa.Table.from_batches(filled).combine_chunks().to_batches()[0]

    def _split(self, batch: pa.RecordBatch, answer: pa.RecordBatch | None) -> QueryResult:
        """Good rows and, where the failure column has a number, bad ones."""
        if answer is None:
            return QueryResult(self._empty(), pa.array([], pa.int32()), ())
        errors: list[RowError] = []
        if self._compiled.fail_points:
            failed = answer.column(self._width)
            if failed.null_count != len(failed):
                bad = pc.is_valid(failed)
                errors = self._blame(batch, answer.filter(bad))
                answer = answer.filter(pc.invert(bad))
        columns = [
            column if column.type == field.type else column.cast(field.type)
            for column, field in zip(answer.columns[: self._width], self._schema, strict=True)
        ]
        ordinals = answer.column(answer.num_columns - 1)
        return self._without_unexpected_nulls(columns, ordinals, errors)

    def _without_unexpected_nulls(
        self, columns: list[pa.Array], ordinals: pa.Array, errors: list[RowError]
    ) -> QueryResult:
        """A null where the output schema has none would be written as garbage: such a row is bad too."""
        for column, field in zip(columns, self._schema, strict=True):
            if not field.nullable and column.null_count:
                good = pc.is_valid(column)
                errors += [
                    RowError(
                        ordinal, FailureKind.UNEXPECTED_NULL, f"null in {field.name}, which has no nulls"
                    )
                    for ordinal in ordinals.filter(pc.invert(good)).to_pylist()
                ]
                rest = self._without_unexpected_nulls(
                    [part.filter(good) for part in columns], ordinals.filter(good), errors
                )
                return rest
        rows = pa.RecordBatch.from_arrays(columns, schema=self._schema)
        return QueryResult(rows, ordinals, tuple(sorted(errors, key=lambda error: error.ordinal)))

    def _blame(self, batch: pa.RecordBatch, answer: pa.RecordBatch) -> list[RowError]:
        """An error for each bad row, with the value that its operation could not take."""
        numbers = answer.column(self._width)
        ordinals = answer.column(answer.num_columns - 1)
        first = batch.column(batch.num_columns - 1)[0].as_py()
        errors: list[RowError] = []
        for number in pc.unique(numbers).to_pylist():
            point = self._compiled.fail_points[int(number) - 1]
            rows = ordinals.filter(pc.equal(numbers, number))
            values = self._operand_values(batch.take(pc.subtract(rows, first)), point)
            errors += [
                RowError(ordinal, point.kind, _detail(point, value))
                for ordinal, value in zip(rows.to_pylist(), values, strict=True)
            ]
        return errors

    def _operand_values(self, rows: pa.RecordBatch, point: FailPoint) -> list[str | None]:
        if point.kind is FailureKind.DIVISION_BY_ZERO:
            return [None] * rows.num_rows
        sql = f"SELECT TRY_CAST({point.operand_sql} AS VARCHAR) AS value FROM {quote(TABLE)}"
        try:
            answer = self._run(rows, sql)
        except _BatchFailed:
            answer = None
        if answer is None or answer.num_rows != rows.num_rows:
            return [None] * rows.num_rows
        return [None if value is None else str(value) for value in answer.column(0).to_pylist()]

    def _isolate(self, batch: pa.RecordBatch, message: str) -> QueryResult:
        """Halve until the rows that fail are alone, within the time allowed."""
        deadline = self._monotonic() + self._bounds.isolation_seconds
        good: list[QueryResult] = []
        errors: list[RowError] = []
        pending = [(batch, message)]
        while pending:
            part, reason = pending.pop()
            if part.num_rows == 1 or self._monotonic() >= deadline:
                alone = part.num_rows == 1
                kind = FailureKind.EVALUATION if alone else FailureKind.NOT_ISOLATED
                ordinals = part.column(part.num_columns - 1).to_pylist()
                errors += [RowError(ordinal, kind, reason) for ordinal in ordinals]
                continue
            middle = part.num_rows // 2
            for half in (part.slice(middle), part.slice(0, middle)):
                try:
                    good.append(self._split(half, self._run(half, self._compiled.executable_sql)))
                except _BatchFailed as error:
                    pending.append((half, str(error)))
        return self._merge(good, errors)

    def _merge(self, parts: list[QueryResult], errors: list[RowError]) -> QueryResult:
        for part in parts:
            errors += part.errors
        filled = [part for part in parts if part.rows.num_rows]
        errors.sort(key=lambda error: error.ordinal)
        if not filled:
            return QueryResult(self._empty(), pa.array([], pa.int32()), tuple(errors))
        filled.sort(key=lambda part: part.ordinals[0].as_py())
        rows = pa.Table.from_batches([part.rows for part in filled]).combine_chunks().to_batches()[0]
        ordinals = pa.concat_arrays([part.ordinals for part in filled])
        return QueryResult(rows, ordinals, tuple(errors))


def _detail(point: FailPoint, value: str | None) -> str:
    where = f"{point.expression} at line {point.line}, column {point.column}"
    return where if value is None else f"{where}: value {value[:200]!r}"
