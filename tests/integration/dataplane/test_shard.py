"""One shard against a real Kafka: every event once, with its place."""

import json

import pytest
from confluent_kafka import Producer

from deploy.local import LocalStack
from tests.support.jobs import EVENT_SCHEMA, create_topics, job_spec, produce_events, read_topic
from tests.support.shard import RunningShard, lookup_of

pytestmark = pytest.mark.integration


def test_every_event_arrives_once_with_its_offset(kafka: LocalStack) -> None:
    bootstrap = kafka.kafka_bootstrap
    create_topics(bootstrap, {"once-in": 4, "once-out": 4, "dead": 1})
    produce_events(Producer({"bootstrap.servers": bootstrap}), "once-in", range(5000), 4)
    spec = job_spec(bootstrap, topics=["once-in"], sink="once-out")
    with RunningShard("jobs/once", spec, lookup_of(EVENT_SCHEMA)) as shard:
        shard.wait_for_rows(5000)
    rows = [json.loads(message.value() or b"") for message in read_topic(bootstrap, "once-out")]
    assert sorted(row["number"] for row in rows) == list(range(5000))
    assert len({(row["p"], row["o"]) for row in rows}) == 5000
