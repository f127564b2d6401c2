"""Whether default values fit their types ("default" under "Complex Types: Records" in Avro 1.12). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from libs.codec.tree import (
    Array,
    Default,
    Enum,
    Field,
    Fixed,
    Json,
    Map,
    Primitive,
    Record,
    Schema,
    Type,
    Union,
)

_INT_BITS: Final = {"int": 31, "long": 63}
_MAX_DEPTH: Final = 100


def wrong_defaults(schema: Schema) -> Iterator[tuple[str, str]]:
    """Path (`ns.Record.field`) and reason of every default that no reader could use.

    A union's default may be of any branch (since 1.12). A record's may leave out the fields that have defaults.
    """
    for record in schema.named.values():
        if isinstance(record, Record):
            for field in record.fields:
                if field.default is not None:
                    reason = _misfit(schema, field.type, field.default.value, 0)
                    if reason:
                        yield f"{record.name}.{field.name}", f"invalid default: {reason}"


def _misfit(schema: Schema, node: Type, value: Json, depth: int) -> str:
    """Why the value does not fit, empty if it does."""
    resolved = schema.resolve(node)
    if depth > _MAX_DEPTH:
        return "it contains itself or is nested too deep"
    match resolved:
        case Union():
            if any(not _misfit(schema, branch, value, depth + 1) for branch in resolved.branches):
                return ""
            return f"{_shown(value)} fits no branch of the union"
        case Array():
            if not isinstance(value, list):
                return _wanted("an array", value)
            return _first(_misfit(schema, resolved.items, item, depth + 1) for item in value)
        case Map():
            if not isinstance(value, dict):
                return _wanted("an object", value)
            return _first(_misfit(schema, resolved.values, item, depth + 1) for item in value.values())
        case Record():
            if not isinstance(value, dict):
                return _wanted(f"an object for record {resolved.name}", value)
            return _first(_field_misfit(schema, field, value, depth) for field in resolved.fields)
        case Enum():
            if value not in resolved.symbols:
                return _wanted(f"a symbol of enum {resolved.name}", value)
            return ""
        case Fixed():
            if not _is_bytes(value) or len(str(value)) != resolved.size:
                return _wanted(f"a string of {resolved.size} characters U+0000 to U+00FF", value)
            return ""
        case Primitive():
            return _primitive_misfit(resolved, value)


def _field_misfit(schema: Schema, field: Field, value: dict[str, Json], depth: int) -> str:
    given = Default(value[field.name]) if field.name in value else field.default
    if given is None:
        return f"field {field.name!r} is missing and has no default of its own"
    reason = _misfit(schema, field.type, given.value, depth + 1)
    return reason and f"field {field.name!r}: {reason}"


def _primitive_misfit(node: Primitive, value: Json) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match node.name:
        case "null":
            return "" if value is None else _wanted("null", value)
        case "boolean":
            return "" if isinstance(value, bool) else _wanted("true or false", value)
        case "int" | "long":
            bits = _INT_BITS[node.name]
            fits = is_number and isinstance(value, int) and -(2**bits) <= value < 2**bits
            return "" if fits else _wanted(f"an integer of {bits + 1} bits", value)
        case "float" | "double":
            return "" if is_number else _wanted("a number", value)
        case "bytes":
            return "" if _is_bytes(value) else _wanted("a string of characters U+0000 to U+00FF", value)
        case _:
            return "" if isinstance(value, str) else _wanted("a string", value)


def _is_bytes(value: Json) -> bool:
    return isinstance(value, str) and all(ord(character) < 256 for character in value)


def _first(reasons: Iterator[str]) -> str:
    return next(filter(None, reasons), "")


def _wanted(what: str, value: Json) -> str:
    return f"{_shown(value)} where {what} is needed"


def _shown(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."
