"""One shard against a real Kafka: what it reads, commits and claims."""

import json
import threading
import time
from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from deploy.local import LocalStack
from libs.dataplane.batches import ShardIdentity
from tests.support.jobs import EVENT_SCHEMA, create_topics, job_spec, produce_events, read_topic
from tests.support.shard import lookup_of, new_session, run_shard

pytestmark = pytest.mark.integration


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        time.sleep(0.1)


def test_every_event_arrives_once_with_its_offset(kafka: LocalStack) -> None:
    bootstrap = kafka.kafka_bootstrap
    create_topics(bootstrap, {"once-in": 4, "once-out": 4, "dead": 1})
    produce_events(Producer({"bootstrap.servers": bootstrap}), "once-in", range(5000), 4)
    spec = job_spec(bootstrap, topics=["once-in"], sink="once-out")
    session = new_session(ShardIdentity("jobs/once", 1, 0), spec, lookup_of(EVENT_SCHEMA))
    done = threading.Event()
    thread = threading.Thread(target=run_shard, args=(session, spec, lambda: not done.is_set()))
    thread.start()
    try:
        eventually(lambda: session.counters.events_out == 5000)
    finally:
        done.set()
        thread.join()
    rows = [json.loads(message.value()) for message in read_topic(bootstrap, "once-out")]
    assert sorted(row["number"] for row in rows) == list(range(5000))
    assert len({(row["p"], row["o"]) for row in rows}) == 5000
