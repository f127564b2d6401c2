"""Every refusal says why, where, and what to do."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest

from libs.sql import Reason, SqlError, Violation, compile_query
from tests.unit.sql.events import SCHEMA, compiled


def violations(sql: str) -> tuple[Violation, ...]:
    with pytest.raises(SqlError) as caught:
        compiled(sql)
    assert caught.value.violations
    return caught.value.violations


TABLE: list[tuple[str, Reason, int, int, str]] = [
    ("SELECT srcip FROM events", Reason.UNKNOWN_COLUMN, 1, 8, "did you mean src_ip?"),
    ("SELECT\n  src_ip,\n  device.seral\nFROM events", Reason.UNKNOWN_COLUMN, 3, 10, "did you mean device.serial?"),
    ("SELECT src_ip.x FROM events", Reason.UNKNOWN_COLUMN, 1, 15, ""),
    ('SELECT "SRC_IP" FROM events', Reason.UNKNOWN_COLUMN, 1, 8, "did you mean src_ip?"),
    ('SELECT src_ip FROM events WHERE src_ip = "x"', Reason.UNKNOWN_COLUMN, 1, 42, ""),
    ("SELECT uper(src_ip) FROM events", Reason.UNKNOWN_FUNCTION, 1, 8, "did you mean upper?"),
    ("SELECT src_ip FROM other", Reason.UNKNOWN_TABLE, 1, 20, "the table is events"),
    ("SELECT src_ip FROM a.events", Reason.UNKNOWN_TABLE, 1, 20, "the table is events"),
    ("SELECT * FROM information_schema.tables", Reason.UNKNOWN_TABLE, 1, 15, "the table is events"),
    ("SELECT * FROM '/etc/passwd'", Reason.UNKNOWN_TABLE, 1, 15, "the table is events"),
    ("SELECT * FROM read_csv('/etc/passwd')", Reason.FORBIDDEN_FUNCTION, 1, 15, "write FROM events"),
    ("SELECT 1 AS one", Reason.UNKNOWN_TABLE, 1, 16, "add FROM events"),
    ("SELECT src_ip FROM events GROUP BY src_ip", Reason.NOT_ROW_WISE, 1, 27, ""),
    ("SELECT DISTINCT src_ip FROM events", Reason.NOT_ROW_WISE, 1, 8, ""),
    ("SELECT src_ip FROM events ORDER BY src_ip", Reason.NOT_ROW_WISE, 1, 27, ""),
    ("SELECT src_ip FROM events LIMIT 5", Reason.NOT_ROW_WISE, 1, 27, ""),
    ("SELECT src_ip FROM events OFFSET 5", Reason.NOT_ROW_WISE, 1, 27, ""),
    ("WITH x AS (SELECT 1) SELECT * FROM x", Reason.NOT_ROW_WISE, 1, 1, ""),
    ("SELECT src_ip FROM events UNION SELECT src_ip FROM events", Reason.NOT_ROW_WISE, 1, 27, "subscribe twice"),
    ("SELECT src_ip FROM events, other", Reason.NOT_ROW_WISE, 1, 26, ""),
    ("SELECT src_ip FROM events JOIN other ON true", Reason.NOT_ROW_WISE, 1, 27, ""),
    ("SELECT src_ip FROM (SELECT * FROM events)", Reason.NOT_ROW_WISE, 1, 28, "write FROM events"),
    ("SELECT (SELECT 1) AS x FROM events", Reason.NOT_ROW_WISE, 1, 16, ""),
    ("SELECT src_ip FROM events WHERE src_ip IN (SELECT 'a')", Reason.NOT_ROW_WISE, 1, 33, ""),
    ("SELECT src_ip FROM events WHERE EXISTS (SELECT 1 FROM events)", Reason.NOT_ROW_WISE, 1, 48, ""),
    ("SELECT count(*) AS n FROM events", Reason.NOT_ROW_WISE, 1, 8, ""),
    ("SELECT sum(port) OVER (PARTITION BY src_ip) AS n FROM events", Reason.NOT_ROW_WISE, 1, 8, ""),
    ("SELECT unnest(tags) AS t FROM events", Reason.FORBIDDEN_FUNCTION, 1, 8, ""),
    ("SELECT generate_series(1, 9) AS t FROM events", Reason.FORBIDDEN_FUNCTION, 1, 8, ""),
    ("SELECT arrow_cast(port, 'Utf8') AS t FROM events", Reason.FORBIDDEN_FUNCTION, 1, 8, ""),
    ("SELECT now() FROM events", Reason.VOLATILE_FUNCTION, 1, 8, "use _timestamp, the time of the event's record"),
    ("SELECT port, current_date AS d FROM events", Reason.VOLATILE_FUNCTION, 1, 14,
     "use _timestamp, the time of the event's record"),
    ("SELECT random() FROM events", Reason.VOLATILE_FUNCTION, 1, 8, ""),
    ("SELECT src_ip FROM events; DROP TABLE events", Reason.MULTIPLE_STATEMENTS, 1, 26, "remove what follows ';'"),
    ("INSERT INTO events VALUES (1)", Reason.NOT_A_SELECT, 1, 1, "start with SELECT"),
    ("  CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/'", Reason.NOT_A_SELECT, 1, 3, "start with SELECT"),
    ("EXPLAIN SELECT * FROM events", Reason.NOT_A_SELECT, 1, 1, "start with SELECT"),
    ("COPY events TO '/tmp/x'", Reason.NOT_A_SELECT, 1, 1, "start with SELECT"),
    ("", Reason.SYNTAX, 1, 1, "write SELECT … FROM events"),
    ("SELECT src_ip FROM events WHERE", Reason.SYNTAX, 1, 27, ""),
    ("SELECT src_ip FOM events", Reason.SYNTAX, 1, 19, ""),
    ("SELECT 'open FROM events", Reason.SYNTAX, 1, 25, ""),
    ("SELECT upper(src_ip), upper(sev) FROM events", Reason.DUPLICATE_NAME, 1, 23,
     "give one of them another name with AS"),
    ('SELECT src_ip AS "a b" FROM events', Reason.INVALID_NAME, 1, 18,
     "use letters, digits and _, not starting with a digit"),
    ("SELECT src_ip + true AS x FROM events", Reason.TYPE_ERROR, 1, 8, ""),
    ("SELECT port, upper(src_ip, 3) AS x FROM events", Reason.TYPE_ERROR, 1, 14, ""),
    ("SELECT src_ip FROM events WHERE port", Reason.TYPE_ERROR, 1, 33, ""),
    ("SELECT src_ip FROM events WHERE port AND true", Reason.TYPE_ERROR, 1, 33, ""),
    ("SELECT CAST('x' AS INT) AS x FROM events", Reason.TYPE_ERROR, 1, 13, ""),
    ("SELECT DATE '2020-13-01' AS d FROM events", Reason.TYPE_ERROR, 1, 13, ""),
    ("SELECT regexp_like(src_ip, '(a') AS x FROM events", Reason.TYPE_ERROR, 1, 28, ""),
    ("SELECT regexp_like(src_ip, '(a{1000}){1000}') AS x FROM events", Reason.TYPE_ERROR, 1, 28, ""),
    ("SELECT regexp_like(src_ip, sev) AS x FROM events", Reason.UNSUPPORTED_SYNTAX, 1, 28, ""),
    ("SELECT port[1] AS x FROM events", Reason.TYPE_ERROR, 1, 8, ""),
    ("SELECT NULL AS x FROM events", Reason.UNSUPPORTED_TYPE, 1, 8, "give it one, as in CAST(NULL AS VARCHAR)"),
    ("SELECT ts - ts AS x FROM events", Reason.UNSUPPORTED_TYPE, 1, 8,
     "give it as a number, as in date_part('epoch', later) - date_part('epoch', earlier)"),
    ("SELECT bytes BETWEEN SYMMETRIC 1 AND 2 AS x FROM events", Reason.UNSUPPORTED_SYNTAX, 1, 8, ""),
    ("SELECT src_ip FROM events WHERE port = ?", Reason.UNSUPPORTED_SYNTAX, 1, 40, ""),
    ("SELECT repeat(src_ip, port) AS x FROM events", Reason.EXPANSION, 1, 8, ""),
    ("SELECT repeat(repeat(src_ip, 99), 99) AS x FROM events", Reason.EXPANSION, 1, 8,
     "use literal, smaller counts and replacements"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "reason", "line", "column", "suggestion"), TABLE, ids=[row[0] for row in TABLE]
)
def test_a_refusal_names_reason_place_and_remedy(
    sql: str, reason: Reason, line: int, column: int, suggestion: str
) -> None:
    first = violations(sql)[0]
    assert (first.reason, first.line, first.column, first.suggestion) == (reason, line, column, suggestion)
    assert first.message


def test_all_wrong_columns_are_reported_at_once() -> None:
    found = violations("SELECT srcip, port, prt, now() AS n FROM events")
    assert [(violation.reason, violation.column) for violation in found] == [
        (Reason.UNKNOWN_COLUMN, 8), (Reason.UNKNOWN_COLUMN, 21), (Reason.VOLATILE_FUNCTION, 26),
    ]  # fmt: skip


def test_a_name_that_fits_two_columns_must_be_quoted() -> None:
    schema = pa.schema([("Name", pa.string()), ("NAME", pa.string())])
    with pytest.raises(SqlError) as caught:
        compile_query("SELECT name FROM events", schema)
    assert caught.value.violations[0].reason is Reason.AMBIGUOUS_COLUMN
    assert '"Name"' in caught.value.violations[0].suggestion


def test_star_over_a_field_named_like_a_pseudo_column_is_refused() -> None:
    with pytest.raises(SqlError) as caught:
        compile_query("SELECT * FROM events", pa.schema([("_offset", pa.string())]))
    assert caught.value.violations[0].reason is Reason.AMBIGUOUS_COLUMN


def test_a_type_error_keeps_the_engines_own_words_as_detail() -> None:
    assert "Utf8 + Boolean" in violations("SELECT src_ip + true AS x FROM events")[0].detail


F = " FROM events"
HOSTILE: list[str] = [
    "SELECT " + "(" * 5000 + "1" + ")" * 5000 + F,
    "SELECT " + "(" * 20000,
    "SELECT " + "[" * 5000,
    "SELECT " + "not " * 5000 + "true" + F,
    "SELECT " + "- " * 5000 + "1" + F,
    "SELECT " + ".".join(["a"] * 9000) + F,
    "SELECT tags" + "[1]" * 9000 + F,
    "SELECT port" + "::int" * 9000 + F,
    "SELECT " + "upper(" * 4000 + "src_ip" + ")" * 4000 + F,
    "SELECT " + "case when true then " * 2000 + "1" + " end" * 2000 + F,
    "SELECT " + "case when " * 12 + "cast(sev as int)=1" + " then cast(sev as int) = 2 end" * 12 + F,
    "SELECT src_ip FROM events WHERE " + " and ".join(["port > 1"] * 5000),
    "SELECT src_ip FROM events WHERE " + " or ".join(["cast(sev as int) = 1"] * 2000),
    "SELECT " + "+".join(["bytes"] * 5000) + F,
    "SELECT " + "||".join(["src_ip"] * 5000) + F,
    "SELECT " + ",".join(f"zz{number}" for number in range(6000)) + F,
    "SELECT " + ",".join(f"port AS c{number}" for number in range(1500)) + F,
    "SELECT '" + "a" * 2_000_000 + "'" + F,
    "SELECT " + "replace(" * 20 + "src_ip" + ",'1','1111111111')" * 20 + F,
    "SELECT lpad(src_ip, 2000000000)" + F,
    "SELECT array_repeat(array_repeat(1, 250), 250)" + F,
    "SELECT \x00 1" + F,
    "SELECT '\ud800'" + F,
    "SELECT 'a\u202e'" + F,
    "SELECT /* open" + F,
    "SELECT /*+ hint */ src_ip" + F,
    "SELECT \uff53\uff52\uff43_ip" + F,
    "SELECT src_ip AS \U0001f600" + F,
    'SELECT src_ip AS "a"" FROM events; --"' + F,
    "SELECT {{ src_ip }}" + F,
    "SELECT $$a$$" + F,
    "SELECT `src_ip`" + F,
    "SELECT @@version" + F,
    "SELECT src_ip INTO x" + F,
    "SELECT src_ip FROM events FOR UPDATE",
    "SELECT src_ip FROM events TABLESAMPLE (10)",
    "SELECT src_ip FROM events FOR SYSTEM_TIME AS OF '2020-01-01'",
    "SELECT * FROM events LATERAL VIEW explode(tags) t AS x",
    "SELECT * FROM events PIVOT (sum(port) FOR src_ip IN ('a'))",
    "SELECT array_sort(tags, x -> x)" + F,
    "SELECT * EXCEPT (port)" + F,
    "SET a = 1",
    ";;;",
]


@pytest.mark.parametrize("sql", HOSTILE, ids=[sql[:40] for sql in HOSTILE])
def test_a_hostile_statement_is_refused_quickly(sql: str) -> None:
    started = time.process_time()
    violations(sql)
    assert time.process_time() - started < 5


LARGE: list[str] = [
    "SELECT " + "(" * 24 + "1" + ")" * 24 + " AS x" + F,
    "SELECT src_ip FROM events WHERE " + " and ".join(["port > 1"] * 600),
    "SELECT src_ip FROM events WHERE " + " or ".join(["cast(sev as int) = 1"] * 150),
    "SELECT src_ip FROM events WHERE port IN (" + ",".join(map(str, range(9000))) + ")",
    "SELECT " + "+".join(["bytes"] * 40) + " AS x" + F,
    "SELECT " + "cast(" * 20 + "sev" + " as int)" * 20 + " AS x" + F,
    "SELECT case " + "when cast(sev as int) = 1 then 2 " * 100 + "end AS x" + F,
    "SELECT " + ",".join(f"port AS c{number}" for number in range(990)) + F,
    "SELECT /* /* nested */ */ src_ip -- ; drop table events" + F + "\n" + F,
]


@pytest.mark.parametrize("sql", LARGE, ids=[sql[:40] for sql in LARGE])
def test_a_large_statement_within_the_limits_compiles_in_bounded_time(sql: str) -> None:
    started = time.process_time()
    compiled(sql)
    assert time.process_time() - started < 10


def test_the_schema_of_the_tests_has_all_its_columns_selectable() -> None:
    for name in SCHEMA.names:
        assert compiled(f"SELECT {name} FROM events").output_schema.names == [name]
