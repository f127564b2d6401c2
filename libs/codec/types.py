"""Which Avro types Sluice reads and writes (the table is in `libs/codec/README.md`)."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from libs.codec.parse import NAME, parse
from libs.codec.tree import (
    Array,
    Default,
    Field,
    Fixed,
    Json,
    Map,
    NamedType,
    Primitive,
    Record,
    Reference,
    Schema,
    SchemaError,
    Type,
    Union,
    properties_of,
    render,
)

# Logical type -> the Avro type that it annotates.
TIME_TYPES: Final = {
    "date": "int",
    "time-millis": "int",
    "time-micros": "long",
    "timestamp-millis": "long",
    "timestamp-micros": "long",
    "timestamp-nanos": "long",
    "local-timestamp-millis": "long",
    "local-timestamp-micros": "long",
    "local-timestamp-nanos": "long",
}
MAX_PRECISION: Final = 76

_Resolved = Primitive | Array | Map | Union | NamedType


def unsupported(schema_json: str) -> list[tuple[str, str]]:
    """(path, reason) of every part of a reader schema that Sluice refuses; empty when it reads all of it.

    Paths are as in `device.labels{}.hops[].ip`. Raises ValueError for an invalid schema.
    """
    schema = parse(schema_json)
    if not isinstance(schema.resolve(schema.root), Record):
        return [("", "the root must be a record")]
    found: list[tuple[str, str]] = []
    _visit(schema, schema.root, "", frozenset(), found)
    return found


def _visit(
    schema: Schema, node: Type, path: str, above: frozenset[str], found: list[tuple[str, str]]
) -> None:
    if isinstance(node, Reference):
        if node.name in above:
            found.append((path, f"record {node.name} contains itself"))
            return
        above = above | {node.name}
    resolved = schema.resolve(node)
    reason = _refusal(schema, resolved)
    if reason is not None:
        found.append((path, reason))
        return
    match resolved:
        case Record():
            for field in resolved.fields:
                inner = f"{path}.{field.name}" if path else field.name
                _visit(schema, field.type, inner, above, found)
        case Array():
            _visit(schema, resolved.items, f"{path}[]", above, found)
        case Map():
            _visit(schema, resolved.values, f"{path}{{}}", above, found)
        case Union():
            for branch in resolved.branches:
                if branch != Primitive("null"):
                    _visit(schema, branch, path, above, found)


def _refusal(schema: Schema, node: _Resolved) -> str | None:
    match node:
        case Primitive(name="null"):
            return "null is supported only in a union with one other type"
        case Union():
            others = [branch for branch in node.branches if not is_null(branch)]
            if len(node.branches) != 2 or len(others) != 1:
                return "a union is supported only of null and one other type"
        case Array() if is_empty(schema, node.items):
            return "items without any bytes"
    return _logical_refusal(node)


def is_null(node: Type) -> bool:
    return isinstance(node, Primitive) and node.name == "null"


def is_empty(schema: Schema, node: Type, above: frozenset[str] = frozenset()) -> bool:
    """Whether every value of the type takes no bytes, so that a few bytes can claim billions of items."""
    if isinstance(node, Reference):
        if node.name in above:
            return False
        above = above | {node.name}
    match schema.resolve(node):
        case Primitive(name="null") | Fixed(size=0):
            return True
        case Record(fields=fields):
            return all(is_empty(schema, field.type, above) for field in fields)
    return False


def avro_kind(node: _Resolved) -> str:
    return node.name if isinstance(node, Primitive) else type(node).__name__.lower()


def logical_type(node: _Resolved) -> str | None:
    """The logical type that changes how the value is read: not those the specification says to ignore, nor
    uuid, whose text stays text."""
    name = properties_of(node).get("logicalType")
    if name == "uuid" and avro_kind(node) == "string":
        return None
    known = name in TIME_TYPES or name in ("decimal", "big-decimal", "duration", "uuid")
    return name if isinstance(name, str) and known else None


def decimal_parameters(node: _Resolved) -> tuple[int, int] | None:
    """(precision, scale), or None when they are not what the specification asks for."""
    properties = properties_of(node)
    precision, scale = properties.get("precision"), properties.get("scale", 0)
    if not isinstance(precision, int) or not isinstance(scale, int):
        return None
    return (precision, scale) if precision > 0 and 0 <= scale <= precision else None


def _logical_refusal(node: _Resolved) -> str | None:
    logical, kind = logical_type(node), avro_kind(node)
    if logical is None:
        return None
    if logical in TIME_TYPES:
        wanted = TIME_TYPES[logical]
        return None if kind == wanted else f"{logical} annotates {wanted}, not {kind}"
    if logical == "decimal":
        if kind not in ("bytes", "fixed"):
            return f"decimal annotates bytes or fixed, not {kind}"
        parameters = decimal_parameters(node)
        if parameters is None:
            return "decimal needs a precision above 0 and a scale between 0 and the precision"
        if parameters[0] > MAX_PRECISION:
            return f"decimal of precision {parameters[0]}, at most {MAX_PRECISION} is supported"
        if isinstance(node, Fixed) and not 0 < node.size <= 32:
            return f"decimal on fixed of {node.size} bytes, 1 to 32 are supported"
        return None
    return f"the logical type {logical} on {kind} is not supported"


def avro_schema_for(arrow_schema: pa.Schema, name: str, namespace: str) -> str:
    """The Avro schema of rows with these columns: same columns, same bytes.

    A nullable column becomes `["null", X]` with default null; nested records are named by their path, in
    namespaces below `<namespace>.<name>`. Raises ValueError naming the column whose name is no Avro name,
    that appears twice, or whose type has no Avro form.
    """
    builder = _Builder()
    full_name = f"{namespace}.{name}" if namespace else name
    for part in full_name.split("."):
        if not NAME.fullmatch(part):
            raise SchemaError("", f"{full_name!r} is not a full Avro name")
    root = builder.record(full_name, list(arrow_schema), "")
    return render(Schema(root, builder.named))


class _Builder:
    def __init__(self) -> None:
        self.named: dict[str, NamedType] = {}

    def record(self, full_name: str, columns: list[pa.Field], path: str) -> Reference:
        fields: list[Field] = []
        seen: set[str] = set()
        for column in columns:
            inner = f"{path}.{column.name}" if path else column.name
            if not NAME.fullmatch(column.name):
                raise SchemaError(
                    inner,
                    "not an Avro name (letters, digits, _; no digit first); give the column one with AS",
                )
            if column.name in seen:
                raise SchemaError(inner, "this column name appears twice")
            seen.add(column.name)
            default = Default(None) if column.nullable else None
            node = self.nullable(column, f"{full_name}.{column.name}", inner)
            fields.append(Field(column.name, node, default=default))
        self.named[full_name] = Record(full_name, tuple(fields))
        return Reference(full_name)

    def nullable(self, column: pa.Field, full_name: str, path: str) -> Type:
        node = self.node(column.type, full_name, path)
        return Union((Primitive("null"), node)) if column.nullable else node

    def node(self, arrow: pa.DataType, full_name: str, path: str) -> Type:
        if pa.types.is_dictionary(arrow):
            return self.node(arrow.value_type, full_name, path)
        if pa.types.is_struct(arrow):
            return self.record(full_name, list(arrow), path)
        if pa.types.is_list(arrow) or pa.types.is_large_list(arrow) or pa.types.is_fixed_size_list(arrow):
            return Array(self.nullable(arrow.value_field, f"{full_name}.item", f"{path}[]"))
        if pa.types.is_map(arrow):
            if not _is_text(arrow.key_type):
                raise SchemaError(path, f"map keys must be strings, not {arrow.key_type}")
            return Map(self.nullable(arrow.item_field, f"{full_name}.value", f"{path}{{}}"))
        if pa.types.is_fixed_size_binary(arrow):
            self.named[full_name] = Fixed(full_name, arrow.byte_width)
            return Reference(full_name)
        node = _scalar(arrow)
        if node is None:
            raise SchemaError(path, f"the type {arrow} cannot be written; cast it in the statement")
        return node


def _is_text(arrow: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(arrow) or pa.types.is_large_string(arrow) or pa.types.is_string_view(arrow)
    )


def _scalar(arrow: pa.DataType) -> Primitive | None:
    types = pa.types
    if types.is_boolean(arrow):
        return Primitive("boolean")
    if types.is_integer(arrow):
        if types.is_uint64(arrow):
            return None
        return Primitive("long" if types.is_int64(arrow) or types.is_uint32(arrow) else "int")
    if types.is_floating(arrow):
        return Primitive("double" if types.is_float64(arrow) else "float")
    if _is_text(arrow):
        return Primitive("string")
    if types.is_binary(arrow) or types.is_large_binary(arrow) or types.is_binary_view(arrow):
        return Primitive("bytes")
    if types.is_decimal(arrow):
        return _decimal(arrow)
    if types.is_date32(arrow):
        return _annotated("int", "date")
    if types.is_time32(arrow):
        return _annotated("int", "time-millis")
    if types.is_time64(arrow):
        return _annotated("long", "time-micros") if arrow.unit == "us" else None
    if types.is_timestamp(arrow):
        unit = {"s": "millis", "ms": "millis", "us": "micros", "ns": "nanos"}[arrow.unit]
        return _annotated("long", f"timestamp-{unit}" if arrow.tz else f"local-timestamp-{unit}")
    return None


def _annotated(name: str, logical: str, **parameters: Json) -> Primitive:
    return Primitive(name, (("logicalType", logical), *parameters.items()))


def _decimal(arrow: pa.DataType) -> Primitive | None:
    if not 0 <= arrow.scale <= arrow.precision:
        return None
    return _annotated("bytes", "decimal", precision=arrow.precision, scale=arrow.scale)
