"""The engine's opinion of a statement: its planner over an empty table, with no way to files or network."""

from __future__ import annotations

import re

import pyarrow as pa
from datafusion import RuntimeEnvBuilder, SessionConfig, SessionContext, SQLOptions

from libs.sql.columns import TABLE, quote

READ_ONLY = SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)


def session(memory_bytes: int) -> SessionContext:
    """A context of its own: one partition (row order), one batch in and out, bounded memory, no disk.

    The table functions and the file formats of the engine stay in the binary but out of reach: the
    statements given
    to it are written by the writers of `expressions.py`, which know one table.
    """
    config = (
        SessionConfig()
        .with_target_partitions(1)
        .with_batch_size(1 << 20)
        .with_information_schema(False)
        .set("datafusion.sql_parser.map_string_types_to_utf8view", "false")
        .set("datafusion.sql_parser.recursion_limit", "1000")
        .set("datafusion.sql_parser.enable_ident_normalization", "false")
        .set("datafusion.optimizer.max_passes", "1")
        .set("datafusion.execution.collect_statistics", "false")
    )
    runtime = RuntimeEnvBuilder().with_disk_manager_disabled().with_greedy_memory_pool(memory_bytes)
    return SessionContext(config, runtime)


class Planner:
    """Plans texts against an empty `events` of one schema."""

    def __init__(self, schema: pa.Schema) -> None:
        self._context = session(64 * 1024 * 1024)
        empty = pa.RecordBatch.from_arrays([pa.array([], type=field.type) for field in schema], schema=schema)
        self._context.register_record_batches(TABLE, [[empty]])

    def schema(self, sql: str) -> pa.Schema:
        """The output schema of a whole statement. Raises ValueError with the engine's message."""
        try:
            return self._context.sql_with_options(sql, READ_ONLY).schema()
        except Exception as error:
            raise ValueError(engine_message(error)) from error

    def run_empty(self, sql: str) -> str | None:
        """The engine's message if the statement fails even on no rows (a constant that cannot be
        computed)."""
        try:
            self._context.sql_with_options(sql, READ_ONLY).collect()
        except Exception as error:  # noqa: BLE001 - the engine raises bare Exception
            return engine_message(error)
        return None

    def expression_error(self, expression: str) -> str | None:
        """Why an expression cannot be planned, or None."""
        return self.run_empty(f"SELECT {expression} AS value FROM {quote(TABLE)}")

    def type_of(self, expression: str) -> pa.DataType | None:
        """The type of an expression, or None when it cannot be planned."""
        try:
            return self.schema(f"SELECT {expression} AS value FROM {quote(TABLE)}").field(0).type
        except ValueError:
            return None

    def constant_error(self, expression: str) -> str | None:
        """Why a constant expression cannot be computed, or None."""
        return self.run_empty(f"SELECT {expression} AS value")


_NOISE = re.compile(
    r"^(DataFusion error: |Exception: |Error during planning: |Execution error: |Arrow error: "
    r"|External error: |Schema error: |SQL error: |Optimizer rule '[^']*' failed\s*|type_coercion\s*|caused by\s*)+"
)


def engine_message(error: BaseException) -> str:
    """The engine's message without its wrappers, at most 500 characters."""
    return _NOISE.sub("", str(error).strip())[:500]


_MEANINGS: tuple[tuple[str, str], ...] = (
    (r"Cannot coerce arithmetic|Cannot get result type", "this arithmetic is not defined for these types"),
    (r"Cannot infer common argument type|Cannot coerce", "these types do not fit together"),
    (r"No function matches|Failed to coerce arguments|expects? \d+|requires|arguments?\b",
     "the function does not take these arguments"),
    (r"Unsupported CAST|Casting|[Cc]ast", "this cast does not exist"),
    (r"non-boolean predicate", "a condition must be true or false"),
    (r"Divide by zero", "division by zero"),
)  # fmt: skip


def explain(message: str) -> str:
    """What an engine's message means for a tenant; the message itself goes along as detail."""
    for pattern, meaning in _MEANINGS:
        if re.search(pattern, message):
            return meaning
    return "the engine cannot run this"
