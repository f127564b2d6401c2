"""What a shard tells the control plane, on `sluice.reports`. Best effort: a lost report is followed by the next."""

import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import structlog
from confluent_kafka import KafkaException, Producer

from libs.dataplane.batches import ShardIdentity
from libs.dataplane.naming import REPORTS_TOPIC
from sluice.dataplane.v1 import control_pb2, report_pb2

_log = structlog.get_logger()
REPORT_INTERVAL_S = 2.0
# Errors that come and go are told no faster than this; phases always at once.
_ERROR_INTERVAL_S = 0.5

Phase = report_pb2.ShardPhase


@dataclass(slots=True)
class Counters:
    """Counted since the shard started in this process. Outputs count once they are committed."""

    events_in: int = 0
    events_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    commits: int = 0
    records_lost: int = 0
    dead_letters: Counter[str] = field(default_factory=Counter)
    stage_seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))


class ReportSender:
    """One producer per process and cluster, shared by its shards."""

    _senders: dict[str, "ReportSender"] = {}  # noqa: RUF012 — process-wide by design
    _lock = threading.Lock()

    def __init__(self, bootstrap_servers: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "linger.ms": 20,
                "message.timeout.ms": 30_000,
                "queue.buffering.max.messages": 10_000,
                "allow.auto.create.topics": False,
            }
        )

    @classmethod
    def of(cls, bootstrap_servers: str) -> "ReportSender":
        with cls._lock:
            if bootstrap_servers not in cls._senders:
                cls._senders[bootstrap_servers] = cls(bootstrap_servers)
            return cls._senders[bootstrap_servers]

    def send(self, report: report_pb2.ShardReport, *, flush: bool = False) -> None:
        try:
            self._producer.produce(REPORTS_TOPIC, report.SerializeToString(), report.job)
        except (BufferError, KafkaException) as error:
            _log.warning("report not sent", job=report.job, shard=report.shard, error=str(error))
        self._producer.poll(0)
        if flush:
            self._producer.flush(5.0)


class ShardReporter:
    """Sends a report at every change of phase or error, and every two seconds otherwise."""

    def __init__(self, identity: ShardIdentity, worker: str, sender: ReportSender) -> None:
        self.worker = worker
        self._identity = identity
        self._sent_at = -_ERROR_INTERVAL_S
        self._sender = sender
        self._phase: report_pb2.ShardPhase = Phase.SHARD_PHASE_CLAIMING
        self._error = report_pb2.ShardError()
        self._next_at = 0.0
        self.counters = Counters()
        self.lag = 0
        self.partitions = 0
        self.newest_timestamp_ms = 0
        self.known_topics: tuple[control_pb2.KnownTopic, ...] = ()
        self.writer_schema_guids: set[str] = set()

    def phase(self, phase: report_pb2.ShardPhase) -> None:
        """Enter a phase; reported at once."""
        self._phase = phase
        _log.info("shard phase", phase=Phase.Name(phase), **self._labels())
        self._send(flush=phase not in (Phase.SHARD_PHASE_CLAIMING, Phase.SHARD_PHASE_RUNNING))

    def error(self, reason: str, message: str) -> None:
        """Something stalls the shard. A new reason is reported at once; `since` stays that of the first time."""
        is_new = self._error.reason != reason
        if is_new:
            self._error.since.GetCurrentTime()
        self._error.reason, self._error.message = reason, message[:2000]
        if is_new and self._send_soon():
            _log.warning("shard stalls", reason=reason, message=message, **self._labels())

    def well(self) -> None:
        """Whatever stalled the shard is over."""
        if self._error.reason:
            after, self._error = self._error.reason, report_pb2.ShardError()
            if self._send_soon():
                _log.info("shard goes on", after=after, **self._labels())

    def tick(self) -> None:
        """Send the periodic report when it is due."""
        if self.due():
            self._send()

    def due(self) -> bool:
        """True when the next `tick` sends a report."""
        return time.monotonic() >= self._next_at

    def _send_soon(self) -> bool:
        """Send now, or, when there was a report just now, with the next one. True when sent."""
        ready_at = self._sent_at + _ERROR_INTERVAL_S
        if time.monotonic() < ready_at:
            self._next_at = min(self._next_at, ready_at)
            return False
        self._send()
        return True

    def _labels(self) -> dict[str, object]:
        return {
            "job": self._identity.job,
            "incarnation": self._identity.incarnation,
            "shard": self._identity.shard,
        }

    def _send(self, *, flush: bool = False) -> None:
        self._sent_at = time.monotonic()
        self._next_at = self._sent_at + REPORT_INTERVAL_S
        counters = self.counters
        stages = {stage: int(seconds * 1000) for stage, seconds in counters.stage_seconds.items()}
        report = report_pb2.ShardReport(
            job=self._identity.job,
            incarnation=self._identity.incarnation,
            shard=self._identity.shard,
            worker=self.worker,
            phase=self._phase,
            events_in=counters.events_in,
            events_out=counters.events_out,
            bytes_in=counters.bytes_in,
            bytes_out=counters.bytes_out,
            dead_letters=[
                report_pb2.DeadLetterCount(reason=reason, count=count)
                for reason, count in sorted(counters.dead_letters.items())
            ],
            commits=counters.commits,
            records_lost=counters.records_lost,
            lag=self.lag,
            freshness_ms=max(0, int(time.time() * 1000) - self.newest_timestamp_ms)
            if self.newest_timestamp_ms
            else 0,
            stage_ms=report_pb2.StageMillis(**stages),
            writer_schema_guids=sorted(self.writer_schema_guids),
            partitions=self.partitions,
            known_topics=self.known_topics,
        )
        if self._error.reason:
            report.error.CopyFrom(self._error)
        report.time.GetCurrentTime()
        self.writer_schema_guids.clear()
        self._sender.send(report, flush=flush)
