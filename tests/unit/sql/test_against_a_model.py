"""Random statements of a small grammar, against a model of their meaning in Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from libs.sql import FailureKind, Query, SqlError, compile_query

SCHEMA = pa.schema(
    [
        pa.field("a", pa.int64()),
        pa.field("b", pa.int64()),
        pa.field("s", pa.string()),
        pa.field("t", pa.string()),
    ]
)
Row = dict[str, int | str | None]
Value = int | bool | None
LOW, HIGH = -(1 << 63), (1 << 63) - 1


class Bad(Exception):
    """The row fails."""

    def __init__(self, kind: FailureKind) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True)
class Term:
    """An expression's text and what it means for a row."""

    sql: str
    value: Callable[[Row], Value]


def _column(name: str) -> Term:
    return Term(name, lambda row: row[name])  # type: ignore[arg-type,return-value]  # columns a and b are int


def _cast(name: str) -> Term:
    def value(row: Row) -> Value:
        text = row[name]
        if text is None:
            return None
        if text == "x":
            raise Bad(FailureKind.CAST)
        return int(text)

    return Term(f"CAST({name} AS BIGINT)", value)


def _arithmetic(operator: str, left: Term, right: Term) -> Term:
    def value(row: Row) -> Value:
        x, y = left.value(row), right.value(row)
        if operator in "/%" and y == 0:
            raise Bad(FailureKind.DIVISION_BY_ZERO)
        if x is None or y is None:
            return None
        if operator in "/%":
            quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
            return quotient if operator == "/" else x - quotient * y
        total = x + y if operator == "+" else x - y if operator == "-" else x * y
        if not LOW <= total <= HIGH:
            raise Bad(FailureKind.OVERFLOW)
        return total

    return Term(f"({left.sql} {operator} {right.sql})", value)


def _compare(operator: str, left: Term, right: Term) -> Term:
    def value(row: Row) -> Value:
        x, y = left.value(row), right.value(row)
        if x is None or y is None:
            return None
        return {"=": x == y, "<>": x != y, "<": x < y, ">=": x >= y}[operator]

    return Term(f"({left.sql} {operator} {right.sql})", value)


def _connect(word: str, left: Term, right: Term) -> Term:
    decides = word == "OR"

    def value(row: Row) -> Value:
        x = left.value(row)
        if x is decides:
            return decides
        y = right.value(row)
        if y is decides:
            return decides
        return None if x is None or y is None else not decides

    return Term(f"({left.sql} {word} {right.sql})", value)


def _negate(inner: Term) -> Term:
    def value(row: Row) -> Value:
        x = inner.value(row)
        return None if x is None else not x

    return Term(f"(NOT {inner.sql})", value)


def _is_null(inner: Term) -> Term:
    return Term(f"({inner.sql} IS NULL)", lambda row: inner.value(row) is None)


def _case(condition: Term, some: Term, other: Term) -> Term:
    return Term(
        f"CASE WHEN {condition.sql} THEN {some.sql} ELSE {other.sql} END",
        lambda row: some.value(row) if condition.value(row) is True else other.value(row),
    )


def _coalesce(left: Term, right: Term) -> Term:
    def value(row: Row) -> Value:
        x = left.value(row)
        return right.value(row) if x is None else x

    return Term(f"coalesce({left.sql}, {right.sql})", value)


def _number(value: int) -> Term:
    return Term(str(value), lambda row: value)


leaves = st.one_of(
    st.sampled_from([_column("a"), _column("b"), _cast("s"), _cast("t")]), st.integers(0, 9).map(_number)
)


def _conditions(numbers: st.SearchStrategy[Term]) -> st.SearchStrategy[Term]:
    simple = st.one_of(
        st.builds(_compare, st.sampled_from(["=", "<>", "<", ">="]), numbers, numbers),
        st.builds(_is_null, numbers),
    )
    return st.recursive(
        simple,
        lambda inner: st.one_of(
            st.builds(_connect, st.sampled_from(["AND", "OR"]), inner, inner), inner.map(_negate)
        ),
        max_leaves=4,
    )


numbers = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(_arithmetic, st.sampled_from(["+", "-", "*", "/", "%"]), leaves, inner),
        st.builds(_coalesce, inner, inner),
        st.builds(_case, _conditions(leaves), inner, inner),
    ),
    max_leaves=4,
)
texts = st.one_of(st.none(), st.just("x"), st.integers(-5, 5).map(str))
integers = st.one_of(st.none(), st.integers(-3, 3), st.sampled_from([LOW + 1, HIGH]))
rows = st.lists(st.fixed_dictionaries({"a": integers, "b": integers, "s": texts, "t": texts}), max_size=12)


def _expected(
    table: list[Row], projection: Term, condition: Term
) -> tuple[list[tuple[int, Value]], set[int]]:
    good, bad = [], set()
    for ordinal, row in enumerate(table):
        try:
            if condition.value(row) is True:
                good.append((ordinal, projection.value(row)))
        except Bad:
            bad.add(ordinal)
    return good, bad


@settings(max_examples=150, deadline=None)
@given(table=rows, projection=numbers, condition=_conditions(numbers))
def test_rows_and_bad_rows_are_those_of_the_model(
    table: list[Row], projection: Term, condition: Term
) -> None:
    try:
        query = compile_query(f"SELECT {projection.sql} AS value FROM events WHERE {condition.sql}", SCHEMA)
    except SqlError as error:
        assert {violation.message for violation in error.violations} == {"division by zero"}
        reject()  # a constant that cannot be computed is refused, wherever it stands
    offsets = pa.array(range(len(table)), pa.int64())
    batch = pa.RecordBatch.from_pylist(table, schema=SCHEMA).append_column("_offset", offsets)
    result = Query(query).execute(batch)
    good, bad = _expected(table, projection, condition)
    assert {error.ordinal for error in result.errors} == bad
    assert list(zip(result.ordinals.to_pylist(), result.rows.column(0).to_pylist(), strict=True)) == good
