"""From a schema's text to a `Definition`: valid, in canonical text, with its identities. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Final

from libs.codec.guid import guid, sha256_fingerprint
from libs.codec.parse import NAME, parse
from libs.codec.tree import Array, Json, Map, Record, Schema, SchemaError, Type, Union, render
from services.schema_registry.defaults import wrong_defaults
from services.schema_registry.model import Definition, Guid

MAX_DEFINITION_BYTES: Final = 1024 * 1024
MAX_UNION_BRANCHES: Final = 1000
_ORDERS: Final = (None, "ascending", "descending", "ignore")


class InvalidDefinition(ValueError):
    """Not a schema that can be registered; `problems` says where and why, at least once."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems[:3]))
        self.problems = problems


def parse_definition(text: str) -> Definition:
    """Raises InvalidDefinition.

    Beyond what the specification's grammar asks for: JSON that every parser reads alike (no duplicate keys, no NaN, no
    lone surrogates), at most 1,000 branches in a union, and the limits of `libs.codec.parse`.
    """
    _check_size(text)
    _check_json(text)
    try:
        schema = parse(text)
    except SchemaError as error:
        raise InvalidDefinition((str(error),)) from error
    problems = tuple(_problems(schema))
    if problems:
        raise InvalidDefinition(problems)
    canonical = render(schema)
    _check_size(canonical)
    return Definition(canonical, Guid(str(guid(canonical))), sha256_fingerprint(canonical).hex(), schema)


def _check_size(text: str) -> None:
    size_bytes = len(text.encode(errors="surrogatepass"))
    if size_bytes > MAX_DEFINITION_BYTES:
        raise InvalidDefinition((f"{size_bytes} bytes: at most {MAX_DEFINITION_BYTES} are allowed",))


def _check_json(text: str) -> None:
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite_number
        )
        # A lone surrogate, written as an escape, has no UTF-8.
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}"
        raise InvalidDefinition((f"not JSON: {error.msg} at {at}",)) from error
    except UnicodeEncodeError as error:
        raise InvalidDefinition(("not JSON: a lone surrogate has no character",)) from error
    except RecursionError as error:
        raise InvalidDefinition(("not JSON: nested too deep",)) from error
    except ValueError as error:
        raise InvalidDefinition((f"not JSON: {error}",)) from error


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {twice!r} is given twice in one object")
    return members


def _refuse_constant(constant: str) -> Json:
    raise ValueError(f"{constant} is no JSON number")


def _finite_number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:40]} is out of the range of a double")
    return number


def _problems(schema: Schema) -> Iterator[str]:
    """What the grammar allows and the specification does not."""
    yield from _type_problems(schema.root, "the schema")
    for named in schema.named.values():
        for alias in named.aliases:
            if not all(NAME.fullmatch(part) for part in alias.split(".")):
                yield f"{named.name}: alias {alias!r} is not an Avro name"
        if isinstance(named, Record):
            yield from _record_problems(named)
    for path, reason in wrong_defaults(schema):
        yield f"{path}: {reason}"


def _record_problems(record: Record) -> Iterator[str]:
    for field in record.fields:
        path = f"{record.name}.{field.name}"
        yield from _type_problems(field.type, path)
        if field.order not in _ORDERS:
            yield f"{path}: order {field.order!r} is none of ascending, descending, ignore"
        for alias in field.aliases:
            if not NAME.fullmatch(alias):
                yield f"{path}: alias {alias!r} is not the name of a field"


def _type_problems(node: Type, path: str) -> Iterator[str]:
    match node:
        case Union():
            if len(node.branches) > MAX_UNION_BRANCHES:
                count = len(node.branches)
                yield f"{path}: a union of {count} branches: at most {MAX_UNION_BRANCHES} are allowed"
            for branch in node.branches:
                yield from _type_problems(branch, path)
        case Array():
            yield from _type_problems(node.items, path)
        case Map():
            yield from _type_problems(node.values, path)
