"""What statements give, against values worked out by hand."""

from __future__ import annotations

import datetime
import hashlib
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from libs.sql import Query, compile_query
from tests.unit.sql.events import SCHEMA, batch, compiled, run, values

UTC = datetime.UTC
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)

EXPRESSIONS: list[tuple[str, list[Any]]] = [
    ("device.serial", ["a", None, "b"]),
    ("DEVICE.zone", ["z", None, None]),
    ("device['serial']", ["a", None, "b"]),
    ("events.device.serial", ["a", None, "b"]),
    ("device IS NULL", [False, True, False]),
    ("coalesce(device.serial, '?')", ["a", "?", "b"]),
    ("labels['env']", ["prod", None, None]),
    ("tags[1]", ["t1", None, None]),
    ("tags[-1]", ["t2", None, None]),
    ("hops[1].serial", ["h", None, None]),
    ("hops[2].serial", [None, None, None]),
    ("array_length(tags)", [2, None, 0]),
    ("cardinality(labels)", [1, None, 0]),
    ("array_has(tags, 't2')", [True, None, False]),
    ("upper(kind)", ["TCP", None, "UDP"]),
    ("kind = 'tcp'", [True, None, False]),
    ("kind IN ('udp', 'icmp')", [False, None, True]),
    ("kind LIKE 't%'", [True, None, False]),
    ("CASE WHEN kind = 'tcp' THEN 'stream' ELSE kind END", ["stream", None, "udp"]),
    ("raw = X'6162'", [True, None, False]),
    ("encode(raw, 'hex')", ["6162", None, ""]),
    ("amount * 2", [Decimal("2.50"), None, Decimal("-4.00")]),
    ("amount > 1", [True, None, False]),
    ("CAST(amount AS DOUBLE)", [1.25, None, -2.0]),
    ("port + bytes", [90, None, 450]),
    ("10 - 2 - 3", [5] * 3),
    ("1 - (2 - 3)", [2] * 3),
    ("2 * (3 + 4) % 5", [4] * 3),
    ("- (bytes)", [-10, 0, -7]),
    ("5 - -port", [85, None, 448]),
    ("7 / 2", [3] * 3),
    ("ratio / 0", [float("inf"), None, float("inf")]),
    ("bytes << 2", [40, 0, 28]),
    ("port || ':' || src_ip", ["80:10.0.0.1", None, "443:10.0.0.3"]),
    ("concat(kind, '!')", ["tcp!", "!", "udp!"]),
    ("NOT port = 80", [False, None, True]),
    ("port = 80 OR bytes = 0 AND src_ip = ''", [True, None, False]),
    ("(port = 80 OR bytes = 0) AND src_ip <> ''", [True, True, False]),
    ("port BETWEEN 80 AND 100", [True, None, False]),
    ("port NOT IN (80, 81)", [False, None, True]),
    ("port IS NOT NULL", [True, False, True]),
    ("(port = 80) IS TRUE", [True, False, False]),
    ("port IS DISTINCT FROM 80", [False, True, True]),
    ("src_ip LIKE '10.0.0._'", [True] * 3),
    ("src_ip NOT LIKE '%3'", [True, True, False]),
    ("'50%' LIKE '50!%' ESCAPE '!'", [True] * 3),
    ("src_ip NOT ILIKE 'x' ESCAPE '!'", [True] * 3),
    ("'a\\b!' LIKE 'a\\b!!' ESCAPE '!'", [True] * 3),
    ("'a_b' LIKE 'a\\_b' AND NOT 'axb' LIKE 'a\\_b'", [True] * 3),
    ("src_ip ILIKE '10.%'", [True] * 3),
    ("regexp_like(src_ip, '^10\\.0\\.0\\.[12]$')", [True, True, False]),
    ("regexp_replace(src_ip, '\\d+$', 'x')", ["10.0.0.x"] * 3),
    ("split_part(src_ip, '.', 4)", ["1", "2", "3"]),
    ("substring(src_ip FROM 4 FOR 3)", ["0.0"] * 3),
    ("position('.' IN src_ip)", [3] * 3),
    ("trim(LEADING '1' FROM src_ip)", ["0.0.0.1", "0.0.0.2", "0.0.0.3"]),
    ("md5(src_ip)", [hashlib.md5(f"10.0.0.{n}".encode()).hexdigest() for n in (1, 2, 3)]),
    ("CASE port WHEN 80 THEN 'web' WHEN 443 THEN 'tls' ELSE 'other' END", ["web", "other", "tls"]),
    ("TRY_CAST(sev AS INT)", [5, None, None]),
    ("bytes::varchar", ["10", "0", "7"]),
    ("CAST('12' AS INT)", [12] * 3),
    ("ts > TIMESTAMP '1970-01-01 00:00:05'", [False, None, True]),
    ("date_trunc('day', ts)", [EPOCH, None, EPOCH + datetime.timedelta(days=1)]),
    ("ts + INTERVAL '1' DAY", [EPOCH + datetime.timedelta(seconds=86_401), None, EPOCH + datetime.timedelta(2)]),
    ("extract(hour FROM ts)", [0, None, 0]),
    ("CAST(ts AS DATE)", [datetime.date(1970, 1, 1), None, datetime.date(1970, 1, 2)]),
    ("CAST('2020-01-01T00:00:00Z' AS TIMESTAMP WITH TIME ZONE)", [datetime.datetime(2020, 1, 1, tzinfo=UTC)] * 3),
    ("nullif(port, 80)", [None, None, 443]),
    ("coalesce(port, -1)", [80, -1, 443]),
    ("[1, 2]", [[1, 2]] * 3),
    ("'it''s; -- no /* comment'", ["it's; -- no /* comment"] * 3),
    ("_offset", [100, 101, 105]),
    ("_topic || _partition", ["topic4"] * 3),
    ("_key", [b"k", None, b""]),
    ("1", [1] * 3),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), EXPRESSIONS, ids=[text for text, _ in EXPRESSIONS])
def test_an_expression_has_the_value_worked_out_by_hand(expression: str, expected: list[Any]) -> None:
    assert values(f"SELECT {expression} AS value FROM events") == expected


FILTERS: list[tuple[str, list[int]]] = [
    ("port > 100", [2]),
    ("port IS NULL OR kind = 'tcp'", [0, 1]),
    ("device.serial = 'b'", [2]),
    ("_offset >= 101", [1, 2]),
    ("FALSE", []),
    ("TRUE", [0, 1, 2]),
    ("bytes <> 0 AND 70 / bytes >= 10", [2]),
    ("kind LIKE '%p' AND NOT (tags[1] = 't1')", []),
]


@pytest.mark.parametrize(("condition", "ordinals"), FILTERS)
def test_a_filter_keeps_the_rows_for_which_it_is_true(condition: str, ordinals: list[int]) -> None:
    result = run(f"SELECT src_ip FROM events WHERE {condition}")
    assert result.ordinals.to_pylist() == ordinals
    assert not result.errors


def test_star_gives_the_dataset_unchanged_and_no_pseudo_columns() -> None:
    result = run("SELECT * FROM events")
    assert result.rows.schema.equals(SCHEMA)
    assert result.rows.drop_columns(["device"]).equals(batch().select(SCHEMA.names).drop_columns(["device"]))
    assert result.rows.column("device").to_pylist()[1] is None


@pytest.mark.parametrize(
    ("select", "names"),
    [
        ("src_ip, port AS p, device.serial", ["src_ip", "p", "serial"]),
        ("SRC_IP, upper(kind), CAST(port AS BIGINT), labels['env'], tags[1]",
         ["src_ip", "upper", "port", "labels", "tags"]),
        ("1, port + 1, CASE WHEN true THEN 1 END, 'x'", ["column_1", "column_2", "case", "column_4"]),
        ('port AS "Port", port AS port', ["Port", "port"]),
    ],
)  # fmt: skip
def test_output_names_are_predictable(select: str, names: list[str]) -> None:
    assert compiled(f"SELECT {select} FROM events").output_schema.names == names


def test_a_field_is_nullable_in_the_output_if_it_is_in_the_statement() -> None:
    schema = compiled(
        "SELECT src_ip, port, device.serial, CAST(bytes AS INT) AS b, bytes + 1 AS c, 1 AS one FROM events"
    ).output_schema
    assert [(field.name, field.nullable) for field in schema] == [
        ("src_ip", False), ("port", True), ("serial", True), ("b", False), ("c", False), ("one", False),
    ]  # fmt: skip


def test_computed_types_are_those_that_avro_knows() -> None:
    schema = compiled(
        "SELECT cardinality(tags) AS c, upper(kind) AS u, CAST(port AS SMALLINT) AS s, kind FROM events"
    ).output_schema
    assert [field.type for field in schema] == [
        pa.int64(),
        pa.string(),
        pa.int32(),
        SCHEMA.field("kind").type,
    ]


@pytest.mark.parametrize(
    ("sql", "referenced", "pseudo"),
    [
        ("SELECT device.serial FROM events WHERE port > 1", {("device", "serial"), ("port",)}, set()),
        ("SELECT device, device.serial FROM events", {("device",)}, set()),
        ("SELECT hops[1].serial AS h, labels['a'] AS l FROM events", {("hops",), ("labels",)}, set()),
        ("SELECT _key, _offset FROM events", set(), {"_key", "_offset"}),
        ("SELECT 1 AS one FROM events", set(), {"_offset"}),
    ],
)
def test_the_paths_a_statement_reads_are_exact(
    sql: str, referenced: set[tuple[str, ...]], pseudo: set[str]
) -> None:
    query = compiled(sql)
    assert query.referenced == referenced
    assert query.pseudo_columns == pseudo


def test_a_batch_with_only_the_referenced_columns_is_enough() -> None:
    query = compiled("SELECT device.serial, _offset FROM events WHERE port > 1")
    pruned = pa.RecordBatch.from_arrays(
        [
            pa.StructArray.from_arrays([pa.array(["a", "b"])], names=["serial"]),
            pa.array([1, 2], pa.int32()),
            pa.array([7, 8], pa.int64()),
        ],
        names=["device", "port", "_offset"],
    )
    result = Query(query).execute(pruned)
    assert result.rows.to_pylist() == [{"serial": "b", "_offset": 8}]
    assert result.ordinals.to_pylist() == [1]


def test_an_empty_batch_gives_no_rows_of_the_output_schema() -> None:
    query = compiled("SELECT upper(src_ip) AS u FROM events")
    result = Query(query).execute(batch().slice(0, 0))
    assert result.rows.num_rows == 0
    assert result.rows.schema.equals(query.output_schema)


def test_a_slice_of_a_batch_counts_its_rows_from_zero() -> None:
    result = Query(compiled("SELECT src_ip FROM events WHERE CAST(sev AS INT) IS NULL")).execute(
        batch().slice(1)
    )
    assert result.ordinals.to_pylist() == [1]
    assert [error.ordinal for error in result.errors] == [0]


def test_rows_keep_their_order_in_a_batch_larger_than_the_engines_own() -> None:
    rows = 50_000
    schema = pa.schema([pa.field("n", pa.int64(), False)])
    query = Query(compile_query("SELECT n FROM events WHERE n % 3 = 0", schema))
    result = query.execute(pa.record_batch([pa.array(range(rows), pa.int64())], schema=schema))
    expected = list(range(0, rows, 3))
    assert result.rows.column(0).to_pylist() == expected
    assert result.ordinals.to_pylist() == expected


def test_compiling_twice_gives_the_same_result() -> None:
    sql = "SELECT device.serial, CAST(sev AS INT) AS s, port + 1 AS p FROM events WHERE kind = 'tcp' OR port / 2 > 1"
    assert compiled(sql) == compiled(sql)


def test_names_match_without_case_unless_two_fit_and_quotes_mean_exactly() -> None:
    schema = pa.schema([("name", pa.string()), ("Name", pa.string()), ("Other", pa.string())])
    query = compile_query('SELECT name AS a, "Name" AS b, OTHER FROM events', schema)
    assert query.referenced == {("name",), ("Name",), ("Other",)}
    assert query.output_schema.names == ["a", "b", "Other"]
