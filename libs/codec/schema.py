"""Avro schema text: validation, canonical text, and the reader schema cut down to what a statement needs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from libs.codec.defaults import with_full_defaults
from libs.codec.parse import parse
from libs.codec.tree import (
    Array,
    Map,
    NamedType,
    Record,
    Reference,
    Schema,
    SchemaError,
    Type,
    Union,
    render,
)

Path = tuple[str, ...]
"""Names of nested record fields from the root; nullable records are passed through."""


def canonical(schema_json: str) -> str:
    """The schema as Avro for Java writes it, which is the text that Confluent's registry stores and hashes.

    Keeps docs, aliases, defaults and properties, unlike the specification's Parsing Canonical Form.
    Raises ValueError, naming the path, for an invalid schema.
    """
    return render(parse(schema_json))


def prune(schema_json: str, paths: Collection[Path]) -> str:
    """The reader schema with only the fields that `paths` name, and whatever lies under them.

    A path ends at any field; one that leads into an array or a map keeps all of it. A record type that is
    used in several places keeps the fields needed in any of them. Names, aliases, defaults, docs and logical
    types stay. The result depends on the set of paths alone. No paths at all give a record without fields:
    it decodes to rows without columns, whose count is right.

    Raises ValueError for an invalid schema, one whose root is no record, or a path that names no field.
    """
    schema = parse(schema_json)
    if not isinstance(schema.resolve(schema.root), Record):
        raise SchemaError("", "the root of a reader schema must be a record")
    needs = _Needs(schema)
    for path in sorted(paths):
        if not path:
            raise SchemaError("", "an empty path")
        needs.add(schema.root, path, ())
    return render(needs.pruned())


class _Needs:
    """Which fields of each record type are needed."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._fields: dict[str, set[str]] = {}
        self._whole: set[str] = set()

    def add(self, node: Type, path: Path, above: Path) -> None:
        match node:
            case Union():
                for branch in node.branches:
                    if not path or len(node.branches) == 1 or self._is_container(branch):
                        self.add(branch, path, above)
                if path and not any(self._is_container(branch) for branch in node.branches):
                    self._refuse(path, above)
            case Array():
                self.add(node.items, (), above)
            case Map():
                self.add(node.values, (), above)
            case Reference():
                self._add_named(self._schema.named[node.name], path, above)
            case _ if path:
                self._refuse(path, above)

    def _is_container(self, node: Type) -> bool:
        return isinstance(self._schema.resolve(node), (Record, Array, Map))

    def _add_named(self, node: NamedType, path: Path, above: Path) -> None:
        if not isinstance(node, Record):
            if path:
                self._refuse(path, above)
            return
        needed = self._fields.setdefault(node.name, set())
        if not path:
            if node.name not in self._whole:
                self._whole.add(node.name)
                for field in node.fields:
                    needed.add(field.name)
                    self.add(field.type, (), (*above, field.name))
            return
        for field in node.fields:
            if field.name == path[0]:
                needed.add(field.name)
                self.add(field.type, path[1:], (*above, field.name))
                return
        self._refuse(path, above)

    def _refuse(self, path: Path, above: Path) -> None:
        raise SchemaError(
            ".".join((*above, *path)), f"no field {path[0]!r} in {'.'.join(above) or 'the record'}"
        )

    def pruned(self) -> Schema:
        named = dict(self._schema.named)
        for name, node in self._schema.named.items():
            if isinstance(node, Record):
                needed = self._fields.get(name, set())
                named[name] = replace(node, fields=tuple(f for f in node.fields if f.name in needed))
        return with_full_defaults(Schema(self._schema.root, named))
