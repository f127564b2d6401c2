"""The size of statement, and the cost of a batch, that Sluice accepts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on one statement; a statement beyond one is refused before it is parsed or planned."""

    statement_bytes: int = 64 * 1024
    depth: int = 24
    """Nesting of parentheses, brackets and CASE in the text, and of expressions in the tree."""
    operands: int = 2_000
    """Expressions in one statement; an IN list of literals counts as one."""
    output_columns: int = 1_000
    expansion: int = 256
    """How many times longer than its input a text built by repeat, lpad, replace, concat … may become."""
    fail_points: int = 200
    """Casts, divisions and sums of whole numbers: each is watched row by row."""
    executable_bytes: int = 256 * 1024
    """Of the compiled statement: error tracking repeats parts of the text."""


@dataclass(frozen=True)
class BatchBounds:
    """Bounds on the execution of one batch."""

    memory_bytes: int = 256 * 1024 * 1024
    isolation_seconds: float = 2.0
    """How long to look for the rows that make a batch fail before giving up on the rest of it."""
