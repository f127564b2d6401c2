"""Avro schema text to a tree. A rule of the specification that is broken is a `SchemaError` with a path."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Final

import fastavro
from fastavro.schema import SchemaParseException

from libs.codec.tree import (
    PRIMITIVES,
    Array,
    Default,
    Enum,
    Field,
    Fixed,
    Json,
    Map,
    NamedType,
    Primitive,
    Properties,
    Record,
    Reference,
    Schema,
    SchemaError,
    Type,
    Union,
    namespace_of,
)

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_DEPTH: Final = 100
MAX_EXPANDED_FIELDS: Final = 10_000

_STRUCTURE: Final = {
    "record": {"type", "name", "namespace", "doc", "aliases", "fields"},
    "enum": {"type", "name", "namespace", "doc", "aliases", "symbols", "default"},
    "fixed": {"type", "name", "namespace", "doc", "aliases", "size"},
    "array": {"type", "items"},
    "map": {"type", "values"},
}
_FIELD_STRUCTURE: Final = {"name", "type", "doc", "default", "order", "aliases"}


@lru_cache(maxsize=64)
def parse(schema_json: str) -> Schema:
    """Raises `SchemaError` (a ValueError) when the text is not JSON or not a valid Avro schema. Cached."""
    try:
        document: Json = json.loads(schema_json)
    except (json.JSONDecodeError, RecursionError) as error:
        raise SchemaError("", f"not JSON: {error}") from error
    if not isinstance(document, (str, list, dict)):
        raise SchemaError("", "a schema must be a string, an object or an array")
    parser = _Parser()
    root = parser.node(document, "", "", 0)
    try:
        fastavro.parse_schema(document)
    except (SchemaParseException, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SchemaError("", f"not an Avro schema: {error}") from error
    schema = Schema(root, parser.named)
    if _expanded_size(schema, root, {}) > MAX_EXPANDED_FIELDS:
        raise SchemaError("", f"more than {MAX_EXPANDED_FIELDS} fields when every use of a record is counted")
    return schema


def _expanded_size(schema: Schema, node: Type, known: dict[str, int]) -> int:
    match node:
        case Array():
            return _expanded_size(schema, node.items, known)
        case Map():
            return _expanded_size(schema, node.values, known)
        case Union():
            return sum(_expanded_size(schema, branch, known) for branch in node.branches)
        case Reference():
            if node.name not in known:
                known[node.name] = 1
                definition = schema.named[node.name]
                if isinstance(definition, Record):
                    known[node.name] += sum(_expanded_size(schema, f.type, known) for f in definition.fields)
            return known[node.name]
    return 1


class _Parser:
    def __init__(self) -> None:
        self.named: dict[str, NamedType] = {}
        self._open: set[str] = set()

    def node(self, node: Json, namespace: str, path: str, depth: int) -> Type:
        if depth > MAX_DEPTH:
            raise SchemaError(path, f"nested more than {MAX_DEPTH} levels deep")
        match node:
            case str():
                return self._name_use(node, namespace, path)
            case list():
                return self._union(node, namespace, path, depth)
            case dict():
                return self._object(node, namespace, path, depth)
            case _:
                raise SchemaError(path, f"a type must be a string, an object or an array, not {node!r}")

    def _name_use(self, name: str, namespace: str, path: str) -> Type:
        if name in PRIMITIVES:
            return Primitive(name)
        for full_name in (_full_name(name, namespace), name):
            if full_name in self.named or full_name in self._open:
                return Reference(full_name)
        raise SchemaError(path, f"unknown type {name!r}")

    def _union(self, branches: list[Json], namespace: str, path: str, depth: int) -> Union:
        types = tuple(self.node(branch, namespace, path, depth + 1) for branch in branches)
        if any(isinstance(branch, Union) for branch in types):
            raise SchemaError(path, "a union directly within a union")
        kinds = [
            branch.name if isinstance(branch, (Primitive, Reference)) else type(branch) for branch in types
        ]
        if not kinds or len(set(kinds)) != len(kinds):
            raise SchemaError(path, "a union must have branches, each of another type")
        return Union(types)

    def _object(self, node: dict[str, Json], namespace: str, path: str, depth: int) -> Type:
        kind = node.get("type")
        if isinstance(kind, (dict, list)):
            return self.node(kind, namespace, path, depth + 1)
        if not isinstance(kind, str):
            raise SchemaError(path, "an object without a type")
        if kind == "error":
            kind = "record"
        properties = _properties(node, _STRUCTURE.get(kind, {"type"}))
        match kind:
            case "array":
                return Array(self.node(node.get("items"), namespace, f"{path}[]", depth + 1), properties)
            case "map":
                return Map(self.node(node.get("values"), namespace, f"{path}{{}}", depth + 1), properties)
            case "record" | "enum" | "fixed":
                return self._definition(kind, node, namespace, path, depth)
        if kind in PRIMITIVES:
            return Primitive(kind, properties)
        return self._name_use(kind, namespace, path)

    def _definition(
        self, kind: str, node: dict[str, Json], namespace: str, path: str, depth: int
    ) -> Reference:
        name = self._declared_name(node, namespace, path)
        if name in self.named or name in self._open:
            raise SchemaError(path, f"{name} is defined twice")
        own = namespace_of(name)
        doc = _optional_text(node, "doc", path)
        aliases = tuple(_full_name(alias, own) for alias in _texts(node, "aliases", path))
        properties = _properties(node, _STRUCTURE[kind])
        match kind:
            case "record":
                self._open.add(name)
                fields = self._fields(node.get("fields"), own, path, depth)
                self._open.discard(name)
                self.named[name] = Record(name, fields, doc, aliases, properties)
            case "enum":
                symbols = _texts(node, "symbols", path)
                if not symbols or len(set(symbols)) != len(symbols):
                    raise SchemaError(path, "an enum must have symbols, each once")
                for symbol in symbols:
                    _require_name(symbol, path)
                default = _optional_text(node, "default", path)
                if default is not None and default not in symbols:
                    raise SchemaError(path, f"default {default!r} is not a symbol of the enum")
                self.named[name] = Enum(name, symbols, default, doc, aliases, properties)
            case _:
                size = node.get("size")
                if not isinstance(size, int) or isinstance(size, bool) or size < 0:
                    raise SchemaError(path, f"size of fixed must be a number of bytes, not {size!r}")
                self.named[name] = Fixed(name, size, doc, aliases, properties)
        return Reference(name)

    def _declared_name(self, node: dict[str, Json], namespace: str, path: str) -> str:
        name = node.get("name")
        if not isinstance(name, str):
            raise SchemaError(path, "a named type without a name")
        declared = node.get("namespace")
        if declared is not None and not isinstance(declared, str):
            raise SchemaError(path, f"namespace must be a string, not {declared!r}")
        full_name = _full_name(name, namespace if declared is None else declared)
        for part in full_name.split("."):
            _require_name(part, path)
        return full_name

    def _fields(self, fields: Json, namespace: str, path: str, depth: int) -> tuple[Field, ...]:
        if not isinstance(fields, list):
            raise SchemaError(path, "a record without a list of fields")
        parsed: list[Field] = []
        seen: set[str] = set()
        for position, node in enumerate(fields):
            if not isinstance(node, dict) or not isinstance(node.get("name"), str):
                raise SchemaError(path, f"field {position} has no name")
            name = str(node["name"])
            inner = f"{path}.{name}" if path else name
            _require_name(name, inner)
            if name in seen:
                raise SchemaError(inner, "a field of this name exists already")
            if "type" not in node:
                raise SchemaError(inner, "a field without a type")
            seen.add(name)
            parsed.append(
                Field(
                    name,
                    self.node(node["type"], namespace, inner, depth + 1),
                    _optional_text(node, "doc", inner),
                    Default(node["default"]) if "default" in node else None,
                    _optional_text(node, "order", inner),
                    _texts(node, "aliases", inner),
                    _properties(node, _FIELD_STRUCTURE),
                )
            )
        return tuple(parsed)


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _require_name(name: str, path: str) -> None:
    if not NAME.fullmatch(name):
        raise SchemaError(path, f"{name!r} is not an Avro name (letters, digits, _; no digit first)")


def _properties(node: dict[str, Json], structure: set[str]) -> Properties:
    return tuple((key, value) for key, value in node.items() if key not in structure)


def _optional_text(node: dict[str, Json], key: str, path: str) -> str | None:
    value = node.get(key)
    if value is not None and not isinstance(value, str):
        raise SchemaError(path, f"{key} must be a string, not {value!r}")
    return value


def _texts(node: dict[str, Json], key: str, path: str) -> tuple[str, ...]:
    values = node.get(key, [])
    if not isinstance(values, list):
        raise SchemaError(path, f"{key} must be a list of strings")
    texts = tuple(value for value in values if isinstance(value, str))
    if len(texts) != len(values):
        raise SchemaError(path, f"{key} must be a list of strings")
    return texts
