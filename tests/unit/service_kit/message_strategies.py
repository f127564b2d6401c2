"""Hypothesis strategies for messages of any type, biased to the edges of the rules in kit_test.proto."""

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

_TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            *(
                "a",
                "b",
                "ab",
                "abc",
                "c",
                "z",
                "yz",
                "xyz",
                "bad",
                "ten",
                "tenants/acme",
                "a1b",
                "xa22by",
                "ab\n",
            ),
            *(
                "ab-c1",
                "ab-",
                "ab-c1-d2\n",
                "é",
                "ééé",
                "日本",
                "abcde",
                "abcdef",
                "A",
                "9",
                'q"uo\\te',
                "a\nb",
            ),
            *("0b6d4a7e-13f3-4b3b-a9d0-6f4a7a1c9b11", "0b6d4a7e-13f3-4b3b-a9d0-6f4a7a1c9b11\n", "0b6d4a7e"),
        ]
    ),
    st.text(max_size=8),
)
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: st.one_of(st.integers(-2, 12), st.integers(-(2**31), 2**31 - 1)),
    FieldDescriptor.CPPTYPE_INT64: st.one_of(st.integers(-2, 12), st.integers(-(2**63), 2**63 - 1)),
    FieldDescriptor.CPPTYPE_UINT32: st.one_of(st.integers(0, 12), st.integers(0, 2**32 - 1)),
    FieldDescriptor.CPPTYPE_UINT64: st.one_of(st.integers(0, 12), st.integers(0, 2**64 - 1)),
    FieldDescriptor.CPPTYPE_ENUM: st.integers(-1, 4),
}
_FLOATS = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 0.5, -1.0, float("nan"), float("inf")]), st.floats(width=32)
)


def _scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=6)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _TEXTS
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if field.cpp_type in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return _FLOATS
    return _INTEGERS[field.cpp_type]


def _set_values(draw: st.DrawFn, message: Any, field: FieldDescriptor, depth: int) -> None:
    name = field.name
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key_field, value_field = field.message_type.fields
        for key in draw(st.lists(_scalars(key_field), max_size=3)):
            if value_field.message_type is not None:
                getattr(message, name)[key].CopyFrom(draw(messages(value_field.message_type, depth - 1)))
            else:
                getattr(message, name)[key] = draw(_scalars(value_field))
    elif field.is_repeated:
        count = draw(st.integers(0, 4))
        for _ in range(count):
            if field.message_type is not None:
                getattr(message, name).append(draw(messages(field.message_type, depth - 1)))
            else:
                getattr(message, name).append(draw(_scalars(field)))
    elif field.message_type is not None:
        getattr(message, name).CopyFrom(draw(messages(field.message_type, depth - 1)))
    else:
        setattr(message, name, draw(_scalars(field)))


@st.composite
def messages(draw: st.DrawFn, descriptor: Descriptor, depth: int = 3) -> Any:
    """A message with any subset of its fields set, nested at most `depth` deep."""
    message: Any = GetMessageClass(descriptor)()
    if descriptor.full_name == "google.protobuf.Duration":
        # Whole microseconds: the oracle drops nanoseconds.
        message.FromMicroseconds(
            draw(st.one_of(st.integers(-3, 70).map(lambda n: n * 10**6), st.integers(0, 10**6)))
        )
        return message
    if descriptor.full_name == "google.protobuf.Timestamp":
        message.FromSeconds(draw(st.sampled_from([0, 1577836799, 1577836800, 4102444800])))
        return message
    for field in descriptor.fields:
        if (field.message_type is None or depth > 0) and draw(st.integers(0, 3)):
            _set_values(draw, message, field, depth)
    return message
