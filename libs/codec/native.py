"""The schemas handed to the native crate: nothing in them that it would misread.

`arrow-avro` keeps one table of type names for the writer and the reader: where a type is defined in a field that the
reader leaves out and used again in one that it keeps, the second use is decoded by the reader's fields, and yields
other values without an error. It also compares names with their namespaces, where Avro asks for the simple name. So
each use of a named type gets a definition and a name of its own here, the same on both sides exactly where Avro
says that the two types match.
"""

from __future__ import annotations

from dataclasses import replace

from libs.codec.defaults import with_full_defaults
from libs.codec.parse import parse
from libs.codec.tree import (
    Array,
    Enum,
    Field,
    Fixed,
    Map,
    NamedType,
    Primitive,
    Properties,
    Record,
    Reference,
    Schema,
    Type,
    Union,
    render,
    simple_name,
)
from libs.codec.types import logical_type


def native_text(schema_json: str) -> str:
    """One schema for both sides. It must not contain itself."""
    return native_pair(schema_json, schema_json)[0]


def native_pair(writer_schema: str, reader_schema: str) -> tuple[str, str]:
    """The texts for the native decoder: bare of docs and unknown logical types, defaults in full.

    `uuid` on a string is taken off too: it is text. Neither schema may contain itself (`types.unsupported`,
    `resolution.conflicts`).
    """
    expansion = _Expansion(parse(writer_schema), with_full_defaults(parse(reader_schema)))
    written, read = expansion.pair(expansion.writer.schema.root, expansion.reader.schema.root)
    return expansion.writer.text(written), expansion.reader.text(read)


class _Names:
    def __init__(self) -> None:
        self._count = 0

    def fresh(self) -> str:
        self._count += 1
        return f"T{self._count}"


class _Side:
    """One of the two schemas, and the definitions that replace its own."""

    def __init__(self, schema: Schema, names: _Names) -> None:
        self.schema = schema
        self._names = names
        self._named: dict[str, NamedType] = {}

    def text(self, root: Type) -> str:
        return render(Schema(root, self._named))

    def define(self, name: str, node: NamedType, fields: tuple[Field, ...] = ()) -> Reference:
        if isinstance(node, Record):
            self._named[name] = Record(name, fields)
        else:
            self._named[name] = replace(
                node, name=name, doc=None, aliases=(), properties=_bare_properties(node)
            )
        return Reference(name)

    def alone(self, node: Type) -> Type:
        """The type where the other side has none that matches it."""
        match node:
            case Primitive():
                return replace(node, properties=_bare_properties(node))
            case Array():
                return Array(self.alone(node.items))
            case Map():
                return Map(self.alone(node.values))
            case Union():
                return Union(tuple(self.alone(branch) for branch in node.branches))
            case Reference():
                name, definition = self._names.fresh(), self.schema.named[node.name]
                if not isinstance(definition, Record):
                    return self.define(name, definition)
                fields = tuple(_bare_field(field, self.alone(field.type)) for field in definition.fields)
                return self.define(name, definition, fields)


class _Expansion:
    def __init__(self, writer: Schema, reader: Schema) -> None:
        self._names = _Names()
        self.writer = _Side(writer, self._names)
        self.reader = _Side(reader, self._names)

    def pair(self, written: Type, read: Type) -> tuple[Type, Type]:
        if isinstance(written, Union) or isinstance(read, Union):
            return self._unions(written, read)
        match written, read:
            case Array(), Array():
                written_items, read_items = self.pair(written.items, read.items)
                return Array(written_items), Array(read_items)
            case Map(), Map():
                written_values, read_values = self.pair(written.values, read.values)
                return Map(written_values), Map(read_values)
            case Reference(), Reference() if self._affinity(written, read):
                return self._named(
                    self.writer.schema.named[written.name], self.reader.schema.named[read.name]
                )
        return self.writer.alone(written), self.reader.alone(read)

    def _unions(self, written: Type, read: Type) -> tuple[Type, Type]:
        writers = written.branches if isinstance(written, Union) else (written,)
        readers = read.branches if isinstance(read, Union) else (read,)
        paired_writers: dict[int, Type] = {}
        paired_readers: list[Type] = []
        for branch in readers:
            free = [index for index in range(len(writers)) if index not in paired_writers]
            best = max(free, key=lambda index: self._affinity(writers[index], branch), default=None)
            if best is None or not self._affinity(writers[best], branch):
                paired_readers.append(self.reader.alone(branch))
            else:
                paired_writers[best], paired = self.pair(writers[best], branch)
                paired_readers.append(paired)
        all_writers = tuple(
            paired_writers[index] if index in paired_writers else self.writer.alone(branch)
            for index, branch in enumerate(writers)
        )
        return (
            Union(all_writers) if isinstance(written, Union) else all_writers[0],
            Union(tuple(paired_readers)) if isinstance(read, Union) else paired_readers[0],
        )

    def _affinity(self, written: Type, read: Type) -> int:
        """How well two types that are no unions match by name and kind; 0 when they do not.

        Only for types that contain or are named types: all others need no name.
        """
        match written, read:
            case (Array(), Array()) | (Map(), Map()):
                return 1
            case Reference(), Reference():
                left, right = self.writer.schema.named[written.name], self.reader.schema.named[read.name]
                if type(left) is not type(right):
                    return 0
                if left.name == right.name:
                    return 3
                if left.name in right.aliases:
                    return 2
                return int(simple_name(left.name) == simple_name(right.name))
        return 0

    def _named(self, written: NamedType, read: NamedType) -> tuple[Type, Type]:
        name = self._names.fresh()
        match written, read:
            case Record(), Record():
                types: dict[str, Type] = {}
                fields: list[Field] = []
                for field in read.fields:
                    source = field_source(written, field)
                    if source is None or source.name in types:
                        fields.append(_bare_field(field, self.reader.alone(field.type)))
                    else:
                        types[source.name], paired = self.pair(source.type, field.type)
                        fields.append(_bare_field(field, paired))
                sources = tuple(
                    _bare_field(
                        field, types[field.name] if field.name in types else self.writer.alone(field.type)
                    )
                    for field in written.fields
                )
                return self.writer.define(name, written, sources), self.reader.define(
                    name, read, tuple(fields)
                )
        return self.writer.define(name, written), self.reader.define(name, read)


def field_source(writer: Record, reader_field: Field) -> Field | None:
    """The writer's field that this field reads: of its name, else of its first alias that the writer has."""
    fields = {field.name: field for field in writer.fields}
    for name in (reader_field.name, *reader_field.aliases):
        if name in fields:
            return fields[name]
    return None


def _bare_field(field: Field, node: Type) -> Field:
    return replace(field, type=node, doc=None, order=None, properties=())


def _bare_properties(node: Primitive | Enum | Fixed) -> Properties:
    if logical_type(node) is None:
        return ()
    return tuple(
        (key, value) for key, value in node.properties if key in ("logicalType", "precision", "scale")
    )
