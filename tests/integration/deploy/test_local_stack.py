"""The supervisor with real servers."""

import signal
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without __all__
    AdminClient,
    NewTopic,
)
from redis import Redis

from deploy.local.processes import is_alive, load_record, members
from tests.support.stack import local_stack

pytestmark = pytest.mark.integration


def test_kafka_and_redis_survive_a_kill_and_go_down_without_leaving_a_process(tmp_path: Path) -> None:
    with local_stack(tmp_path, parts=("kafka", "redis")) as stack:
        admin = AdminClient({"bootstrap.servers": stack.kafka_bootstrap})
        admin.create_topics([NewTopic("t", 1, 1)])["t"].result(30)
        producer = Producer({"bootstrap.servers": stack.kafka_bootstrap})
        producer.produce("t", b"kept")
        assert producer.flush(30) == 0
        Redis.from_url(stack.redis_url).set("k", "kept")

        for name in ("kafka", "redis"):
            killed = stack.pid(name)
            stack.kill(name, signal.SIGKILL)
            assert {row.name: row.state for row in stack.status()}[name] == "dead"
            stack.start(name)
            assert stack.pid(name) != killed

        consumer = Consumer({"bootstrap.servers": stack.kafka_bootstrap, "group.id": "g"})
        consumer.assign([TopicPartition("t", 0, 0)])
        message = consumer.poll(30)
        consumer.close()
        assert message is not None and message.value() == b"kept"
        assert Redis.from_url(stack.redis_url).get("k") == b"kept"
        assert all(row.state == "healthy" for row in stack.status())
        records = [load_record(tmp_path / "run", name) for name in ("kafka", "redis")]

    assert all(record is not None and not is_alive(record) and not members(record) for record in records)
    assert not list((tmp_path / "run").glob("*.json"))
