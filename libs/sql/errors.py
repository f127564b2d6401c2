"""What is wrong with a statement, in words a tenant can act on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a statement is refused. The values are part of the API (`ErrorInfo.metadata`): never renamed."""

    SYNTAX = "SYNTAX"
    TOO_LARGE = "TOO_LARGE"
    TOO_DEEP = "TOO_DEEP"
    TOO_MANY_COLUMNS = "TOO_MANY_COLUMNS"
    EXPANSION = "EXPANSION"
    NOT_A_SELECT = "NOT_A_SELECT"
    MULTIPLE_STATEMENTS = "MULTIPLE_STATEMENTS"
    NOT_ROW_WISE = "NOT_ROW_WISE"
    UNSUPPORTED_SYNTAX = "UNSUPPORTED_SYNTAX"
    UNKNOWN_TABLE = "UNKNOWN_TABLE"
    UNKNOWN_COLUMN = "UNKNOWN_COLUMN"
    AMBIGUOUS_COLUMN = "AMBIGUOUS_COLUMN"
    UNKNOWN_FUNCTION = "UNKNOWN_FUNCTION"
    FORBIDDEN_FUNCTION = "FORBIDDEN_FUNCTION"
    VOLATILE_FUNCTION = "VOLATILE_FUNCTION"
    UNSUPPORTED_TYPE = "UNSUPPORTED_TYPE"
    TYPE_ERROR = "TYPE_ERROR"
    DUPLICATE_NAME = "DUPLICATE_NAME"
    INVALID_NAME = "INVALID_NAME"


@dataclass(frozen=True)
class Violation:
    """One thing wrong with a statement.

    `line` and `column` are 1-based, `position` is the 0-based offset in characters; all three point at the
    first character of what is refused. `suggestion` is a remedy or empty; `detail` is the engine's own
    message
    or empty.
    """

    reason: Reason
    message: str
    line: int
    column: int
    position: int
    suggestion: str = ""
    detail: str = ""

    def __str__(self) -> str:
        suffix = f" ({self.suggestion})" if self.suggestion else ""
        return f"line {self.line}, column {self.column}: {self.message}{suffix}"


class SqlError(ValueError):
    """A statement cannot be run; `violations` is never empty and is in the order of the text."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(sorted(violations, key=lambda violation: violation.position))
        super().__init__("; ".join(str(violation) for violation in self.violations))


def violation_at(
    sql: str, position: int, reason: Reason, message: str, suggestion: str = "", detail: str = ""
) -> Violation:
    """A violation at a character offset of `sql`, with its line and column worked out."""
    position = max(0, min(position, len(sql)))
    line = sql.count("\n", 0, position) + 1
    column = position - (sql.rfind("\n", 0, position) + 1) + 1
    return Violation(reason, message, line, column, position, suggestion, detail)


def refuse(
    sql: str, position: int, reason: Reason, message: str, suggestion: str = "", detail: str = ""
) -> SqlError:
    """A `SqlError` with the one violation described; the caller raises it."""
    return SqlError([violation_at(sql, position, reason, message, suggestion, detail)])
