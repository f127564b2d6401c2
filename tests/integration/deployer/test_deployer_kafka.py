"""The deployer's two topics on a real Kafka."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tenacity
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource, ConfigSource

from libs.dataplane.naming import CONTROL_TOPIC, REPORTS_TOPIC, control_partition, transactional_id
from libs.store import utc_now
from services.deployer.adapters.kafka_control import KafkaControlLog
from services.deployer.adapters.kafka_reports import KafkaReports
from services.deployer.model import JobName, JobRecord, ShardPhase, ShardReports, Spec
from services.deployer.ports import ControlUnavailable
from sluice.dataplane.v1 import control_pb2, report_pb2
from tests.support.stack import local_stack

pytestmark = pytest.mark.integration


@pytest.fixture
def control() -> Iterator[KafkaControlLog]:
    log = KafkaControlLog(timeout_seconds=10.0)
    yield log
    log.close()


@pytest.fixture
async def reports() -> AsyncIterator[KafkaReports]:
    reading = KafkaReports(timeout_seconds=5.0)
    yield reading
    await asyncio.to_thread(reading.close)


def newest_word(record: JobRecord) -> control_pb2.ControlRecord:
    """What a shard finds of its job on the job's partition, read from the start."""
    bootstrap = record.spec.control_bootstrap
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "t", "enable.partition.eof": True})
    partitions = consumer.list_topics(CONTROL_TOPIC, timeout=10).topics[CONTROL_TOPIC].partitions
    consumer.assign([TopicPartition(CONTROL_TOPIC, control_partition(record.name, len(partitions)), 0)])
    newest = control_pb2.ControlRecord()
    while True:
        message = consumer.poll(10)
        assert message is not None, "the control topic cannot be read"
        error = message.error()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            break
        if message.key() == record.name.encode():
            newest = control_pb2.ControlRecord.FromString(message.value() or b"")
    consumer.close()
    return newest


async def test_a_shard_reads_the_newest_word_of_the_deployer(
    control: KafkaControlLog, record: JobRecord
) -> None:
    await control.write(record, stop=False, now=utc_now())
    word = await asyncio.to_thread(newest_word, record)
    assert (word.job, word.incarnation, word.stop) == (record.name, 3, False)
    assert list(word.known_topics) == [control_pb2.KnownTopic(topic="in", topic_id="topic-id", partitions=4)]
    await control.write(record, stop=True, now=utc_now())
    assert (await asyncio.to_thread(newest_word, record)).stop
    await control.clear(record)
    assert (await asyncio.to_thread(newest_word, record)) == control_pb2.ControlRecord()


async def config_of(bootstrap: str, topic: str, key: str) -> tuple[str, int]:
    """Value and source of one entry of a topic's configuration."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    (future,) = admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]).values()
    entry = (await asyncio.to_thread(future.result, 10))[key]
    return entry.value, entry.source


async def test_fencing_ends_the_producers_of_every_named_shard_and_of_no_other(
    control: KafkaControlLog, record: JobRecord
) -> None:
    await control.write(record, stop=False, now=utc_now())

    def open_transaction(shard: int) -> Producer:
        producer = Producer(
            {
                "bootstrap.servers": record.spec.control_bootstrap,
                "transactional.id": transactional_id(record.name, shard),
            }
        )
        producer.init_transactions(10)
        producer.begin_transaction()
        producer.produce(REPORTS_TOPIC, b"", key=b"none")
        producer.flush(10)
        return producer

    producers = [await asyncio.to_thread(open_transaction, shard) for shard in range(3)]
    await control.fence(record, 2)
    for producer in producers[:2]:
        with pytest.raises(KafkaException) as caught:
            await asyncio.to_thread(producer.commit_transaction, 10)
        assert caught.value.args[0].code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH)
    await asyncio.to_thread(producers[2].commit_transaction, 10)


async def test_an_unreachable_cluster_is_unavailable_within_the_timeout(record: JobRecord) -> None:
    control = KafkaControlLog(timeout_seconds=1.0)
    away = replace(record, running=Spec.of(b"", 1, "127.0.0.1:1"))
    for call in (control.write(away, stop=True, now=utc_now()), control.clear(away), control.fence(away, 2)):
        async with asyncio.timeout(10):
            with pytest.raises(ControlUnavailable):
                await call
    control.close()


def report(
    record: JobRecord, shard: int, phase: report_pb2.ShardPhase, events: int = 0
) -> report_pb2.ShardReport:
    message = report_pb2.ShardReport(
        job=record.name,
        incarnation=record.incarnation,
        shard=shard,
        worker="w",
        phase=phase,
        events_in=events,
        partitions=2,
    )
    message.time.FromDatetime(utc_now())
    return message


def send(bootstrap: str, *messages: report_pb2.ShardReport) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    for message in messages:
        producer.produce(REPORTS_TOPIC, message.SerializeToString(), message.job)
    producer.produce(REPORTS_TOPIC, b"\xff not a report", b"x")
    assert producer.flush(30) == 0


async def until_phases(reports: KafkaReports, record: JobRecord, *phases: ShardPhase) -> ShardReports:
    async for attempt in tenacity.AsyncRetrying(
        stop=tenacity.stop_after_delay(60), wait=tenacity.wait_fixed(0.1), reraise=True
    ):
        with attempt:
            found = reports.of(record.name, record.spec.control_bootstrap)
            assert found.readable_since is not None
            assert tuple(status.phase for status in found.statuses) == phases
    return found


async def test_reports_are_read_from_a_minute_back_and_followed(
    control: KafkaControlLog, reports: KafkaReports, record: JobRecord
) -> None:
    await control.write(record, stop=False, now=utc_now())
    bootstrap = record.spec.control_bootstrap
    changed: list[str] = []
    reports.on_change(changed.append)
    await asyncio.to_thread(send, bootstrap, report(record, 0, report_pb2.SHARD_PHASE_RUNNING, 5))
    reports.follow(bootstrap)
    await until_phases(reports, record, ShardPhase.RUNNING)
    await asyncio.to_thread(
        send,
        bootstrap,
        report(record, 0, report_pb2.SHARD_PHASE_STOPPED, 9),
        report(record, 1, report_pb2.SHARD_PHASE_CLAIMING, 1),
    )
    await until_phases(reports, record, ShardPhase.STOPPED, ShardPhase.CLAIMING)
    assert record.name in changed
    table = reports.table(bootstrap)
    assert table is not None
    metrics = table.metrics(record.name, record.incarnation, utc_now())
    assert metrics is not None
    assert (metrics.events_in, metrics.live_shards) == (10, 2)


async def test_missing_topics_are_made_and_a_restart_of_kafka_is_noticed_and_survived(
    reports: KafkaReports, record: JobRecord, tmp_path: Path
) -> None:
    with local_stack(tmp_path, parts=("kafka",)) as own:
        spec = Spec.of(b"", 2, own.kafka_bootstrap)
        job = replace(record, spec=spec, running=spec, name=JobName(f"jobs/j-{uuid.uuid4().hex[:8]}"))
        log = KafkaControlLog(timeout_seconds=5.0)
        await log.write(job, stop=False, now=utc_now())
        topic_level = ConfigSource.DYNAMIC_TOPIC_CONFIG.value
        assert await config_of(own.kafka_bootstrap, CONTROL_TOPIC, "cleanup.policy") == (
            "compact",
            topic_level,
        )
        assert await config_of(own.kafka_bootstrap, REPORTS_TOPIC, "retention.ms") == (
            "86400000",
            topic_level,
        )
        reports.follow(own.kafka_bootstrap)
        await asyncio.to_thread(send, own.kafka_bootstrap, report(job, 0, report_pb2.SHARD_PHASE_CLAIMING))
        await until_phases(reports, job, ShardPhase.CLAIMING)

        await asyncio.to_thread(own.stop, "kafka")
        with pytest.raises(ControlUnavailable):
            await log.write(job, stop=True, now=utc_now())
        async for attempt in tenacity.AsyncRetrying(
            stop=tenacity.stop_after_delay(30), wait=tenacity.wait_fixed(0.1), reraise=True
        ):
            with attempt:
                assert reports.of(job.name, own.kafka_bootstrap).readable_since is None

        await asyncio.to_thread(own.start, "kafka")
        await asyncio.to_thread(send, own.kafka_bootstrap, report(job, 0, report_pb2.SHARD_PHASE_RUNNING))
        await until_phases(reports, job, ShardPhase.RUNNING)
        await log.write(job, stop=True, now=utc_now())
        assert (await asyncio.to_thread(newest_word, job)).stop
        log.close()
        await asyncio.to_thread(reports.close)
