"""A bad row names itself and costs the others nothing."""

from __future__ import annotations

import pyarrow as pa
import pytest

from libs.sql import BatchBounds, FailureKind, Query, compile_query
from tests.unit.sql.events import batch, compiled, run

CAST, ZERO, OVERFLOW = FailureKind.CAST, FailureKind.DIVISION_BY_ZERO, FailureKind.OVERFLOW

# The middle row of the three has sev = 'bad', bytes = 0 and nulls elsewhere.
TABLE: list[tuple[str, list[int], list[tuple[int, FailureKind]]]] = [
    ("SELECT CAST(sev AS INT) AS x FROM events", [0, 2], [(1, CAST)]),
    ("SELECT sev::int AS x FROM events", [0, 2], [(1, CAST)]),
    ("SELECT TRY_CAST(sev AS INT) AS x FROM events", [0, 1, 2], []),
    ("SELECT TRY_CAST(CAST(sev AS INT) AS SMALLINT) AS x FROM events", [0, 2], [(1, CAST)]),
    ("SELECT src_ip FROM events WHERE CAST(sev AS INT) > 3", [0], [(1, CAST)]),
    ("SELECT src_ip FROM events WHERE CAST(sev AS INT) > 9", [], [(1, CAST)]),
    # A cast in the projection fails only the rows that pass the filter.
    ("SELECT CAST(sev AS INT) AS x FROM events WHERE bytes > 0", [0, 2], []),
    # AND and OR stop where they are decided, from left to right.
    ("SELECT src_ip FROM events WHERE bytes > 0 AND CAST(sev AS INT) > 3", [0], []),
    ("SELECT src_ip FROM events WHERE CAST(sev AS INT) > 3 AND bytes > 0", [0], [(1, CAST)]),
    ("SELECT src_ip FROM events WHERE port = 1 AND CAST(sev AS INT) > 3", [], [(1, CAST)]),
    ("SELECT src_ip FROM events WHERE bytes = 0 OR CAST(sev AS INT) = 5", [0, 1], []),
    ("SELECT src_ip FROM events WHERE (bytes > 0 OR sev = 'x') AND CAST(sev AS INT) = 5", [0], []),
    ("SELECT src_ip FROM events WHERE (bytes = 0 OR port / 0 = 1) AND CAST(sev AS INT) = 5", [],
     [(0, ZERO), (1, CAST), (2, ZERO)]),
    # A branch of CASE that is not taken does not fail; conditions are tried in order.
    ("SELECT CASE WHEN sev = 'bad' THEN -1 ELSE CAST(sev AS INT) END AS x FROM events", [0, 1, 2], []),
    ("SELECT CASE WHEN sev = 'bad' THEN CAST(sev AS INT) ELSE 0 END AS x FROM events", [0, 2], [(1, CAST)]),
    ("SELECT CASE WHEN bytes = 0 THEN 0 WHEN CAST(sev AS INT) = 5 THEN 1 END AS x FROM events", [0, 1, 2], []),
    ("SELECT CASE WHEN CAST(sev AS INT) = 5 THEN 1 WHEN bytes = 0 THEN 0 END AS x FROM events", [0, 2],
     [(1, CAST)]),
    ("SELECT CASE bytes WHEN 0 THEN 1 WHEN CAST(sev AS INT) THEN 2 END AS x FROM events", [0, 1, 2], []),
    ("SELECT CASE bytes WHEN 9 THEN 1 WHEN CAST(sev AS INT) THEN 2 END AS x FROM events", [0, 2], [(1, CAST)]),
    # COALESCE stops at the first value.
    ("SELECT coalesce(src_ip, CAST(CAST(sev AS INT) AS VARCHAR)) AS x FROM events", [0, 1, 2], []),
    ("SELECT coalesce(port, CAST(sev AS INT)) AS x FROM events", [0, 2], [(1, CAST)]),
    ("SELECT nvl2(port, 1, CAST(sev AS INT)) AS x FROM events", [0, 2], [(1, CAST)]),
    # Whole numbers and decimals: division by zero and overflow.
    ("SELECT 70 / bytes AS x FROM events", [0, 2], [(1, ZERO)]),
    ("SELECT 70 % bytes AS x FROM events", [0, 2], [(1, ZERO)]),
    ("SELECT amount / 0 AS x FROM events WHERE amount IS NOT NULL", [], [(0, ZERO), (2, ZERO)]),
    ("SELECT bytes + 9223372036854775800 AS x FROM events", [1, 2], [(0, OVERFLOW)]),
    ("SELECT -9223372036854775800 - bytes AS x FROM events", [1, 2], [(0, OVERFLOW)]),
    ("SELECT bytes * 1000000000000000000 AS x FROM events", [1, 2], [(0, OVERFLOW)]),
    ("SELECT CAST(bytes * 1000000000 AS INT) AS x FROM events", [1], [(0, CAST), (2, CAST)]),
    # What only the engine can tell is found by halving the batch.
    ("SELECT to_timestamp(sev) AS x FROM events", [2],
     [(0, FailureKind.EVALUATION), (1, FailureKind.EVALUATION)]),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "good", "bad"), TABLE, ids=[row[0] for row in TABLE])
def test_a_bad_row_is_no_output_and_says_why(
    sql: str, good: list[int], bad: list[tuple[int, FailureKind]]
) -> None:
    result = run(sql)
    assert result.ordinals.to_pylist() == good
    assert [(error.ordinal, error.reason) for error in result.errors] == bad


def test_the_detail_names_the_cast_its_place_and_the_value() -> None:
    (error,) = run("SELECT src_ip,\n CAST(sev AS INT) AS x FROM events").errors
    assert error.detail == "CAST(\"sev\" AS INT) at line 2, column 7: value 'bad'"


def test_bad_rows_among_many_cost_only_themselves() -> None:
    rows = 5_000
    schema = pa.schema([("text", pa.string())])
    values = [str(number) for number in range(rows)]
    for bad in (0, 1_234, rows - 1):
        values[bad] = "no number"
    query = Query(compile_query("SELECT CAST(text AS BIGINT) AS n FROM events", schema))
    result = query.execute(pa.record_batch([pa.array(values)], schema=schema))
    assert [error.ordinal for error in result.errors] == [0, 1_234, rows - 1]
    assert result.rows.column(0).to_pylist() == [n for n in range(rows) if n not in (0, 1_234, rows - 1)]


def test_a_batch_that_fails_as_a_whole_loses_only_the_rows_that_make_it_fail() -> None:
    rows = 1_000
    schema = pa.schema([("text", pa.string())])
    values = ["2020-01-01T00:00:00"] * rows
    values[17] = values[900] = "never"
    query = Query(compile_query("SELECT to_timestamp(text) AS t FROM events", schema))
    result = query.execute(pa.record_batch([pa.array(values)], schema=schema))
    assert [error.ordinal for error in result.errors] == [17, 900]
    assert result.ordinals.to_pylist() == [n for n in range(rows) if n not in (17, 900)]
    assert "never" in result.errors[0].detail


def test_when_time_is_up_the_rest_of_the_batch_says_that_it_was_not_isolated() -> None:
    times = iter([0.0, 0.0, *[100.0] * 1000])
    schema = pa.schema([("text", pa.string())])
    values = ["2020-01-01T00:00:00"] * 8
    values[0] = "never"
    compiled_query = compile_query("SELECT to_timestamp(text) AS t FROM events", schema)
    query = Query(compiled_query, BatchBounds(isolation_seconds=1), monotonic=lambda: next(times))
    result = query.execute(pa.record_batch([pa.array(values)], schema=schema))
    kinds = {error.ordinal: error.reason for error in result.errors}
    assert kinds[0] is FailureKind.NOT_ISOLATED
    assert set(kinds) | set(result.ordinals.to_pylist()) == set(range(8))
    assert result.ordinals.to_pylist() == [4, 5, 6, 7]


def test_a_query_works_on_after_a_failed_batch() -> None:
    query = Query(compiled("SELECT to_timestamp(sev) AS t FROM events"))
    first, second = query.execute(batch()), query.execute(batch())
    assert first.errors == second.errors
    assert first.rows.equals(second.rows)


def test_a_null_that_the_schema_does_not_allow_is_a_bad_row() -> None:
    schema = pa.schema([pa.field("name", pa.string(), nullable=False), ("n", pa.int32())])
    query = Query(compile_query("SELECT name, n FROM events", schema))
    broken = pa.record_batch(
        [pa.array(["a", None, "c"]), pa.array([1, 2, 3], pa.int32())], names=["name", "n"]
    )
    result = query.execute(broken)
    assert result.rows.to_pylist() == [{"name": "a", "n": 1}, {"name": "c", "n": 3}]
    assert [(error.ordinal, error.reason) for error in result.errors] == [(1, FailureKind.UNEXPECTED_NULL)]


def test_a_missing_column_is_the_callers_mistake_and_no_bad_row() -> None:
    with pytest.raises(KeyError):
        Query(compiled("SELECT src_ip FROM events")).execute(pa.record_batch({"other": [1]}))
