"""AIP-134 semantics on a resource with output-only, immutable and identifier fields."""

from types import ModuleType
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from libs.service_kit.errors import InvalidArgument
from libs.service_kit.update_mask import apply_update_mask


@pytest.fixture
def current(kit_test: ModuleType) -> Any:
    return kit_test.Thing(
        name="tenants/acme/things/x",
        dataset="datasets/traffic",
        payload=kit_test.Payload(
            sql="select 1", format=1, effective_parallelism=4, engine="ARROW", comment="old"
        ),
        labels={"a": "1"},
        etag="e1",
        generation=7,
        status=kit_test.Status(text="running"),
        tags=["t1", "t2"],
        topic="out",
        note="present",
    )


def update(current: Any, given: Any, *paths: str) -> Any:
    before = (current.SerializeToString(deterministic=True), given.SerializeToString(deterministic=True))
    merged = apply_update_mask(current, given, FieldMask(paths=paths), field="thing")
    assert before == (
        current.SerializeToString(deterministic=True),
        given.SerializeToString(deterministic=True),
    )
    return merged


def refusal(current: Any, given: Any, *paths: str) -> tuple[str, str]:
    with pytest.raises(InvalidArgument) as raised:
        update(current, given, *paths)
    violation = raised.value.violations[0]
    return violation.field, violation.reason


def test_a_named_field_is_taken_over_and_nothing_else(kit_test: ModuleType, current: Any) -> None:
    merged = update(current, kit_test.Thing(tags=["new"], note="other"), "tags")
    assert (list(merged.tags), merged.note) == (["new"], "present")


def test_a_nested_path_changes_that_field_only(kit_test: ModuleType, current: Any) -> None:
    given = kit_test.Thing(payload=kit_test.Payload(sql="select 2", comment="ignored"))
    merged = update(current, given, "payload.sql")
    assert (merged.payload.sql, merged.payload.comment, merged.payload.format) == ("select 2", "old", 1)


def test_a_named_field_that_is_not_given_is_cleared(kit_test: ModuleType, current: Any) -> None:
    merged = update(current, kit_test.Thing(), "tags", "note", "labels", "topic", "payload.comment")
    assert not merged.tags
    assert not merged.labels
    assert not merged.HasField("note")
    assert merged.WhichOneof("sink") is None
    assert (merged.payload.comment, merged.payload.sql) == ("", "select 1")


def test_a_named_message_is_replaced_but_keeps_what_the_server_set(
    kit_test: ModuleType, current: Any
) -> None:
    given = kit_test.Thing(payload=kit_test.Payload(sql="select 2", format=2, effective_parallelism=99))
    payload = update(current, given, "payload").payload
    assert (payload.sql, payload.format, payload.comment) == ("select 2", 2, "")
    assert (payload.effective_parallelism, payload.engine) == (4, "ARROW")


def test_without_a_mask_the_given_fields_are_taken_over(kit_test: ModuleType, current: Any) -> None:
    given = kit_test.Thing(
        payload=kit_test.Payload(sql="select 2"), labels={"b": "2"}, generation=1, etag="e1"
    )
    merged = update(current, given)
    assert (merged.payload.sql, merged.payload.comment, dict(merged.labels)) == (
        "select 2",
        "old",
        {"b": "2"},
    )
    assert (merged.generation, list(merged.tags)) == (7, ["t1", "t2"])


def test_a_star_replaces_all_but_what_the_client_may_not_change(kit_test: ModuleType, current: Any) -> None:
    given = kit_test.Thing(
        payload=kit_test.Payload(sql="select 2", format=2), managed=kit_test.Managed(partitions=3)
    )
    merged = update(current, given, "*")
    assert (merged.name, merged.dataset, merged.generation, merged.status.text) == (
        "tenants/acme/things/x",
        "datasets/traffic",
        7,
        "running",
    )
    assert merged.managed.partitions == 3
    assert not merged.tags
    assert not merged.HasField("note")
    assert merged.etag == "e1"


def test_another_member_of_a_oneof_takes_the_place_of_the_first(kit_test: ModuleType, current: Any) -> None:
    merged = update(current, kit_test.Thing(managed=kit_test.Managed(partitions=3)), "managed")
    assert merged.WhichOneof("sink") == "managed"


@pytest.mark.parametrize(
    "path", ["nothing", "payload.nothing", "tags.x", "labels.a", "", "note.x", "payload..sql"]
)
def test_an_unknown_path_is_refused(kit_test: ModuleType, current: Any, path: str) -> None:
    given = kit_test.Thing(payload=kit_test.Payload(sql="x"))
    assert refusal(current, given, path) == ("update_mask", "UNKNOWN_FIELD")


@pytest.mark.parametrize("path", ["generation", "status", "status.text", "payload.effective_parallelism"])
def test_naming_a_field_of_the_server_is_refused(kit_test: ModuleType, current: Any, path: str) -> None:
    assert refusal(current, kit_test.Thing(), path) == ("update_mask", "OUTPUT_ONLY_FIELD")


@pytest.mark.parametrize("paths", [("dataset",), (), ("*",)])
def test_changing_an_immutable_field_is_refused(
    kit_test: ModuleType, current: Any, paths: tuple[str, ...]
) -> None:
    assert refusal(current, kit_test.Thing(dataset="datasets/other"), *paths) == (
        "thing.dataset",
        "IMMUTABLE_FIELD",
    )


def test_changing_a_nested_immutable_field_is_refused(kit_test: ModuleType, current: Any) -> None:
    given = kit_test.Thing(payload=kit_test.Payload(sql="x", format=1, engine="CALCITE"))
    assert refusal(current, given, "payload") == ("thing.payload.engine", "IMMUTABLE_FIELD")
    assert refusal(current, given, "payload.engine") == ("thing.payload.engine", "IMMUTABLE_FIELD")


def test_an_immutable_field_may_be_given_as_it_is(kit_test: ModuleType, current: Any) -> None:
    given = kit_test.Thing(name="tenants/acme/things/x", dataset="datasets/traffic", note="new")
    assert update(current, given, "name", "dataset", "note").note == "new"


def test_a_star_is_alone(kit_test: ModuleType, current: Any) -> None:
    assert refusal(current, kit_test.Thing(), "*", "note") == ("update_mask", "INVALID_UPDATE_MASK")


def test_the_result_is_validated_as_a_whole(kit_test: ModuleType, current: Any) -> None:
    given = kit_test.Thing(payload=kit_test.Payload(sql=""))
    assert refusal(current, given, "payload.sql") == ("thing.payload.sql", "STRING_MIN_LEN")
