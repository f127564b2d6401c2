"""An Avro schema as a typed tree: parsing from JSON and rendering to deterministic text.

Named types live in one table and are referred to by full name everywhere, so that a schema can be cut down
without caring where a type happened to be defined first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Properties: TypeAlias = tuple[tuple[str, Json], ...]

PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


class SchemaError(ValueError):
    """An invalid Avro schema; `path` says where, as in `record.field[]` (items of an array) or `field{}`
    (map).
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


@dataclass(frozen=True)
class Primitive:
    name: str
    properties: Properties = ()


@dataclass(frozen=True)
class Array:
    items: Type
    properties: Properties = ()


@dataclass(frozen=True)
class Map:
    values: Type
    properties: Properties = ()


@dataclass(frozen=True)
class Union:
    branches: tuple[Type, ...]


@dataclass(frozen=True)
class Reference:
    """A use of a named type; `name` is the full name, a key of `Schema.named`."""

    name: str


Type: TypeAlias = Primitive | Array | Map | Union | Reference


@dataclass(frozen=True)
class Default:
    value: Json


@dataclass(frozen=True)
class Field:
    name: str
    type: Type
    doc: str | None = None
    default: Default | None = None
    order: str | None = None
    aliases: tuple[str, ...] = ()
    properties: Properties = ()


@dataclass(frozen=True)
class Record:
    name: str
    fields: tuple[Field, ...]
    doc: str | None = None
    aliases: tuple[str, ...] = ()
    properties: Properties = ()


@dataclass(frozen=True)
class Enum:
    name: str
    symbols: tuple[str, ...]
    default: str | None = None
    doc: str | None = None
    aliases: tuple[str, ...] = ()
    properties: Properties = ()


@dataclass(frozen=True)
class Fixed:
    name: str
    size: int
    doc: str | None = None
    aliases: tuple[str, ...] = ()
    properties: Properties = ()


NamedType: TypeAlias = Record | Enum | Fixed


@dataclass(frozen=True)
class Schema:
    root: Type
    named: Mapping[str, NamedType] = field(default_factory=dict)

    def resolve(self, node: Type) -> Primitive | Array | Map | Union | NamedType:
        return self.named[node.name] if isinstance(node, Reference) else node


def namespace_of(full_name: str) -> str:
    return full_name.rpartition(".")[0]


def simple_name(full_name: str) -> str:
    return full_name.rpartition(".")[2]


def properties_of(node: Type | NamedType) -> dict[str, Json]:
    return dict(getattr(node, "properties", ()))


def render(schema: Schema) -> str:
    """The text that Avro for Java writes for this schema (`Schema.toString()`): same schema, same bytes.

    Each named type is defined at its first use and named afterwards; names are shortened within their
    namespace.
    """
    return json.dumps(_Renderer(schema).node(schema.root, ""), separators=(",", ":"), ensure_ascii=False)


class _Renderer:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._defined: set[str] = set()

    def node(self, node: Type, namespace: str) -> Json:
        match node:
            case Primitive():
                return {"type": node.name, **dict(node.properties)} if node.properties else node.name
            case Array():
                return {"type": "array", "items": self.node(node.items, namespace), **dict(node.properties)}
            case Map():
                return {"type": "map", "values": self.node(node.values, namespace), **dict(node.properties)}
            case Union():
                return [self.node(branch, namespace) for branch in node.branches]
            case Reference():
                if node.name in self._defined:
                    return _short_name(node.name, namespace)
                self._defined.add(node.name)
                return self._definition(self._schema.named[node.name], namespace)

    def _definition(self, node: NamedType, namespace: str) -> Json:
        kind = {Record: "record", Enum: "enum", Fixed: "fixed"}[type(node)]
        own = namespace_of(node.name)
        out: dict[str, Json] = {"type": kind, "name": simple_name(node.name)}
        if own != namespace:
            out["namespace"] = own
        if node.doc is not None:
            out["doc"] = node.doc
        match node:
            case Record():
                out["fields"] = [self._field(field, own) for field in node.fields]
            case Enum():
                out["symbols"] = list(node.symbols)
                if node.default is not None:
                    out["default"] = node.default
            case Fixed():
                out["size"] = node.size
        out.update(node.properties)
        if node.aliases:
            out["aliases"] = [_short_name(alias, own) for alias in node.aliases]
        return out

    def _field(self, field: Field, namespace: str) -> Json:
        out: dict[str, Json] = {"name": field.name, "type": self.node(field.type, namespace)}
        if field.doc is not None:
            out["doc"] = field.doc
        if field.default is not None:
            out["default"] = field.default.value
        if field.order not in (None, "ascending"):
            out["order"] = field.order
        if field.aliases:
            out["aliases"] = list(field.aliases)
        out.update(field.properties)
        return out


def _short_name(full_name: str, namespace: str) -> str:
    own, _, name = full_name.rpartition(".")
    # A type that is called like a primitive is only told from it by its namespace.
    return name if own == namespace and name not in PRIMITIVES else full_name
