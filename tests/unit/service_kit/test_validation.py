"""Our evaluator against protovalidate, the oracle, and what is ours alone: words, bounds, refusals."""

import time
from types import ModuleType
from typing import Any

import protovalidate
import pytest
from buf.validate import validate_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.service_kit.errors import InvalidArgument
from libs.service_kit.validation import MAX_DEPTH, MAX_VIOLATIONS, UnsupportedRule, Validator, validate
from tests.unit.service_kit.message_strategies import messages

_oracle = protovalidate.Validator()  # type: ignore[no-untyped-call]  # no types of its own


def oracle_paths(message: Any) -> set[str]:
    return {_path(violation.proto.field) for violation in _oracle.collect_violations(message)}


def _path(field: validate_pb2.FieldPath) -> str:
    parts = []
    for element in field.elements:
        subscript = element.WhichOneof("subscript")
        text = element.field_name
        if subscript == "string_key":
            escaped = element.string_key.replace("\\", "\\\\").replace('"', '\\"')
            text += '["' + escaped.replace("\n", "\\n").replace("\r", "\\r") + '"]'
        elif subscript is not None:
            text += f"[{str(getattr(element, subscript)).lower()}]"
        parts.append(text)
    return ".".join(parts)


@pytest.mark.parametrize(
    "type_name", ["Strings", "Numbers", "Containers", "Times", "CreateThingRequest", "ListThingsRequest"]
)
def test_verdict_and_paths_are_those_of_protovalidate(kit_test: ModuleType, type_name: str) -> None:
    message_class = getattr(kit_test, type_name)
    validator = Validator()

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
    @given(messages(message_class.DESCRIPTOR))
    def check(message: Any) -> None:
        violations = validator.violations(message)
        if len(violations) < MAX_VIOLATIONS:
            assert {violation.field for violation in violations} == oracle_paths(message)

    check()


@pytest.mark.parametrize("type_name", ["Strings", "Numbers", "Containers", "Times", "CreateThingRequest"])
def test_an_empty_message_is_judged_as_by_protovalidate(kit_test: ModuleType, type_name: str) -> None:
    message = getattr(kit_test, type_name)()
    assert {violation.field for violation in Validator().violations(message)} == oracle_paths(message)


@given(text=st.text(alphabet="ab1-\nZ é", max_size=8))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_patterns_find_what_re2_finds(kit_test: ModuleType, text: str) -> None:
    message = kit_test.Strings(pattern=text, unanchored=text)
    ours = {violation.field for violation in Validator().violations(message)}
    assert ours == oracle_paths(message)


def violation_of(message: Any, field: str) -> Any:
    return next(violation for violation in Validator().violations(message) if violation.field == field)


def test_a_violation_says_the_value_what_is_allowed_and_the_rule(kit_test: ModuleType) -> None:
    violation = violation_of(kit_test.Numbers(range=9), "range")
    assert violation.description == "9 must be >= 1 and <= 3"
    assert violation.reason == "INT32_GTE_LTE"


def test_a_long_value_is_cut_to_100_characters(kit_test: ModuleType) -> None:
    violation = violation_of(kit_test.Strings(min_max="x" * 5000), "min_max")
    assert "x" * 101 not in violation.description
    assert "(5000 characters) must have at most 5 characters" in violation.description


def test_paths_reach_into_messages_items_and_map_values(kit_test: ModuleType) -> None:
    message = kit_test.Containers()
    message.nested.payloads.add(sql="select 1")
    message.by_number[4].sql = ""
    message.labels["UPPER"] = "x"
    fields = {violation.field for violation in Validator().violations(message)}
    assert {"nested.payloads[0].format", "by_number[4].sql", 'labels["UPPER"]'} <= fields


def test_validate_raises_with_the_prefix_before_every_path(kit_test: ModuleType) -> None:
    with pytest.raises(InvalidArgument) as raised:
        validate(kit_test.Payload(format=9), "thing.payload")
    assert [violation.field for violation in raised.value.violations] == [
        "thing.payload.sql",
        "thing.payload.format",
    ]


@pytest.mark.parametrize(
    ("type_name", "words"),
    [
        ("UnknownRule", "UnknownRule.host: rule string.hostname is not supported"),
        ("CustomExpression", "CustomExpression.text: rule cel is not supported"),
        ("MessageRule", "message-level rules are not supported"),
        ("WrongKind", "int32 rules are not supported for this type of field"),
        ("LookAhead", "LookAhead.text"),
        ("Holder", "UnknownRule.host"),
        ("WrappedValue", "string rules are not supported for this type of field"),
    ],
)
def test_a_rule_that_is_not_known_is_refused_each_time(
    kit_test: ModuleType, type_name: str, words: str
) -> None:
    validator = Validator()
    for _ in range(2):
        with pytest.raises(UnsupportedRule, match=words):
            validator.require(getattr(kit_test, type_name).DESCRIPTOR)


def test_nesting_is_bounded(kit_test: ModuleType) -> None:
    message = kit_test.Containers()
    inner = message
    for _ in range(MAX_DEPTH + 5):
        inner.required_payload.sql = "x"
        inner.required_payload.format = 1
        inner.number = 1
        inner.names.append("ab")
        inner.labels["a"] = "b"
        inner.required_list.append("x")
        inner = inner.nested
    reasons = {violation.reason for violation in Validator().violations(message)}
    assert reasons == {"NESTED_TOO_DEEP"}


def test_the_number_of_violations_is_bounded(kit_test: ModuleType) -> None:
    message = kit_test.Containers(names=["x"] * 10_000)
    assert len(Validator().violations(message)) <= MAX_VIOLATIONS + 10


def test_items_of_an_enum_are_held_to_its_values(kit_test: ModuleType) -> None:
    fields = {violation.field for violation in Validator().violations(kit_test.Containers(formats=[1, 0]))}
    assert "formats[1]" in fields
    assert "formats[0]" not in fields


def test_a_timestamp_in_the_future_is_not_in_the_past(kit_test: ModuleType) -> None:
    message = kit_test.Times()
    message.past.FromSeconds(int(time.time()) + 3600)
    assert violation_of(message, "past").reason == "TIMESTAMP_LT_NOW"
