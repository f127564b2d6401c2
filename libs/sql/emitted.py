"""A compiled expression."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from libs.sql.failures import Failure


@dataclass(frozen=True)
class Emitted:
    """One expression in the engine's SQL.

    `sql` never fails for a bad value (it is null then), `strict` is the same with the casts as written
    and serves
    for planning, `failure` numbers the operation that failed (see `failures.py`). `precedence` is the binding
    strength of the outermost operator, for parentheses. `type` is known for columns and what is taken
    from them.
    `name` is the output name that an expression without alias gets.
    """

    sql: str
    strict: str
    position: int
    failure: Failure | None = None
    precedence: int = 100
    type: pa.DataType | None = None
    path: tuple[str, ...] | None = None
    name: str = ""
    growth: int = 1
    text: str | None = None
    number: int | None = None
    constant: bool = False
    children: tuple[Emitted, ...] = ()


ATOM = 100


def within(part: Emitted, precedence: int) -> tuple[str, str]:
    """The two texts of a part inside an operator of the given precedence, in parentheses when it binds
    less."""
    if part.precedence < precedence:
        return f"({part.sql})", f"({part.strict})"
    return part.sql, part.strict


def paths_of(roots: list[Emitted]) -> set[tuple[str, ...]]:
    """The columns and nested fields that expressions read; a record read whole is its own path."""
    paths: set[tuple[str, ...]] = set()
    pending = list(roots)
    while pending:
        part = pending.pop()
        if part.path is not None:
            paths.add(part.path)
        pending.extend(part.children)
    return {path for path in paths if not any(path[:length] in paths for length in range(1, len(path)))}
