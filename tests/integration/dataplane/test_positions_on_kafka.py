"""Where a shard begins, goes on, and refuses to guess, on a real Kafka."""

import json
import time
from collections.abc import Mapping

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

from deploy.local import LocalStack
from libs.dataplane.naming import CONTROL_TOPIC, consumer_group, control_partition
from libs.dataplane.positions import Committed, PartitionKey, parse_metadata
from sluice.dataplane.v1 import control_pb2, job_spec_pb2, report_pb2
from tests.support.jobs import (
    EVENT_SCHEMA,
    create_topics,
    encode_event,
    job_spec,
    produce_events,
    read_topic,
    schema_header,
)
from tests.support.shard import RunningShard, lookup_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

RUNNING = report_pb2.SHARD_PHASE_RUNNING
LATEST = job_spec_pb2.StartPosition(latest=job_spec_pb2.StartPosition.Latest())


class World:
    """Topics `<name>-in` and `<name>-out` and the shards of `jobs/<name>`."""

    def __init__(self, kafka: LocalStack, name: str, partitions: int = 2, **spec: object) -> None:
        self.bootstrap, self.name, self.job = kafka.kafka_bootstrap, name, f"jobs/{name}"
        self.source, self.sink = f"{name}-in", f"{name}-out"
        self.partitions = partitions
        create_topics(self.bootstrap, {self.source: partitions, self.sink: 1, "dead": 1})
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap})
        self.producer = Producer({"bootstrap.servers": self.bootstrap})
        self.spec = job_spec(self.bootstrap, topics=[self.source], sink=self.sink, **spec)  # type: ignore[arg-type]

    def shard(self, **options: object) -> RunningShard:
        return RunningShard(self.job, self.spec, lookup_of(EVENT_SCHEMA), **options)  # type: ignore[arg-type]

    def produce(self, numbers: range, partitions: int | None = None) -> None:
        produce_events(self.producer, self.source, numbers, partitions or self.partitions)

    def numbers(self) -> list[int]:
        return [
            json.loads(message.value() or b"")["number"] for message in read_topic(self.bootstrap, self.sink)
        ]

    def committed(self) -> Mapping[PartitionKey, Committed]:
        group = consumer_group(self.job)
        (future,) = self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
        return {
            PartitionKey(tp.topic, tp.partition): parse_metadata(tp.offset, tp.metadata)
            for tp in future.result(10).topic_partitions
        }

    def say(self, record: control_pb2.ControlRecord) -> None:
        """As the deployer."""
        count = len(self.producer.list_topics(CONTROL_TOPIC, 10).topics[CONTROL_TOPIC].partitions)
        partition = control_partition(self.job, count)
        self.producer.produce(CONTROL_TOPIC, record.SerializeToString(), self.job, partition=partition)
        self.producer.flush(10)

    def say_known(self, incarnation: int, reports: list[report_pb2.ShardReport]) -> None:
        known = reports[-1].known_topics
        self.say(control_pb2.ControlRecord(job=self.job, incarnation=incarnation, known_topics=known))

    def recreate_input(self, numbers: range) -> None:
        (deleted,) = self.admin.delete_topics([self.source]).values()
        deleted.result(30)
        eventually(
            lambda: self.source not in self.admin.list_topics(timeout=10).topics, 30, "the topic is gone"
        )
        create_topics(self.bootstrap, {self.source: self.partitions})
        self.produce(numbers)


def test_latest_is_resolved_once_and_survives_an_end_before_the_first_row(kafka: LocalStack) -> None:
    world = World(kafka, "latest", start=LATEST)
    world.produce(range(10))
    with world.shard() as first:
        first.wait_for_phase(RUNNING)
    world.produce(range(10, 20))
    with world.shard() as second:
        second.wait_for_rows(10)
    assert sorted(world.numbers()) == list(range(10, 20))
    assert {found.attempt for found in world.committed().values()} == {2}


def test_timestamp_starts_at_the_first_record_at_or_after_it_in_each_partition(kafka: LocalStack) -> None:
    start = job_spec_pb2.StartPosition()
    start.timestamp.FromMilliseconds(1_700_000_005_000)
    world = World(kafka, "since", partitions=3, start=start)
    for number in range(10):
        value = encode_event({"number": number, "action": "allow", "note": None})
        world.producer.produce(
            world.source,
            value,
            partition=number % 2,
            timestamp=1_700_000_000_000 + number * 1000,
            headers=[schema_header()],
        )
    world.producer.flush(10)
    with world.shard() as shard:
        shard.wait_for_rows(5)
        world.produce(range(100, 103))
        shard.wait_for_rows(8)
    assert sorted(world.numbers()) == [5, 6, 7, 8, 9, 100, 101, 102]


def test_a_shard_that_starts_late_finds_its_start_position_resolved(kafka: LocalStack) -> None:
    world = World(kafka, "late", partitions=8, start=LATEST, shards=2)
    world.produce(range(8))
    with world.shard(shard=1) as second:
        eventually(lambda: bool(second.reports.all), 30, "it reports")
        assert not world.committed(), "only shard 0 resolves the start"
        with world.shard(shard=0) as first:
            first.wait_for_phase(RUNNING)
            second.wait_for_phase(RUNNING)
            world.produce(range(8, 48))
            eventually(
                lambda: first.session.counters.events_out + second.session.counters.events_out >= 40,
                30,
                "rows",
            )
            assert first.session.counters.events_out > 0 < second.session.counters.events_out
    assert sorted(world.numbers()) == list(range(8, 48))


def test_the_first_records_of_a_new_partition_arrive(kafka: LocalStack) -> None:
    world = World(kafka, "grow", start=LATEST)
    with world.shard(discovery_interval_s=2.0) as shard:
        shard.wait_for_phase(RUNNING)
        (grown,) = world.admin.create_partitions([NewPartitions(world.source, 4)]).values()
        grown.result(30)
        eventually(
            lambda: len(world.admin.list_topics(world.source, 10).topics[world.source].partitions) == 4
        )
        writer = Producer({"bootstrap.servers": world.bootstrap})
        produce_events(writer, world.source, range(40), 4)
        shard.wait_for_rows(40)
        eventually(lambda: shard.reports.last.partitions == 4, 10, "it reports four partitions")
        assert shard.reports.last.known_topics[0].partitions == 4
    assert sorted(world.numbers()) == list(range(40))


def test_lost_offsets_stop_the_job_until_an_operator_sets_them(kafka: LocalStack) -> None:
    world = World(kafka, "lost")
    world.produce(range(10))
    with world.shard() as first:
        first.wait_for_rows(10)
        eventually(lambda: bool(first.reports.last.known_topics), 10, "it tells what is known")
        world.say_known(2, first.reports.all)
    (gone,) = world.admin.delete_consumer_groups([consumer_group(world.job)]).values()
    gone.result(30)
    world.produce(range(10, 20))
    with world.shard(incarnation=2) as second:
        second.wait_for_error("OFFSETS_LOST")
        assert "lost-in[0], lost-in[1]" in second.reports.last.error.message
        assert second.session.counters.events_in == 0
        positions = [TopicPartition(world.source, partition, 5) for partition in range(2)]
        wanted = ConsumerGroupTopicPartitions(consumer_group(world.job), positions)
        (altered,) = world.admin.alter_consumer_group_offsets([wanted]).values()
        altered.result(30)
        second.wait_for_rows(10)
    assert sorted(world.numbers()) == list(range(20))


@pytest.mark.parametrize("running", [True, False])
def test_a_topic_deleted_and_created_again_is_read_from_its_start(kafka: LocalStack, running: bool) -> None:
    world = World(kafka, f"anew-{running}".lower())
    world.produce(range(20))
    with world.shard(discovery_interval_s=1.0) as first:
        first.wait_for_rows(20)
        world.say_known(1, first.reports.all)
        if not running:
            first.leave()
        world.recreate_input(range(100, 110))
        if running:
            first.wait_for_rows(30, 60)
    if not running:
        with world.shard() as second:
            second.wait_for_rows(10)
    assert sorted(world.numbers()) == [*range(20), *range(100, 110)]


def test_records_lost_to_retention_are_counted_and_the_rest_is_read(kafka: LocalStack) -> None:
    world = World(kafka, "retained", partitions=1)
    world.produce(range(10))
    with world.shard() as first:
        first.wait_for_rows(10)
    world.produce(range(10, 30))
    (removed,) = world.admin.delete_records([TopicPartition(world.source, 0, 25)]).values()
    removed.result(30)
    with world.shard() as second:
        second.wait_for_rows(5)
        assert second.session.counters.records_lost == 15
        assert any(report.error.reason == "RECORDS_LOST" for report in second.reports.all)
    assert sorted(world.numbers()) == [*range(10), *range(25, 30)]


def test_aborted_records_and_markers_are_passed_over_and_the_lag_ends_at_zero(kafka: LocalStack) -> None:
    world = World(kafka, "markers", partitions=1)
    upstream = Producer({"bootstrap.servers": world.bootstrap, "transactional.id": "markers-upstream"})
    upstream.init_transactions(10)
    for turn in range(4):
        upstream.begin_transaction()
        produce_events(upstream, world.source, range(turn * 10, turn * 10 + 10), 1)
        if turn % 2:
            upstream.abort_transaction(10)
        else:
            upstream.commit_transaction(10)
    with world.shard() as shard:
        shard.wait_for_rows(20)
        key = PartitionKey(world.source, 0)
        eventually(lambda: world.committed()[key].offset == 44, 20, "the position is past the last marker")
        eventually(lambda: shard.reports.last.lag == 0 and shard.reports.last.events_out == 20, 10, "no lag")
    assert sorted(world.numbers()) == [*range(10), *range(20, 30)]


def test_what_is_open_when_a_shard_is_closed_is_aborted_at_once(kafka: LocalStack) -> None:
    limits = {"commit_interval_min_ms": 10_000, "commit_interval_max_ms": 10_000}
    world = World(kafka, "close", partitions=1, limits=limits)
    world.produce(range(10))
    with world.shard() as first:
        eventually(lambda: first.session.counters.events_in == 10, 30, "rows are in the open transaction")
    began = time.monotonic()
    assert world.numbers() == []
    with world.shard() as second:
        second.wait_for_phase(RUNNING, 5)
        assert time.monotonic() - began < 8, "the transaction timeout is 10 s"
        second.wait_for_rows(10)
    assert world.numbers() == list(range(10))


def test_the_later_of_two_starts_of_a_shard_goes_on_and_the_earlier_ends_silently(kafka: LocalStack) -> None:
    world = World(kafka, "twice")
    with world.shard() as first:
        first.wait_for_phase(RUNNING)
        with world.shard() as second:
            second.wait_for_phase(RUNNING)
            world.produce(range(20))
            second.wait_for_rows(20)
            eventually(lambda: first.has_ended, 30, "the earlier start ends")
            world.produce(range(20, 40))
            second.wait_for_rows(40)
            assert first.reports.last.phase == report_pb2.SHARD_PHASE_CLAIMING
    assert sorted(world.numbers()) == list(range(40))


def test_a_stop_commits_everything_and_is_reported(kafka: LocalStack) -> None:
    limits = {"commit_interval_min_ms": 10_000, "commit_interval_max_ms": 10_000}
    world = World(kafka, "stop", partitions=1, limits=limits)
    world.produce(range(10))
    with world.shard() as shard:
        eventually(lambda: shard.session.counters.events_in == 10, 30, "rows are in the open transaction")
        world.say(control_pb2.ControlRecord(job=world.job, incarnation=1, stop=True))
        eventually(lambda: shard.has_ended, 10, "it ends")
        assert shard.reports.last.phase == report_pb2.SHARD_PHASE_STOPPED
        assert shard.reports.last.events_out == 10
    assert world.numbers() == list(range(10))


def test_a_newer_incarnations_record_ends_the_shard(kafka: LocalStack) -> None:
    world = World(kafka, "newer")
    with world.shard() as shard:
        shard.wait_for_phase(RUNNING)
        world.say(control_pb2.ControlRecord(job=world.job, incarnation=2))
        eventually(lambda: shard.has_ended, 10, "it ends")
        assert shard.reports.last.phase == report_pb2.SHARD_PHASE_SUPERSEDED
