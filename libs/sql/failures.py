"""Which operation of which row fails, computed by the engine beside the row itself.

Each expression has, apart from its value, a *failure*: an SQL expression that is the number of the operation
that
fails for a row, or null. A failure follows the evaluation order that the dialect page promises: a branch that
is not
taken does not fail. `None` stands for an expression that cannot fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa


class FailureKind(StrEnum):
    """What went wrong with a row; the values are dead-letter reasons."""

    CAST = "SQL_CAST"
    DIVISION_BY_ZERO = "SQL_DIVISION_BY_ZERO"
    OVERFLOW = "SQL_OVERFLOW"
    EVALUATION = "SQL_EVALUATION"
    UNEXPECTED_NULL = "SQL_UNEXPECTED_NULL"
    NOT_ISOLATED = "SQL_NOT_ISOLATED"


@dataclass(frozen=True)
class FailPoint:
    """One operation of a statement that can fail for a row.

    `expression` is its text as a tenant would recognise it; `operand_sql` gives the value to blame.
    """

    number: int
    kind: FailureKind
    expression: str
    operand_sql: str
    line: int
    column: int


@dataclass(frozen=True)
class Failure:
    """When an expression fails: the first condition that holds gives the number of the operation, or null.

    A condition with null in place of a number means: evaluation stops here, nothing after it can fail. Kept as
    one flat list because nested forms make the engine's optimizer take exponential time.
    """

    whens: tuple[tuple[str, str], ...]

    @property
    def stops(self) -> bool:
        """Whether some result is no plain number, so that nothing may simply be appended."""
        return not all(result.isdigit() for _, result in self.whens)

    @property
    def size(self) -> int:
        """Characters of the text, about."""
        return sum(len(condition) + len(result) + 12 for condition, result in self.whens)

    def sql(self) -> str:
        """The failure as one expression."""
        return f"CASE {' '.join(f'WHEN {condition} THEN {result}' for condition, result in self.whens)} END"


def at(condition: str, point: int) -> Failure:
    """The operation `point` fails where the condition holds."""
    return Failure(((condition, str(point)),))


_Whens = tuple[tuple[str, str], ...]


def _contained(failure: Failure | None) -> _Whens:
    """The list of a failure after which others follow."""
    if failure is None:
        return ()
    return ((f"({failure.sql()}) IS NOT NULL", failure.sql()),) if failure.stops else failure.whens


def _whens(steps: Sequence[tuple[Failure | None, str | None]], last: Failure | None = None) -> Failure | None:
    """Each step may fail, and then stops evaluation where its condition holds."""
    while steps and last is None:
        last = steps[-1][0]
        steps = steps[:-1]
    if last is None:
        return None
    whens: list[tuple[str, str]] = []
    for failure, stop in steps:
        whens += _contained(failure)
        if stop is not None:
            whens.append((stop, "NULL"))
    return Failure((*whens, *last.whens))


def first_of(failures: Sequence[Failure | None]) -> Failure | None:
    """The failure of expressions that are all evaluated, in order."""
    return _whens([(failure, None) for failure in failures])


def of_conjunction(operands: Sequence[tuple[str, Failure | None]], stop_value: str) -> Failure | None:
    """AND (stop_value FALSE) and OR (TRUE): an operand after the one that decides is not evaluated."""
    return _whens([(failure, f"({sql}) IS {stop_value}") for sql, failure in operands])


def of_coalesce(operands: Sequence[tuple[str, Failure | None]]) -> Failure | None:
    """COALESCE: an operand after the first that is not null is not evaluated."""
    return _whens([(failure, f"({sql}) IS NOT NULL") for sql, failure in operands])


def of_case(
    branches: Sequence[tuple[str, Failure | None, Failure | None]], otherwise: Failure | None
) -> Failure | None:
    """A searched CASE of (condition, condition's failure, result's failure)."""
    whens: list[tuple[str, str]] = []
    for condition, condition_failure, result in branches:
        whens += _contained(condition_failure)
        whens.append((condition, result.sql() if result is not None else "NULL"))
    whens += otherwise.whens if otherwise is not None else ()
    while whens and whens[-1][1] == "NULL":
        whens.pop()
    return Failure(tuple(whens)) if whens else None


def is_exact(kind: pa.DataType) -> bool:
    """Whole numbers and decimals fail on a zero divisor; floating point gives infinity or NaN."""
    return bool(pa.types.is_integer(kind) or pa.types.is_decimal(kind))


_NEAR_OVERFLOW = "9223372036854774784.0"
"""The largest double below 2**63: a product that rounds to less has not overflowed."""


def overflow(operator: str, left: str, right: str, bits: int) -> str:
    """Whether a signed result of `bits` bits wraps around; the engine would give the wrapped value silently.

    A sum wraps when both operands have the sign that the result has not.
    """
    result = f"(({left}) {operator} ({right}))"
    if operator == "*" and bits == 64:
        near = f"abs(CAST({left} AS DOUBLE) * CAST({right} AS DOUBLE)) >= {_NEAR_OVERFLOW}"
        exact = f"CAST({left} AS DECIMAL(19, 0)) * CAST({right} AS DECIMAL(19, 0))"
        product = f"CAST({exact} AS DECIMAL(38, 0))"
        low, high = (f"CAST('{bound}' AS DECIMAL(38, 0))" for bound in (-(1 << 63), (1 << 63) - 1))
        return f"{near} AND {product} NOT BETWEEN {low} AND {high}"
    if operator == "*":
        product = f"CAST({left} AS BIGINT) * CAST({right} AS BIGINT)"
        return f"{product} NOT BETWEEN {-(1 << (bits - 1))} AND {(1 << (bits - 1)) - 1}"
    other = f"({result} ^ ({right}))" if operator == "+" else f"(({left}) ^ ({right}))"
    return f"(({result} ^ ({left})) & {other}) < 0"
