"""`sluice.reports`, read in the background: one consumer per cluster, the newest report of every shard in memory."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from google.protobuf.message import DecodeError

from libs.dataplane.naming import REPORTS_TOPIC
from services.deployer.adapters.kafka_control import QUIET
from services.deployer.model import JobName, ShardReports
from services.deployer.reporting import ReportTable
from sluice.dataplane.v1 import report_pb2

_log = structlog.get_logger(__name__)

_LOOK_BACK_MS = 60_000
_BATCH = 1000
_RETRY_SECONDS = 1.0


@dataclass(slots=True)
class _Cluster:
    thread: threading.Thread | None = None
    readable_since: datetime | None = None
    table: ReportTable = field(default_factory=ReportTable)


class KafkaReports:
    """A Reports over Kafka. Make it in the event loop that reads it; `close()` ends the threads."""

    def __init__(self, *, timeout_seconds: float = 10.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout_seconds
        self._clusters: dict[str, _Cluster] = {}
        self._callbacks: list[Callable[[JobName], None]] = []
        self._closing = threading.Event()

    def follow(self, bootstrap_servers: str) -> None:
        if bootstrap_servers in self._clusters or self._closing.is_set():
            return
        cluster = _Cluster()
        self._clusters[bootstrap_servers] = cluster
        cluster.thread = threading.Thread(
            target=self._read_for_ever, args=(bootstrap_servers, cluster), name="kafka-reports", daemon=True
        )
        cluster.thread.start()

    def of(self, job: JobName, bootstrap_servers: str) -> ShardReports:
        cluster = self._clusters.get(bootstrap_servers)
        if cluster is None:
            return ShardReports(None)
        return ShardReports(cluster.readable_since, cluster.table.statuses(job))

    def table(self, bootstrap_servers: str) -> ReportTable | None:
        """What metrics are made of; None for a cluster that is not followed."""
        cluster = self._clusters.get(bootstrap_servers)
        return cluster.table if cluster else None

    def on_change(self, callback: Callable[[JobName], None]) -> None:
        self._callbacks.append(callback)

    def close(self) -> None:
        self._closing.set()
        for cluster in self._clusters.values():
            if cluster.thread is not None:
                cluster.thread.join(timeout=1.0)

    def _read_for_ever(self, bootstrap: str, cluster: _Cluster) -> None:
        while not self._closing.is_set():
            try:
                self._read(bootstrap, cluster)
            except KafkaException as error:
                _log.warning("reports cannot be read", cluster=bootstrap, error=str(error))
            except Exception as error:  # noqa: BLE001  # a thread that dies silently would freeze every job's state
                _log.error("reading reports crashed", cluster=bootstrap, exc_info=error)
            self._tell(lambda: setattr(cluster, "readable_since", None))
            self._closing.wait(_RETRY_SECONDS)

    def _read(self, bootstrap: str, cluster: _Cluster) -> None:
        """Until KafkaException. Starts a minute back, so that a restarted deployer hears every shard soon."""
        consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "log_level": QUIET,
                # Needed by the client, never used: partitions are assigned and nothing is committed.
                "group.id": "sluice-deployer-reports",
                "enable.auto.commit": False,
                "auto.offset.reset": "latest",
                "fetch.queue.backoff.ms": 50,
                "reconnect.backoff.max.ms": 2000,
                "socket.timeout.ms": int(self._timeout * 1000),
            }
        )
        try:
            self._assign(consumer)
            next_check = time.monotonic()
            while not self._closing.is_set():
                messages = consumer.consume(_BATCH, 0.1)
                reports = [report for report in map(_report, messages) if report is not None]
                if reports:
                    self._tell(lambda told=reports: self._take(cluster, told))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
                if time.monotonic() >= next_check:
                    # A consumer whose broker is away just yields nothing: ask the broker itself.
                    consumer.list_topics(REPORTS_TOPIC, timeout=self._timeout)
                    next_check = time.monotonic() + self._timeout / 2
                    self._tell(lambda: self._mark_readable(cluster))
        finally:
            consumer.close()

    def _assign(self, consumer: Consumer) -> None:
        described = consumer.list_topics(REPORTS_TOPIC, timeout=self._timeout).topics[REPORTS_TOPIC]
        if described.error is not None:
            raise KafkaException(described.error)
        since = int(time.time() * 1000) - _LOOK_BACK_MS
        wanted = [TopicPartition(REPORTS_TOPIC, partition, since) for partition in described.partitions]
        consumer.assign(consumer.offsets_for_times(wanted, timeout=self._timeout))

    def _take(self, cluster: _Cluster, reports: list[report_pb2.ShardReport]) -> None:
        self._mark_readable(cluster)
        now = datetime.now(UTC)
        for job in {JobName(report.job) for report in reports if cluster.table.take(report, now)}:
            for callback in self._callbacks:
                callback(job)

    @staticmethod
    def _mark_readable(cluster: _Cluster) -> None:
        if cluster.readable_since is None:
            cluster.readable_since = datetime.now(UTC)

    def _tell(self, call: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)


def _report(message: Message) -> report_pb2.ShardReport | None:
    value = message.value()
    if message.error() is not None or value is None:
        return None
    try:
        return report_pb2.ShardReport.FromString(value)
    except DecodeError:
        return None
