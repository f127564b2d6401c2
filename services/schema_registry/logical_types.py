"""Logical types whose number means something else when scale or unit change. Pure."""

from __future__ import annotations

from typing import Final

from libs.codec.tree import Fixed, Primitive, properties_of

# Logical type: the type it annotates and what the number counts ("Logical Types" in the specification). Global and
# local timestamps count the same, so that one may become the other.
_UNITS: Final = {
    "date": ("int", "days"),
    "time-millis": ("int", "milliseconds of the day"),
    "time-micros": ("long", "microseconds of the day"),
    "timestamp-millis": ("long", "milliseconds"),
    "timestamp-micros": ("long", "microseconds"),
    "timestamp-nanos": ("long", "nanoseconds"),
    "local-timestamp-millis": ("long", "milliseconds"),
    "local-timestamp-micros": ("long", "microseconds"),
    "local-timestamp-nanos": ("long", "nanoseconds"),
}


def logical_mismatch(reader: Primitive | Fixed, writer: Primitive | Fixed) -> str:
    """Why a value would silently change its meaning; empty if it does not.

    Only two valid annotations can disagree: to annotate a type, or to drop an annotation, is no change of the value.
    A decimal may gain precision, never change its scale.
    """
    reader_unit, writer_unit = _unit(reader), _unit(writer)
    if reader_unit and writer_unit and reader_unit != writer_unit:
        return f"the reader counts {reader_unit}, the writer {writer_unit}: resolution does not convert them"
    reader_decimal, writer_decimal = _decimal(reader), _decimal(writer)
    if reader_decimal and writer_decimal:
        (reader_precision, reader_scale), (writer_precision, writer_scale) = reader_decimal, writer_decimal
        if reader_scale != writer_scale or reader_precision < writer_precision:
            return (
                f"the reader's decimal({reader_precision}, {reader_scale}) cannot hold the writer's "
                f"decimal({writer_precision}, {writer_scale}): same scale and at least that precision needed"
            )
    return ""


def _unit(node: Primitive | Fixed) -> str:
    logical_type = properties_of(node).get("logicalType")
    if isinstance(node, Primitive) and isinstance(logical_type, str) and logical_type in _UNITS:
        annotated, unit = _UNITS[logical_type]
        return unit if annotated == node.name else ""
    return ""


def _decimal(node: Primitive | Fixed) -> tuple[int, int] | None:
    """Precision and scale; None if it is no decimal that the specification knows (those are ignored)."""
    properties = properties_of(node)
    precision, scale = properties.get("precision"), properties.get("scale", 0)
    is_annotated = properties.get("logicalType") == "decimal"
    if not is_annotated or (isinstance(node, Primitive) and node.name != "bytes"):
        return None
    if type(precision) is int and type(scale) is int and precision > 0 and 0 <= scale <= precision:
        return precision, scale
    return None
