"""Computed types brought to those that Avro and JSON know."""

from __future__ import annotations

import pyarrow as pa

_PLAIN: dict[pa.DataType, pa.DataType] = {
    pa.string_view(): pa.string(),
    pa.large_string(): pa.string(),
    pa.binary_view(): pa.binary(),
    pa.large_binary(): pa.binary(),
    pa.int8(): pa.int32(),
    pa.int16(): pa.int32(),
    pa.uint8(): pa.int32(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.int64(),
    pa.float16(): pa.float32(),
    pa.date64(): pa.date32(),
    pa.time32("s"): pa.time32("ms"),
    pa.time64("ns"): pa.time64("us"),
}


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type that a computed column of the engine's type is written with.

    The engine computes in layouts (views, dictionaries) and widths (unsigned, 8 and 16 bits, seconds)
    that Avro has
    no form for; each goes to the next wider one that it has.
    """
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        item = kind.value_field
        return pa.list_(pa.field(item.name, plain_type(item.type), item.nullable))
    if pa.types.is_struct(kind):
        inner = [kind.field(index) for index in range(kind.num_fields)]
        return pa.struct([pa.field(field.name, plain_type(field.type), field.nullable) for field in inner])
    if pa.types.is_map(kind):
        item = kind.item_field
        return pa.map_(plain_type(kind.key_type), pa.field(item.name, plain_type(item.type), item.nullable))
    if pa.types.is_timestamp(kind) and kind.unit == "s":
        return pa.timestamp("ms", kind.tz)
    return _PLAIN.get(kind, kind)
