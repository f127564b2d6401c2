"""Where Avro's schema resolution would change what a value means.

Avro resolves by the underlying types alone: a `timestamp-millis` read as `timestamp-micros` is the same
number and another time. Such pairs are refused here, before a message is decoded.
"""

from __future__ import annotations

from libs.codec.native import field_source
from libs.codec.parse import parse
from libs.codec.tree import (
    Array,
    Map,
    NamedType,
    Primitive,
    Record,
    Reference,
    Schema,
    Type,
    Union,
)
from libs.codec.types import avro_kind, decimal_parameters, is_empty, is_null, logical_type

# Types that Avro promotes into one another; a difference between these and the logical type is what matters
# here.
_COMPARABLE = (frozenset({"int", "long", "float", "double"}), frozenset({"bytes", "string", "fixed"}))


def conflicts(writer_schema: str, reader_schema: str) -> list[tuple[str, str]]:
    """(path in the reader schema, reason) of each field whose meaning resolution would change.

    Also names, with an empty path, what makes a writer schema unreadable even where the reader leaves it out:
    records that contain themselves, and arrays of items without bytes, which let a few bytes claim billions.
    Raises ValueError for an invalid schema.
    """
    writer, reader = parse(writer_schema), parse(reader_schema)
    found = [("", reason) for reason in _unreadable(writer)]
    _Comparison(writer, reader, found).compare(writer.root, reader.root, "")
    return found


def _unreadable(writer: Schema) -> list[str]:
    reasons = [
        f"writer record {name} contains itself" for name in writer.named if _contains_itself(writer, name)
    ]
    for name, node in writer.named.items():
        if isinstance(node, Record):
            for field in node.fields:
                if _has_empty_items(writer, field.type):
                    reasons.append(f"writer field {name}.{field.name}: items without any bytes")
    return reasons


def _contains_itself(schema: Schema, name: str) -> bool:
    seen: set[str] = set()
    waiting = _field_types(schema, name)
    while waiting:
        match waiting.pop():
            case Reference(name=used):
                if used == name:
                    return True
                if used not in seen:
                    seen.add(used)
                    waiting.extend(_field_types(schema, used))
            case Array(items=inner) | Map(values=inner):
                waiting.append(inner)
            case Union(branches=branches):
                waiting.extend(branches)
    return False


def _field_types(schema: Schema, name: str) -> list[Type]:
    node = schema.named[name]
    return [field.type for field in node.fields] if isinstance(node, Record) else []


def _has_empty_items(schema: Schema, node: Type) -> bool:
    match node:
        case Array():
            return is_empty(schema, node.items) or _has_empty_items(schema, node.items)
        case Map():
            return _has_empty_items(schema, node.values)
        case Union():
            return any(_has_empty_items(schema, branch) for branch in node.branches)
    return False


class _Comparison:
    def __init__(self, writer: Schema, reader: Schema, found: list[tuple[str, str]]) -> None:
        self._writer = writer
        self._reader = reader
        self._found = found
        self._seen: set[tuple[Type, Type]] = set()

    def compare(self, written: Type, read: Type, path: str) -> None:
        if isinstance(read, Reference):
            if (written, read) in self._seen:
                return
            self._seen.add((written, read))
        if isinstance(written, Union) or isinstance(read, Union):
            for written_branch in _branches(written):
                for read_branch in _branches(read):
                    self.compare(written_branch, read_branch, path)
            return
        left, right = self._writer.resolve(written), self._reader.resolve(read)
        match left, right:
            case Record(), Record():
                for field in right.fields:
                    source = field_source(left, field)
                    if source is not None:
                        inner = f"{path}.{field.name}" if path else field.name
                        self.compare(source.type, field.type, inner)
            case Array(), Array():
                self.compare(left.items, right.items, f"{path}[]")
            case Map(), Map():
                self.compare(left.values, right.values, f"{path}{{}}")
            case _:
                self._leaf(left, right, path)

    def _leaf(
        self,
        left: Primitive | Array | Map | Union | NamedType,
        right: Primitive | Array | Map | Union | NamedType,
        path: str,
    ) -> None:
        kinds = {avro_kind(left), avro_kind(right)}
        if not any(kinds <= comparable for comparable in _COMPARABLE):
            return
        written, read = logical_type(left), logical_type(right)
        if written != read:
            self._found.append(
                (path, f"written as {written or avro_kind(left)}, read as {read or avro_kind(right)}")
            )
        elif written == "decimal" and decimal_parameters(left) != decimal_parameters(right):
            reason = (
                f"written as decimal{decimal_parameters(left)}, read as decimal{decimal_parameters(right)}"
            )
            self._found.append((path, reason))


def _branches(node: Type) -> tuple[Type, ...]:
    if isinstance(node, Union):
        return tuple(branch for branch in node.branches if not is_null(branch))
    return (node,)
