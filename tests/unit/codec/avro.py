"""Generated Avro schemas with data, and fastavro as the oracle for both directions."""

from __future__ import annotations

import io
import json
import math
import struct
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, cast

import fastavro
import pyarrow as pa
from hypothesis import strategies as st

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
FLOAT32 = st.floats(width=32, allow_nan=False)
EPOCH = datetime(1970, 1, 1)


def write(schema: Any, row: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, _parsed(schema), row)
    return out.getvalue()


def read(message: bytes, writer: Any, reader: Any | None = None) -> Any:
    data = io.BytesIO(message)
    row = fastavro.schemaless_reader(data, _parsed(writer), _parsed(reader) if reader else None)
    assert data.tell() == len(message), "fastavro left bytes"
    return row


def _parsed(schema: Any) -> Any:
    return fastavro.parse_schema(
        json.loads(schema) if isinstance(schema, str) else json.loads(json.dumps(schema))
    )


def rows_of(batch: pa.RecordBatch) -> list[Any]:
    """A batch as fastavro would give its rows: maps as dicts, nanoseconds as numbers.

    Raises ValueError or OverflowError for times that Python cannot hold.
    """
    columns = [[_plain(value, column.type) for value in column] for column in batch.columns]
    return [dict(zip(batch.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(value: Any, arrow: pa.DataType) -> Any:
    if not value.is_valid:
        return None
    if pa.types.is_struct(arrow):
        return {inner.name: _plain(value[inner.name], inner.type) for inner in arrow}
    if pa.types.is_map(arrow):
        return {
            _plain(entry["key"], arrow.key_type): _plain(entry["value"], arrow.item_type)
            for entry in value.values
        }
    if pa.types.is_list(arrow):
        return [_plain(item, arrow.value_type) for item in value.values]
    if pa.types.is_timestamp(arrow) and arrow.unit == "ns":
        return value.value
    if pa.types.is_time(arrow):
        per_second = {"ms": 1_000, "us": 1_000_000}[arrow.unit]
        if not 0 <= value.value < 86_400 * per_second:
            raise ValueError(f"{value.value} {arrow.unit} is no time of day")
    return value.as_py()


def same(left: Any, right: Any) -> bool:
    """Equality in which NaN equals itself and 0.0 differs from -0.0."""
    if isinstance(left, float) and isinstance(right, float):
        return struct.pack(">d", left) == struct.pack(">d", right) or (math.isnan(left) and math.isnan(right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and bool(left == right)


@dataclass
class _Names:
    count: int = 0
    defined: list[tuple[str, st.SearchStrategy[Any]]] = field(default_factory=list)

    def fresh(self) -> str:
        self.count += 1
        return f"T{self.count}"


@dataclass(frozen=True)
class Sample:
    schema: dict[str, Any]
    rows: list[dict[str, Any]]

    @property
    def text(self) -> str:
        return json.dumps(self.schema)

    @property
    def messages(self) -> list[bytes]:
        return [write(self.schema, row) for row in self.rows]


@st.composite
def samples(draw: st.DrawFn, max_rows: int = 6) -> Sample:
    """A record schema of supported types and rows that fit it."""
    schema, values = draw(_record(_Names(), 3))
    return Sample(schema, draw(st.lists(values, max_size=max_rows)))


Typed = tuple[Any, st.SearchStrategy[Any]]


def _scalars() -> list[Typed]:
    long = st.integers(-(2**63), 2**63 - 1)
    moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))
    millis = moments.map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))
    times = st.times()

    def logical(name: str, logical_type: str, **parameters: int) -> dict[str, Any]:
        return {"type": name, "logicalType": logical_type, **parameters}

    def utc(values: st.SearchStrategy[datetime]) -> st.SearchStrategy[datetime]:
        return values.map(lambda moment: moment.replace(tzinfo=UTC))

    return [
        ("boolean", st.booleans()),
        ("int", st.integers(-(2**31), 2**31 - 1)),
        ("long", long),
        ("float", FLOAT32),
        ("double", st.floats(allow_nan=True).map(lambda value: math.nan if math.isnan(value) else value)),
        ("bytes", st.binary(max_size=12)),
        ("string", TEXT),
        (logical("int", "date"), st.dates(date(1, 1, 1), date(9999, 12, 31))),
        (
            logical("int", "time-millis"),
            times.map(lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000)),
        ),
        (logical("long", "time-micros"), times),
        (logical("long", "timestamp-millis"), utc(millis)),
        (logical("long", "timestamp-micros"), utc(moments)),
        (logical("long", "timestamp-nanos"), long),
        (logical("long", "local-timestamp-millis"), millis),
        (logical("long", "local-timestamp-micros"), moments),
        (logical("long", "an-unknown-logical-type"), long),
        (logical("bytes", "decimal", precision=12, scale=3), _decimals(12, 3)),
        (logical("bytes", "decimal", precision=38, scale=0), _decimals(38, 0)),
        (logical("bytes", "decimal", precision=60, scale=20), _decimals(60, 20)),
    ]


def _decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    bound = 10**precision - 1
    digits = st.integers(-bound, bound)
    return digits.map(lambda value: Decimal(f"{value}e-{scale}"))


@st.composite
def _typed(draw: st.DrawFn, names: _Names, depth: int, nullable: bool = True) -> Typed:
    kinds = ["scalar"] * 4 + ["enum", "fixed", "fixed decimal", "again"]
    kinds += ["record", "array", "map"] * (depth > 0) + ["nullable"] * 3 * nullable
    kind = draw(st.sampled_from(kinds))
    if kind == "again" and names.defined:
        return cast(Typed, draw(st.sampled_from(names.defined)))
    match kind:
        case "nullable":
            inner, values = draw(_typed(names, depth, nullable=False))
            branches = draw(st.sampled_from([["null", inner], [inner, "null"]]))
            return branches, st.none() | values
        case "array":
            inner, values = draw(_typed(names, depth - 1))
            return {"type": "array", "items": inner}, st.lists(values, max_size=3)
        case "map":
            inner, values = draw(_typed(names, depth - 1))
            return {"type": "map", "values": inner}, st.dictionaries(TEXT, values, max_size=3)
        case "record":
            return draw(_record(names, depth - 1))
        case "enum":
            symbols = draw(
                st.lists(
                    st.from_regex(r"[A-Za-z_]\w{0,5}", fullmatch=True).filter(str.isascii),
                    min_size=1,
                    max_size=4,
                    unique=True,
                )
            )
            return _define(names, {"type": "enum", "symbols": symbols}, st.sampled_from(symbols))
        case "fixed":
            size = draw(st.integers(1, 20))
            return _define(names, {"type": "fixed", "size": size}, st.binary(min_size=size, max_size=size))
        case "fixed decimal":
            schema = {"type": "fixed", "size": 9, "logicalType": "decimal", "precision": 20, "scale": 4}
            return _define(names, schema, _decimals(20, 4))
    return draw(st.sampled_from(_scalars()))


@st.composite
def _record(draw: st.DrawFn, names: _Names, depth: int) -> Typed:
    name = names.fresh()
    typed = [draw(_typed(names, depth)) for _ in range(draw(st.integers(1, 5)))]
    fields = [{"name": f"f{index}", "type": schema} for index, (schema, _) in enumerate(typed)]
    values = st.fixed_dictionaries({f"f{index}": values for index, (_, values) in enumerate(typed)})
    schema = {"type": "record", "name": name, "fields": fields}
    names.defined.append((name, values))
    return schema, values


def _define(names: _Names, schema: dict[str, Any], values: st.SearchStrategy[Any]) -> Typed:
    name = names.fresh()
    names.defined.append((name, values))
    return {**schema, "name": name}, values
