"""Which operation of which row fails, computed by the engine beside the row itself.

Each expression has, apart from its value, a *failure*: an SQL expression that is the number of the operation that
fails for a row, or null. A failure follows the evaluation order that the dialect page promises: a branch that is not
taken does not fail. `None` stands for an expression that cannot fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """What went wrong with a row; the values are dead-letter reasons."""

    CAST = "SQL_CAST"
    DIVISION_BY_ZERO = "SQL_DIVISION_BY_ZERO"
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


def first_of(failures: Sequence[str | None]) -> str | None:
    """The failure of expressions that are all evaluated, in order."""
    present = [failure for failure in failures if failure is not None]
    if not present:
        return None
    return present[0] if len(present) == 1 else f"coalesce({', '.join(present)})"


def of_conjunction(operands: Sequence[tuple[str, str | None]], stop_value: str) -> str | None:
    """AND (stop_value FALSE) and OR (TRUE): an operand after the one that decides is not evaluated."""
    failure: str | None = None
    for sql, own in reversed(operands):
        rest = None if failure is None else f"CASE WHEN ({sql}) IS {stop_value} THEN NULL ELSE {failure} END"
        failure = first_of([own, rest])
    return failure


def of_coalesce(operands: Sequence[tuple[str, str | None]]) -> str | None:
    """COALESCE: an operand after the first that is not null is not evaluated."""
    failure: str | None = None
    for sql, own in reversed(operands):
        rest = None if failure is None else f"CASE WHEN ({sql}) IS NULL THEN {failure} END"
        failure = first_of([own, rest])
    return failure


def of_case(branches: Sequence[tuple[str, str | None, str | None]], otherwise: str | None) -> str | None:
    """A searched CASE of (condition, condition's failure, result's failure)."""
    if all(condition_failure is None for _, condition_failure, _ in branches):
        if otherwise is None and all(result is None for _, _, result in branches):
            return None
        whens = " ".join(f"WHEN {condition} THEN {result or 'NULL'}" for condition, _, result in branches)
        return f"CASE {whens} ELSE {otherwise or 'NULL'} END"
    failure = otherwise
    for condition, condition_failure, result in reversed(branches):
        taken = None
        if result is not None or failure is not None:
            taken = f"CASE WHEN {condition} THEN {result or 'NULL'} ELSE {failure or 'NULL'} END"
        failure = first_of([condition_failure, taken])
    return failure
