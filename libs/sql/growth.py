"""How much longer than its input a value may become: no statement may blow a batch up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Argument:
    """What is known of an argument before any row is seen."""

    growth: int
    text: str | None = None
    """Of a string literal."""
    number: int | None = None
    """Of a literal whole number."""


UNBOUNDED = 1 << 62
_SUMS = frozenset(
    (
        "concat",
        "concat_ws",
        "make_array",
        "array_append",
        "array_prepend",
        "array_concat",
        "array_cat",
        "array_union",
        "named_struct",
        "array_to_string",
        "array_join",
    )
)
_TIMES_COUNT = {"repeat": 1, "array_repeat": 1, "array_resize": 1}
_PADS = frozenset({"lpad", "rpad"})
_REPLACES = {
    "replace": 2,
    "regexp_replace": 2,
    "array_replace": 2,
    "array_replace_all": 2,
    "array_replace_n": 2,
}
_UNKNOWN_REPLACEMENT = 64


def growth_of(function: str, arguments: Sequence[Argument]) -> int:
    """The growth of a call's value over its longest input; UNBOUNDED when a count is not a literal."""
    largest = max((argument.growth for argument in arguments), default=1)
    if function in _SUMS:
        return min(UNBOUNDED, sum(argument.growth for argument in arguments) or 1)
    if function in _TIMES_COUNT and len(arguments) >= 2:
        number = arguments[1].number
        return UNBOUNDED if number is None else min(UNBOUNDED, largest * max(1, number))
    if function in _PADS and len(arguments) >= 2:
        number = arguments[1].number
        return UNBOUNDED if number is None else min(UNBOUNDED, largest + max(0, number) // 16)
    if function in _REPLACES and len(arguments) >= 3:
        replacement = arguments[2]
        factor = (
            max(1, len(replacement.text))
            if replacement.text is not None
            else _UNKNOWN_REPLACEMENT * replacement.growth
        )
        return min(UNBOUNDED, arguments[0].growth * factor)
    return largest
