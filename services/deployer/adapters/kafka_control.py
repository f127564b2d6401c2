"""`sluice.control` and the fencing of producers, on the cluster of each job's sink."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from libs.dataplane.naming import CONTROL_TOPIC, REPORTS_TOPIC, control_partition, transactional_id
from services.deployer.model import JobRecord
from services.deployer.ports import ControlUnavailable
from services.deployer.records import known_topic_message
from sluice.dataplane.v1 import control_pb2

T = TypeVar("T")

# The client's own log lines (syslog's "critical" and worse): outages are told by our own log, once.
QUIET = 2
# Fencing opens a producer per shard; each has its own threads.
_PARALLEL = 16


class KafkaControlLog:
    """A ControlLog; creates `sluice.control` and `sluice.reports` on a cluster when it first writes there."""

    def __init__(
        self, *, control_partitions: int = 16, reports_partitions: int = 4, timeout_seconds: float = 10.0
    ) -> None:
        self._topics = (
            # -1: the broker's default replication factor.
            NewTopic(
                CONTROL_TOPIC,
                num_partitions=control_partitions,
                replication_factor=-1,
                config={
                    "cleanup.policy": "compact",
                    "segment.ms": "3600000",
                    "min.cleanable.dirty.ratio": "0.1",
                },
            ),
            NewTopic(
                REPORTS_TOPIC,
                num_partitions=reports_partitions,
                replication_factor=-1,
                config={"cleanup.policy": "delete", "retention.ms": "86400000"},
            ),
        )
        self._timeout = timeout_seconds
        self._producers: dict[str, Producer] = {}
        self._partitions: dict[str, int] = {}
        self._threads = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="kafka-control")

    async def write(self, record: JobRecord, *, stop: bool, now: datetime) -> None:
        message = control_pb2.ControlRecord(
            job=record.name,
            incarnation=record.incarnation,
            stop=stop,
            known_topics=[known_topic_message(topic) for topic in record.known_topics],
        )
        message.time.FromDatetime(now)
        value = message.SerializeToString(deterministic=True)
        await self._blocking(lambda: self._produce(record, value))

    async def clear(self, record: JobRecord) -> None:
        await self._blocking(lambda: self._produce(record, None))

    async def fence(self, record: JobRecord, shards: int) -> None:
        bootstrap = _bootstrap(record)
        names = [transactional_id(record.name, shard) for shard in range(shards)]
        attempts = [self._blocking(partial(self._fence, bootstrap, name)) for name in names]
        for outcome in await asyncio.gather(*attempts, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _blocking(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except (KafkaException, BufferError) as error:
            raise ControlUnavailable(_words(error)) from error

    def _produce(self, record: JobRecord, value: bytes | None) -> None:
        bootstrap = _bootstrap(record)
        partitions = self._ready(bootstrap)
        producer = self._producers.get(bootstrap)
        if producer is None:
            producer = self._producers.setdefault(bootstrap, Producer(self._producer_settings(bootstrap)))
        outcome: list[KafkaError | None] = []
        producer.produce(
            CONTROL_TOPIC,
            value=value,
            key=record.name,
            partition=control_partition(record.name, partitions),
            on_delivery=lambda error, _message: outcome.append(error),
        )
        producer.flush(self._timeout + 1)
        if not outcome:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        if outcome[0] is not None:
            raise KafkaException(outcome[0])

    def _producer_settings(self, bootstrap: str) -> dict[str, str | int | bool]:
        return {
            "bootstrap.servers": bootstrap,
            "log_level": QUIET,
            "enable.idempotence": True,
            "linger.ms": 0,
            "message.timeout.ms": int(self._timeout * 1000),
        }

    def _ready(self, bootstrap: str) -> int:
        """Number of partitions of the control topic; both topics exist afterwards."""
        known = self._partitions.get(bootstrap)
        if known is not None:
            return known
        admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": QUIET})
        for topic, created in admin.create_topics(list(self._topics), request_timeout=self._timeout).items():
            try:
                created.result(self._timeout + 1)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise
            except TimeoutError as late:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"creating {topic}")) from late
        described = admin.list_topics(CONTROL_TOPIC, timeout=self._timeout).topics[CONTROL_TOPIC]
        if described.error is not None or not described.partitions:
            raise KafkaException(described.error or KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
        self._partitions[bootstrap] = len(described.partitions)
        return len(described.partitions)

    def _fence(self, bootstrap: str, transactional: str) -> None:
        producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "log_level": QUIET,
                "transactional.id": transactional,
                "transaction.timeout.ms": 10_000,
                "socket.timeout.ms": int(self._timeout * 1000),
            }
        )
        producer.init_transactions(self._timeout)


def _bootstrap(record: JobRecord) -> str:
    return (record.running or record.spec).control_bootstrap


def _words(error: Exception) -> str:
    inner = error.args[0] if error.args else None
    return inner.str() if isinstance(inner, KafkaError) else str(error)
