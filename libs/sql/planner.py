"""The engine's opinion of a statement: its planner over an empty table, with no way to files, network or catalogue."""

from __future__ import annotations

import re

import pyarrow as pa
from datafusion import RuntimeEnvBuilder, SessionConfig, SessionContext, SQLOptions

from libs.sql.columns import TABLE, quote

READ_ONLY = SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)


def session(memory_bytes: int) -> SessionContext:
    """A context of its own: one partition (row order), one batch in and out, bounded memory, no disk.

    The table functions and the file formats of the engine stay in the binary but out of reach: the statements given
    to it are written by `expressions.py`, which knows one table.
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
        .set("datafusion.execution.time_zone", "+00:00")
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
        """The engine's message if the statement fails even on no rows (a constant that cannot be computed)."""
        try:
            self._context.sql_with_options(sql, READ_ONLY).collect()
        except Exception as error:  # noqa: BLE001 - the engine raises bare Exception
            return engine_message(error)
        return None

    def expression_error(self, expression: str) -> str | None:
        """Why an expression cannot be planned, or None."""
        try:
            self.schema(f"SELECT {expression} AS value FROM {quote(TABLE)}")
        except ValueError as error:
            return str(error)
        return None

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
    r"^(DataFusion error: |Exception: |Error during planning: |Execution error: |Optimizer rule '[^']*' failed\s*"
    r"|type_coercion\s*|caused by\s*|Arrow error: |External error: |Schema error: |SQL error: )+"
)


def engine_message(error: BaseException) -> str:
    """The engine's message without its wrappers, at most 500 characters."""
    text = str(error).strip()
    return _NOISE.sub("", text)[:500]


_TRANSLATIONS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"Cannot coerce .*?([\w()<>, ]+) (?:to|and) ([\w()<>, ]+)"), "these types do not fit together"),
    (re.compile(r"Cannot infer common argument type for comparison operation (.+?)\. |Cannot infer common argument "
                r"type for comparison operation (.+)$"), "these types cannot be compared"),
    (re.compile(r"No function matches the given name and argument types|Failed to coerce arguments|"
                r"does not (?:support|accept)|expects? \d+|argument"), "the function does not take these arguments"),
    (re.compile(r"Cannot get result type for .*arithmetic|Cannot coerce arithmetic expression (.+) to valid types"),
     "this arithmetic is not defined for these types"),
    (re.compile(r"Unsupported CAST from (.+) to (.+)|Cannot automatically convert|Casting"), "no such cast"),
    (re.compile(r"Filter predicate|boolean", re.I), "a condition must be true or false"),
)  # fmt: skip


def explain(message: str) -> str:
    """What an engine's message means for a tenant; the message itself goes along as detail."""
    for pattern, meaning in _TRANSLATIONS:
        if pattern.search(message):
            return meaning
    return "the engine cannot run this"
