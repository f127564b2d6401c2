"""The standard rules for one value, as predicates: everything under `buf.validate.FieldRules.type` but
containers.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from buf.validate import validate_pb2
from google.protobuf import unknown_fields
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from libs.service_kit.validation.patterns import UnsupportedPattern, compile_pattern


class UnsupportedRule(ValueError):
    """A rule in a .proto file that this evaluator does not know, or that does not fit its field; raised at
    registration.
    """


@dataclass(frozen=True)
class ValueRule:
    """`holds(value)`; if not, `value must <allowed>` under `reason` (the rule's id in UPPER_SNAKE)."""

    reason: str
    allowed: str
    holds: Callable[[Any], bool]


_UUID = compile_pattern("^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$")
_NUMBERS = {
    name: number
    for number, names in {
        FieldDescriptor.TYPE_FLOAT: ["float"],
        FieldDescriptor.TYPE_DOUBLE: ["double"],
        FieldDescriptor.TYPE_INT32: ["int32"],
        FieldDescriptor.TYPE_INT64: ["int64"],
        FieldDescriptor.TYPE_UINT32: ["uint32"],
        FieldDescriptor.TYPE_UINT64: ["uint64"],
        FieldDescriptor.TYPE_SINT32: ["sint32"],
        FieldDescriptor.TYPE_SINT64: ["sint64"],
        FieldDescriptor.TYPE_FIXED32: ["fixed32"],
        FieldDescriptor.TYPE_FIXED64: ["fixed64"],
        FieldDescriptor.TYPE_SFIXED32: ["sfixed32"],
        FieldDescriptor.TYPE_SFIXED64: ["sfixed64"],
    }.items()
    for name in names
}
_SCALARS = {
    **_NUMBERS,
    "bool": FieldDescriptor.TYPE_BOOL,
    "string": FieldDescriptor.TYPE_STRING,
    "bytes": FieldDescriptor.TYPE_BYTES,
    "enum": FieldDescriptor.TYPE_ENUM,
}
_MESSAGES = {"duration": "google.protobuf.Duration", "timestamp": "google.protobuf.Timestamp"}


def _identity(value: Any) -> Any:
    return value


def nanoseconds(value: Any) -> int:
    """A Duration, or a Timestamp since the epoch, in nanoseconds."""
    return int(value.seconds * 1_000_000_000 + value.nanos)


def shown(value: Any) -> str:
    """The value for a message to people: at most 100 characters, with its length when cut."""
    if isinstance(value, str):
        return repr(value) if len(value) <= 100 else f"{value[:100]!r}… ({len(value)} characters)"
    if isinstance(value, bytes):
        return f"{value[:24].hex()}{'…' if len(value) > 24 else ''} ({len(value)} bytes)"
    if isinstance(value, Message):
        if value.DESCRIPTOR.full_name in _MESSAGES.values():
            return f"{value.seconds}.{value.nanos:09d}s"  # type: ignore[attr-defined]  # Duration and Timestamp have both
        return f"{value.DESCRIPTOR.name}"
    text = str(value)
    return text if len(text) <= 100 else text[:100] + "…"


def _listed(values: list[Any]) -> str:
    return ", ".join(shown(value) for value in values)


def _bounds(family: str, rules: Any, key: Callable[[Any], Any]) -> list[ValueRule]:
    """gt, gte, lt and lte, alone or as a range; a lower bound above the upper one means "outside of", as in
    protovalidate.
    """
    lower_name, upper_name = rules.WhichOneof("greater_than"), rules.WhichOneof("less_than")
    lower_name = None if lower_name == "gt_now" else lower_name
    upper_name = None if upper_name == "lt_now" else upper_name
    above: Callable[[Any], bool] = lambda value: True  # noqa: E731
    below = above
    texts = []
    low = high = None
    if lower_name is not None:
        bound = getattr(rules, lower_name)
        low = key(bound)
        texts.append(f"{'>' if lower_name == 'gt' else '>='} {shown(bound)}")
        above = (lambda value: key(value) > low) if lower_name == "gt" else (lambda value: key(value) >= low)
    if upper_name is not None:
        bound = getattr(rules, upper_name)
        high = key(bound)
        texts.append(f"{'<' if upper_name == 'lt' else '<='} {shown(bound)}")
        below = (
            (lambda value: key(value) < high) if upper_name == "lt" else (lambda value: key(value) <= high)
        )
    if not texts:
        return []
    reason = f"{family}_{'_'.join(name for name in (lower_name, upper_name) if name)}".upper()
    if low is not None and high is not None and high < low:
        return [ValueRule(reason, f"be {' or '.join(texts)}", lambda value: above(value) or below(value))]
    return [ValueRule(reason, f"be {' and '.join(texts)}", lambda value: above(value) and below(value))]


def _equality(family: str, rules: Any, key: Callable[[Any], Any], present: set[str]) -> list[ValueRule]:
    found = []
    if "const" in present:
        constant = rules.const
        found.append(
            ValueRule(f"{family}_CONST", f"be {shown(constant)}", lambda value: key(value) == key(constant))
        )
    if "in" in present:
        allowed = list(getattr(rules, "in"))
        keys = frozenset(key(value) for value in allowed)
        found.append(
            ValueRule(f"{family}_IN", f"be one of {_listed(allowed)}", lambda value: key(value) in keys)
        )
    if "not_in" in present:
        refused = list(rules.not_in)
        refused_keys = frozenset(key(value) for value in refused)
        found.append(
            ValueRule(
                f"{family}_NOT_IN",
                f"not be any of {_listed(refused)}",
                lambda value: key(value) not in refused_keys,
            )
        )
    return found


def _lengths(
    family: str, rules: Any, present: set[str], names: dict[str, tuple[str, str]]
) -> list[ValueRule]:
    """Length rules; `names` maps the rule to its comparison (`==`, `>=`, `<=`) and its unit."""
    found = []
    for name, (comparison, unit) in names.items():
        if name not in present:
            continue
        bound = int(getattr(rules, name))

        def measure(value: Any, in_bytes: bool = unit == "bytes") -> int:
            return len(value.encode()) if in_bytes and isinstance(value, str) else len(value)

        holds: Callable[[Any], bool] = {
            "==": lambda value, bound=bound, measure=measure: measure(value) == bound,
            ">=": lambda value, bound=bound, measure=measure: measure(value) >= bound,
            "<=": lambda value, bound=bound, measure=measure: measure(value) <= bound,
        }[comparison]
        words = {"==": "have exactly", ">=": "have at least", "<=": "have at most"}[comparison]
        found.append(ValueRule(f"{family}_{name}".upper(), f"{words} {bound} {unit}", holds))
    return found


def _strings(rules: validate_pb2.StringRules, present: set[str]) -> list[ValueRule]:
    found = _lengths(
        "STRING",
        rules,
        present,
        {
            "len": ("==", "characters"),
            "min_len": (">=", "characters"),
            "max_len": ("<=", "characters"),
            "len_bytes": ("==", "bytes"),
            "min_bytes": (">=", "bytes"),
            "max_bytes": ("<=", "bytes"),
        },
    )
    if "prefix" in present:
        prefix = rules.prefix
        found.append(
            ValueRule("STRING_PREFIX", f"begin with {prefix!r}", lambda value: value.startswith(prefix))
        )
    if "suffix" in present:
        suffix = rules.suffix
        found.append(ValueRule("STRING_SUFFIX", f"end with {suffix!r}", lambda value: value.endswith(suffix)))
    if "contains" in present:
        part = rules.contains
        found.append(ValueRule("STRING_CONTAINS", f"contain {part!r}", lambda value: part in value))
    if "not_contains" in present:
        refused = rules.not_contains
        found.append(
            ValueRule("STRING_NOT_CONTAINS", f"not contain {refused!r}", lambda value: refused not in value)
        )
    if "uuid" in present and rules.uuid:
        found.append(ValueRule("STRING_UUID", "be a UUID", lambda value: _UUID.search(value) is not None))
    # Last, so that it never runs on a value whose length rules fail: violations stop at the first per value.
    if "pattern" in present:
        try:
            search = compile_pattern(rules.pattern).search
        except UnsupportedPattern as error:
            raise UnsupportedRule(str(error)) from None
        found.append(
            ValueRule("STRING_PATTERN", f"match {rules.pattern}", lambda value: search(value) is not None)
        )
    return found


def _times(family: str, rules: Any, present: set[str]) -> list[ValueRule]:
    found = []
    if "lt_now" in present and rules.lt_now:
        found.append(
            ValueRule(
                f"{family}_LT_NOW", "be in the past", lambda value: nanoseconds(value) <= time.time_ns()
            )
        )
    if "gt_now" in present and rules.gt_now:
        found.append(
            ValueRule(
                f"{family}_GT_NOW", "be in the future", lambda value: nanoseconds(value) >= time.time_ns()
            )
        )
    if "within" in present:
        distance = nanoseconds(rules.within)
        found.append(
            ValueRule(
                f"{family}_WITHIN",
                f"be within {shown(rules.within)} of now",
                lambda value: abs(nanoseconds(value) - time.time_ns()) <= distance,
            )
        )
    return found


def _defined(enum: EnumDescriptor) -> ValueRule:
    numbers = frozenset(enum.values_by_number)
    names = ", ".join(value.name for value in enum.values)
    return ValueRule("ENUM_DEFINED_ONLY", f"be one of {names}", lambda value: value in numbers)


_KNOWN = {
    "string": {
        *("const", "in", "not_in", "len", "min_len", "max_len", "len_bytes", "min_bytes", "max_bytes"),
        *("prefix", "suffix", "contains", "not_contains", "uuid", "pattern"),
    },
    "bytes": {"const", "in", "not_in", "len", "min_len", "max_len", "prefix", "suffix"},
    "bool": {"const"},
    "enum": {"const", "in", "not_in", "defined_only"},
    "duration": {"const", "in", "not_in", "lt", "lte", "gt", "gte"},
    "timestamp": {"const", "lt", "lte", "gt", "gte", "lt_now", "gt_now", "within"},
}
_KNOWN_NUMBER = {"const", "in", "not_in", "lt", "lte", "gt", "gte", "finite"}


def value_rules(field: FieldDescriptor, rules: validate_pb2.FieldRules, where: str) -> list[ValueRule]:
    """The rules for one value of `field` (the value itself, an item, a map key or value). `where` is for
    the error.
    """
    kind = rules.WhichOneof("type")
    if kind is None:
        return []
    expected = _SCALARS.get(kind)
    fits = (
        field.type == expected
        if expected is not None
        else field.message_type is not None and field.message_type.full_name == _MESSAGES.get(kind)
    )
    if not fits:
        raise UnsupportedRule(f"{where}: {kind} rules are not supported for this type of field")
    family = kind.upper()
    type_rules: Any = getattr(rules, kind)
    if len(unknown_fields.UnknownFieldSet(type_rules)):
        raise UnsupportedRule(f"{where}: unknown {kind} rules")
    present = {set_field.name for set_field, _ in type_rules.ListFields()} - {"example"}
    unknown = present - _KNOWN.get(kind, _KNOWN_NUMBER)
    if unknown:
        raise UnsupportedRule(f"{where}: rule {kind}.{sorted(unknown)[0]} is not supported")
    key = nanoseconds if kind in _MESSAGES else _identity
    found: list[ValueRule] = []
    if kind == "string":
        found += _equality(family, type_rules, key, present)
        try:
            found += _strings(type_rules, present)
        except UnsupportedRule as error:
            raise UnsupportedRule(f"{where}: {error}") from None
        return found
    if kind == "bytes":
        lengths = {"len": ("==", "bytes"), "min_len": (">=", "bytes"), "max_len": ("<=", "bytes")}
        found += _lengths(family, type_rules, present, lengths)
        if "prefix" in present:
            prefix = type_rules.prefix
            found.append(
                ValueRule("BYTES_PREFIX", f"begin with {shown(prefix)}", lambda v: v.startswith(prefix))
            )
        if "suffix" in present:
            suffix = type_rules.suffix
            found.append(ValueRule("BYTES_SUFFIX", f"end with {shown(suffix)}", lambda v: v.endswith(suffix)))
    if kind == "enum" and "defined_only" in present and type_rules.defined_only and field.enum_type:
        found.append(_defined(field.enum_type))
    if "finite" in present and type_rules.finite:
        found.append(ValueRule(f"{family}_FINITE", "be finite", math.isfinite))
    found += _equality(family, type_rules, key, present)
    if kind not in ("bytes", "bool", "enum"):
        found += _bounds(family, type_rules, key)
    found += _times(family, type_rules, present) if kind == "timestamp" else []
    return found
