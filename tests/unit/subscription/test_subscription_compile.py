"""From a subscription to a JobSpec: what is refused and why, and that the same input gives the same bytes."""

import json
import uuid
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.codec.guid import guid
from services.subscription.compile import compile_spec, spec_digest
from services.subscription.model import CannotCompile, Surroundings
from services.subscription.sink import is_managed, output_subject
from sluice.dataplane.v1 import job_spec_pb2
from sluice.subscription.v1 import subscription_pb2
from tests.support.jobs import EVENT_SCHEMA
from tests.unit.subscription.fake_world import GUID, place
from tests.unit.subscription.subscriptions import AVRO, DEFAULTS, HERE, JSON, NAME, compiled, wish


def refused(
    subscription: subscription_pb2.Subscription, here: Surroundings = HERE
) -> list[tuple[str, str, str]]:
    with pytest.raises(CannotCompile) as error:
        compiled(subscription, here)
    return [(problem.field, problem.reason, problem.description) for problem in error.value.problems]


def before_1970() -> job_spec_pb2.StartPosition:
    start = job_spec_pb2.StartPosition()
    start.timestamp.seconds = -1
    return start


SQL, TOPIC = "subscription.sql", "subscription.sink.kafka_topic.topic"
CLUSTER = "subscription.sink.kafka_topic.cluster"


@pytest.mark.parametrize(
    ("subscription", "field", "reason", "words"),
    [
        (wish("SELECT numbr FROM events"), SQL, "SQL_UNKNOWN_COLUMN", "line 1, column 8"),
        (wish("SELECT numbr FROM events"), SQL, "SQL_UNKNOWN_COLUMN", "number"),
        (wish("SELECT\n  nope\nFROM events"), SQL, "SQL_UNKNOWN_COLUMN", "line 2, column 3"),
        (wish("SELECT FROM WHERE"), SQL, "SQL_SYNTAX", "line 1"),
        (wish("DROP TABLE events"), SQL, "SQL_NOT_A_SELECT", "line 1"),
        (wish("SELECT 1 AS a; SELECT 2 AS b"), SQL, "SQL_MULTIPLE_STATEMENTS", "line 1"),
        (wish("SELECT number FROM other"), SQL, "SQL_UNKNOWN_TABLE", "other"),
        (wish("SELECT nosuch(number) AS x FROM events"), SQL, "SQL_UNKNOWN_FUNCTION", "nosuch"),
        (wish("SELECT count(number) AS n FROM events"), SQL, "SQL_NOT_ROW_WISE", "line 1"),
        (wish("SELECT now() AS n FROM events"), SQL, "SQL_VOLATILE_FUNCTION", "now"),
        (wish("SELECT number, number FROM events"), SQL, "SQL_DUPLICATE_NAME", "number"),
        (wish("SELECT number FROM events WHERE number + action > 1"), SQL, "SQL_TYPE_ERROR", "line 1"),
        (wish(topic="out", cluster="clusters/other"), CLUSTER, "SINK_ON_OTHER_CLUSTER", "clusters/main"),
        (wish(topic="sluice.out.globex.x"), TOPIC, "RESERVED_TOPIC", "sluice."),
        (wish(topic="__consumer_offsets"), TOPIC, "RESERVED_TOPIC", "__"),
        (wish(topic=".."), TOPIC, "INVALID_TOPIC", "'..'"),
        (wish(topic="events"), TOPIC, "SINK_IS_INPUT", "its own rows"),
        (
            wish(start=before_1970()),
            "subscription.start_position.timestamp",
            "INVALID_START_POSITION",
            "earliest",
        ),
    ],
)
def test_what_cannot_run_is_refused_with_field_reason_and_words(
    subscription: subscription_pb2.Subscription, field: str, reason: str, words: str
) -> None:
    [found] = refused(subscription)
    assert found[:2] == (field, reason)
    assert words in found[2]


def test_every_problem_is_told_at_once() -> None:
    found = refused(wish("SELECT a1, b1 FROM events", topic="sluice.x", cluster="clusters/other"))
    assert [(field, reason) for field, reason, _ in found] == [
        (CLUSTER, "SINK_ON_OTHER_CLUSTER"),
        (TOPIC, "RESERVED_TOPIC"),
        (SQL, "SQL_UNKNOWN_COLUMN"),
        (SQL, "SQL_UNKNOWN_COLUMN"),
    ]


def test_topics_on_two_clusters_are_refused() -> None:
    here = Surroundings((place("a"), place("b", "clusters/east", "east:9092")), EVENT_SCHEMA, GUID)
    [(field, reason, text)] = refused(wish(), here)
    assert (field, reason) == ("subscription.dataset", "SEVERAL_CLUSTERS")
    assert "clusters/east at east:9092" in text


def surroundings_with(type_: Any) -> Surroundings:
    fields = [{"name": "ok", "type": "long"}, {"name": "odd", "type": type_}]
    return Surroundings(
        (place("events"),), json.dumps({"type": "record", "name": "Event", "fields": fields}), GUID
    )


RECURSIVE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        ("null", "odd: null is supported only in a union"),
        (["long", "string"], "odd: a union is supported only of null and one other type"),
        (["null", "long", "string"], "odd: a union is supported only of null and one other type"),
        (["null"], "odd: a union is supported only"),
        (RECURSIVE, "odd.next: record Node contains itself"),
        ({"type": "array", "items": "null"}, "odd: items without any bytes"),
        ({"type": "array", "items": ["int", "long"]}, "odd[]: a union is supported only"),
        ({"type": "map", "values": ["int", "long"]}, "odd{}: a union is supported only"),
        (
            {"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"},
            "odd: the logical type duration",
        ),
        ({"type": "bytes", "logicalType": "big-decimal"}, "odd: the logical type big-decimal"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 80}, "at most 76"),
        ({"type": "int", "logicalType": "timestamp-millis"}, "annotates long, not int"),
    ],
)
def test_avro_types_out_of_scope_are_refused_by_their_path(type_: Any, words: str) -> None:
    [(field, reason, text)] = refused(wish("SELECT ok FROM events"), surroundings_with(type_))
    assert (field, reason) == ("subscription.dataset", "UNSUPPORTED_SCHEMA")
    assert words in text


def test_a_schema_with_many_unsupported_fields_names_some_and_counts_the_rest() -> None:
    fields = [{"name": f"f{number}", "type": "null"} for number in range(9)]
    schema = json.dumps({"type": "record", "name": "Event", "fields": fields})
    [(_, _, text)] = refused(wish("SELECT 1 AS one FROM events"), Surroundings(HERE.topics, schema, GUID))
    assert "f4: null" in text and text.endswith("and 4 more") and "f5" not in text


@pytest.mark.parametrize(
    "type_",
    [
        *("boolean", "int", "long", "float", "double", "bytes", "string", ["null", "long"]),
        {"type": "int", "logicalType": "date"},
        {"type": "long", "logicalType": "timestamp-micros"},
        {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2},
        {"type": "fixed", "name": "F", "size": 4},
        {"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]},
        {"type": "array", "items": "string"},
        {"type": "map", "values": "long"},
        {"type": "record", "name": "Inner", "fields": [{"name": "a", "type": "string"}]},
    ],
    ids=str,
)
def test_every_avro_type_in_scope_goes_through_to_a_schema_that_others_read(type_: Any) -> None:
    spec = compiled(wish("SELECT odd FROM events"), surroundings_with(type_))
    assert list(spec.source.referenced_fields) == ["odd"]
    assert [field["name"] for field in json.loads(spec.source.reader_schema)["fields"]] == ["odd"]
    fastavro.parse_schema(json.loads(spec.outputs[0].schema))


def test_a_spec_says_all_that_a_job_needs() -> None:
    here = Surroundings((place("events.b"), place("events.a")), EVENT_SCHEMA, GUID)
    spec = compiled(wish("SELECT number AS n, _offset FROM events"), here)
    assert (spec.tenant, spec.source.dataset, spec.source.schema_guid) == (
        "tenants/acme",
        "datasets/firewall",
        GUID,
    )
    assert [topic.topic for topic in spec.source.topics] == ["events.a", "events.b"]
    assert list(spec.source.referenced_fields) == ["number"]
    assert list(spec.source.pseudo_columns) == ["_offset"]
    assert spec.source.start_position.HasField("earliest")
    [output] = spec.outputs
    assert (output.subscription, output.sink.topic) == (NAME, "sluice.out.acme.blocked")
    assert uuid.UUID(output.schema_guid) == uuid.UUID(str(guid(output.schema)))
    assert json.loads(output.schema)["namespace"] == "sluice.acme.blocked"
    assert spec.dead_letters.topic == "sluice.dead-letters.acme"
    assert spec.dead_letters.bootstrap_servers == output.sink.bootstrap_servers == "kafka:9092"
    assert is_managed(spec) and output_subject(spec) == "sluice.out.acme.blocked-value"


def test_json_has_a_schema_to_show_and_no_guid_to_write() -> None:
    spec = compiled(wish(output_format=JSON, topic="mine"))
    assert json.loads(spec.outputs[0].schema)["name"] == "Row"
    assert (spec.outputs[0].schema_guid, output_subject(spec), is_managed(spec)) == ("", "", False)


def test_two_tenants_with_like_names_have_schemas_of_different_names() -> None:
    one = compiled(wish(name="tenants/a-b/subscriptions/c"))
    other = compiled(wish(name="tenants/a/subscriptions/b-c"))
    assert one.outputs[0].schema_guid != other.outputs[0].schema_guid


@settings(max_examples=40, deadline=None)
@given(
    topics=st.lists(st.sampled_from([f"events.{letter}" for letter in "abcdef"]), min_size=1, max_size=8),
    random=st.randoms(use_true_random=False),
    output_only=st.builds(
        subscription_pb2.Subscription,
        uid=st.text(max_size=5),
        etag=st.text(max_size=5),
        description=st.text(max_size=20),
        job=st.text(max_size=5),
        generation=st.integers(0, 9),
        paused=st.booleans(),
        referenced_fields=st.lists(st.text(max_size=3), max_size=3),
    ),
)
def test_what_does_not_matter_does_not_change_the_bytes(
    topics: list[str], random: Any, output_only: subscription_pb2.Subscription
) -> None:
    plain = wish(name=NAME, output_format=AVRO)
    adorned = subscription_pb2.Subscription()
    adorned.CopyFrom(output_only)
    adorned.MergeFrom(plain)
    unique = sorted(set(topics))
    random.shuffle(topics)
    first = compile_spec(plain, Surroundings(tuple(map(place, unique)), EVENT_SCHEMA, GUID), DEFAULTS)
    again = compile_spec(adorned, Surroundings(tuple(map(place, topics)), EVENT_SCHEMA, GUID), DEFAULTS)
    assert first.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    assert spec_digest(first) == spec_digest(again)


@pytest.mark.parametrize(
    "other",
    [
        wish("SELECT number FROM events"),
        wish(output_format=JSON),
        wish(topic="mine"),
        wish(start=job_spec_pb2.StartPosition(latest=job_spec_pb2.StartPosition.Latest())),
    ],
)
def test_what_matters_changes_the_digest(other: subscription_pb2.Subscription) -> None:
    assert spec_digest(compiled(other)) != spec_digest(compiled(wish()))
