"""One shard against a real Kafka: every event once, with its place."""

import json
import threading

import pytest
from confluent_kafka import Producer

from deploy.local import LocalStack
from libs.dataplane.batches import MessageBatch, OutputBatch, ShardIdentity, StaleBatchError
from libs.dataplane.session import ShardSession
from libs.dataplane.sessions import close_session, find_session, open_session
from tests.support.jobs import EVENT_SCHEMA, create_topics, job_spec, produce_events, read_topic
from tests.support.shard import RunningShard, lookup_of
from tests.support.waiting import eventually

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


def test_a_shard_that_is_started_again_in_its_process_replaces_the_one_that_runs_there(
    kafka: LocalStack,
) -> None:
    create_topics(kafka.kafka_bootstrap, {"again-in": 1, "again-out": 1, "dead": 1})
    spec = job_spec(kafka.kafka_bootstrap, topics=["again-in"], sink="again-out")
    identity = ShardIdentity("jobs/again", 1, 0)

    def run(session: ShardSession) -> None:
        for _ in session.batches():
            pass
        close_session(session)

    first = open_session(identity, spec)
    thread = threading.Thread(target=run, args=(first,), daemon=True)
    thread.start()
    second = open_session(identity, spec)
    try:
        thread.join(10)
        assert not thread.is_alive(), "the first ends"
        assert find_session(identity) is second is not first
        of_the_first = OutputBatch(MessageBatch(identity, "the first", [], [], []), [], [])
        with pytest.raises(StaleBatchError):
            second.write(of_the_first)
    finally:
        close_session(second)
    eventually(
        lambda: not any(thread.name.startswith("writer-schemas") for thread in threading.enumerate()),
        20,
        "no look-up thread is left",
    )
