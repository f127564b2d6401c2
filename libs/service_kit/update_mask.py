"""Partial updates (AIP-134, AIP-161) that honour google.api.field_behavior (AIP-203)."""

from typing import Any, TypeVar, cast

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from libs.service_kit.errors import InvalidArgument, invalid_field
from libs.service_kit.validation import validate

_Resource = TypeVar("_Resource", bound=Message)
_OUTPUT_ONLY = field_behavior_pb2.OUTPUT_ONLY
_FIXED = (field_behavior_pb2.IMMUTABLE, field_behavior_pb2.IDENTIFIER)


def apply_update_mask(current: _Resource, given: _Resource, mask: FieldMask, *, field: str) -> _Resource:
    """`current` with the masked fields of `given`; neither is changed.

    An empty mask means the fields that `given` has set; `*` means all. A named message is replaced as a
    whole, a named field that `given` lacks is cleared. OUTPUT_ONLY fields keep their value: naming one is an
    error, giving one is not. IMMUTABLE and IDENTIFIER fields may be given or named with their present value
    only. The field `etag` is the server's and stays.

    InvalidArgument for an unknown path (field `update_mask`), a forbidden change, or a result that breaks the
    resource's own rules.
    """
    merged = type(current)()
    merged.CopyFrom(current)
    paths = list(dict.fromkeys(mask.paths))
    if "*" in paths and len(paths) > 1:
        raise invalid_field("update_mask", "* must be the only path", "INVALID_UPDATE_MASK")
    if not paths:
        _merge(merged, given, field)
    elif paths == ["*"]:
        _replace(merged, given, field)
    else:
        for path in paths:
            _apply(merged, given, path, field)
    if "etag" in current.DESCRIPTOR.fields_by_name:
        _copy(merged, current, cast("FieldDescriptor", current.DESCRIPTOR.fields_by_name["etag"]))
    validate(merged, field)
    return merged


def _behaviors(field: FieldDescriptor) -> list[int]:
    options: Any = field.GetOptions()
    return list(options.Extensions[field_behavior_pb2.field_behavior])


def _is_output_only(field: FieldDescriptor) -> bool:
    return _OUTPUT_ONLY in _behaviors(field)


def _is_fixed(field: FieldDescriptor) -> bool:
    return any(behavior in _FIXED for behavior in _behaviors(field))


def _is_open(field: FieldDescriptor) -> bool:
    """A single message whose fields a mask can name; google.protobuf types are values."""
    return (
        field.message_type is not None
        and not field.is_repeated
        and not field.message_type.full_name.startswith("google.protobuf.")
    )


def _is_set(message: Any, field: FieldDescriptor) -> bool:
    return any(set_field.number == field.number for set_field, _ in message.ListFields())


def _copy(target: Any, source: Any, field: FieldDescriptor) -> None:
    """Make the field of `target` what it is in `source`, unset included."""
    name = field.name
    if field.is_repeated:
        target.ClearField(name)
        getattr(target, name).MergeFrom(getattr(source, name))
    elif field.has_presence and not source.HasField(name):
        target.ClearField(name)
    elif field.message_type is not None:
        getattr(target, name).CopyFrom(getattr(source, name))
    else:
        setattr(target, name, getattr(source, name))


def _same(left: Any, right: Any, field: FieldDescriptor) -> bool:
    return _is_set(left, field) == _is_set(right, field) and getattr(left, field.name) == getattr(
        right, field.name
    )


def _refuse_change(path: str) -> InvalidArgument:
    return invalid_field(path, "is immutable: leave it out or give its present value", "IMMUTABLE_FIELD")


def _merge(target: Any, source: Any, path: str) -> None:
    """Take over what `source` has set, field by field."""
    for field, value in source.ListFields():
        where = f"{path}.{field.name}"
        if _is_output_only(field):
            continue
        if _is_fixed(field):
            if not _same(target, source, field):
                raise _refuse_change(where)
        elif _is_open(field):
            getattr(target, field.name).SetInParent()
            _merge(getattr(target, field.name), value, where)
        else:
            _copy(target, source, field)


def _replace(target: Any, source: Any, path: str) -> None:
    for field in target.DESCRIPTOR.fields:
        _set(target, source, field, f"{path}.{field.name}")


def _set(target: Any, source: Any, field: FieldDescriptor, path: str) -> None:
    """The field becomes what it is in `source`; within messages, what the client may not change stays."""
    if _is_output_only(field):
        return
    if _is_fixed(field):
        if _is_set(source, field) and not _same(target, source, field):
            raise _refuse_change(path)
    elif not _is_open(field):
        _copy(target, source, field)
    elif source.HasField(field.name):
        getattr(target, field.name).SetInParent()
        _replace(getattr(target, field.name), getattr(source, field.name), path)
    elif target.HasField(field.name):
        inner = getattr(target, field.name)
        _replace(inner, type(inner)(), path)
        if not inner.ListFields():
            target.ClearField(field.name)


def _apply(target: Any, source: Any, path: str, resource_field: str) -> None:
    """One path of the mask."""
    names = path.split(".")
    fixed = False
    for position, name in enumerate(names):
        field = _named(target.DESCRIPTOR, name, path)
        if _is_output_only(field):
            raise invalid_field("update_mask", f"{path!r}: {name} is set by the server", "OUTPUT_ONLY_FIELD")
        fixed = fixed or _is_fixed(field)
        if position == len(names) - 1:
            break
        if not _is_open(field):
            raise invalid_field(
                "update_mask", f"{path!r}: {name} has no fields that a mask can name", "UNKNOWN_FIELD"
            )
        if not source.HasField(field.name) and not target.HasField(field.name):
            return
        target, source = getattr(target, field.name), getattr(source, field.name)
    if fixed:
        if not _same(target, source, field):
            raise _refuse_change(f"{resource_field}.{path}")
    else:
        _set(target, source, field, f"{resource_field}.{path}")


def _named(descriptor: Descriptor, name: str, path: str) -> FieldDescriptor:
    field = descriptor.fields_by_name.get(name)
    if field is None:
        known = ", ".join(known.name for known in descriptor.fields)
        text = f"{path[:100]!r}: {descriptor.name} has no field {name[:70]!r}; its fields are {known}"
        raise invalid_field("update_mask", text, "UNKNOWN_FIELD")
    return field
