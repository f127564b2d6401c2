"""A record field's default value, written out in full."""

from __future__ import annotations

from dataclasses import replace

from libs.codec.tree import (
    Array,
    Default,
    Enum,
    Fixed,
    Json,
    Map,
    NamedType,
    Primitive,
    Record,
    Schema,
    Type,
    Union,
)


def with_full_defaults(schema: Schema) -> Schema:
    """The schema with every default of record type naming all fields of the record, and no others.

    Fields that a default leaves out have their own default, as Avro for Java reads it; fields that the record
    does not (or no longer) have are dropped.
    """
    named: dict[str, NamedType] = {}
    for name, node in schema.named.items():
        if isinstance(node, Record):
            fields = tuple(
                replace(field, default=Default(_full(schema, field.type, field.default.value)))
                if field.default is not None
                else field
                for field in node.fields
            )
            node = replace(node, fields=fields)
        named[name] = node
    return Schema(schema.root, named)


def _full(schema: Schema, node: Type, value: Json) -> Json:
    match schema.resolve(node), value:
        case Union(branches=branches), _:
            return _full(schema, next((b for b in branches if _fits(schema, b, value)), branches[0]), value)
        case Record(fields=fields), dict():
            full: dict[str, Json] = {}
            for field in fields:
                if field.name in value:
                    full[field.name] = _full(schema, field.type, value[field.name])
                elif field.default is not None:
                    full[field.name] = _full(schema, field.type, field.default.value)
            return full
        case Array(items=items), list():
            return [_full(schema, items, item) for item in value]
        case Map(values=values), dict():
            return {key: _full(schema, values, item) for key, item in value.items()}
    return value


def _fits(schema: Schema, node: Type, value: Json) -> bool:
    match schema.resolve(node):
        case Record() | Map():
            return isinstance(value, dict)
        case Array():
            return isinstance(value, list)
        case Enum() | Fixed():
            return isinstance(value, str)
        case Primitive(name=name):
            return name in _PRIMITIVES_OF.get(type(value), ())
    return False


_PRIMITIVES_OF: dict[type, tuple[str, ...]] = {
    type(None): ("null",),
    bool: ("boolean",),
    int: ("int", "long", "float", "double"),
    float: ("float", "double"),
    str: ("string", "bytes"),
}
