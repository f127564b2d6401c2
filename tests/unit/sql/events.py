"""A small dataset with every kind of column, as the decoder would give it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from libs.sql import CompiledQuery, Query, QueryResult, compile_query
from libs.sql.columns import PSEUDO_COLUMNS

DEVICE = pa.struct([pa.field("serial", pa.string(), False), pa.field("Zone", pa.string())])
SCHEMA = pa.schema(
    [
        pa.field("src_ip", pa.string(), False),
        pa.field("port", pa.int32()),
        pa.field("bytes", pa.int64(), False),
        pa.field("sev", pa.string()),
        pa.field("device", DEVICE),
        pa.field("labels", pa.map_(pa.string(), pa.string())),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("hops", pa.list_(DEVICE)),
        pa.field("ts", pa.timestamp("ms", tz="+00:00")),
        pa.field("kind", pa.dictionary(pa.int32(), pa.string())),
        pa.field("amount", pa.decimal128(10, 2)),
        pa.field("raw", pa.binary()),
        pa.field("ratio", pa.float64()),
    ]
)


def _device() -> pa.Array:
    """The second record is null with garbage under it, as a decoder leaves it."""
    serial = pa.array(["a", "garbage", "b"])
    zone = pa.array(["z", "garbage", None])
    return pa.StructArray.from_arrays(
        [serial, zone], fields=list(DEVICE), mask=pa.array([False, True, False])
    )


ROWS: list[dict[str, Any]] = [
    dict(src_ip="10.0.0.1", port=80, bytes=10, sev="5", labels=[("env", "prod")], tags=["t1", "t2"],
         hops=[{"serial": "h", "Zone": None}, None], ts=1000, kind="tcp", amount="1.25", raw=b"ab", ratio=1.5),
    dict(src_ip="10.0.0.2", port=None, bytes=0, sev="bad", labels=None, tags=None, hops=None, ts=None,
         kind=None, amount=None, raw=None, ratio=None),
    dict(src_ip="10.0.0.3", port=443, bytes=7, sev=None, labels=[], tags=[], hops=[], ts=86_400_000,
         kind="udp", amount="-2.00", raw=b"", ratio=2.0),
]  # fmt: skip


def _column(field: pa.Field) -> pa.Array:
    if field.name == "device":
        return _device()
    values = [row[field.name] for row in ROWS]
    if pa.types.is_decimal(field.type):
        return pa.array(values, pa.string()).cast(field.type)
    if pa.types.is_dictionary(field.type):
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, field.type)


def batch() -> pa.RecordBatch:
    """Three rows, all columns and pseudo-columns."""
    pseudo = {
        "_topic": ["topic"] * 3,
        "_partition": [4] * 3,
        "_offset": [100, 101, 105],
        "_timestamp": [1, 2, 3],
        "_key": [b"k", None, b""],
    }
    columns = [_column(field) for field in SCHEMA]
    columns += [pa.array(pseudo[field.name], field.type) for field in PSEUDO_COLUMNS]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema([*SCHEMA, *PSEUDO_COLUMNS]))


def compiled(sql: str) -> CompiledQuery:
    return compile_query(sql, SCHEMA)


def run(sql: str) -> QueryResult:
    """The statement on the three rows; checks what holds for every result."""
    query = compiled(sql)
    result = Query(query).execute(batch())
    ordinals = result.ordinals.to_pylist()
    assert result.rows.schema.equals(query.output_schema)
    assert len(ordinals) == result.rows.num_rows
    assert ordinals == sorted(set(ordinals))
    assert not set(ordinals) & {error.ordinal for error in result.errors}
    result.rows.validate(full=True)
    return result


def values(sql: str) -> list[Any]:
    """The one output column of a statement without bad rows."""
    result = run(sql)
    assert not result.errors, result.errors
    assert result.rows.num_columns == 1
    return list(result.rows.column(0).to_pylist())
