"""What the shards reported: the newest report of each, as statuses for decisions and as metrics for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.deployer.model import Incarnation, JobName, ShardPhase, ShardStatus
from services.deployer.records import known_topic
from sluice.dataplane.v1 import report_pb2
from sluice.deployer.v1 import job_pb2

LIVE_WITHIN = timedelta(seconds=30)

_PHASES: Mapping[int, ShardPhase] = {
    report_pb2.SHARD_PHASE_CLAIMING: ShardPhase.CLAIMING,
    report_pb2.SHARD_PHASE_RUNNING: ShardPhase.RUNNING,
    report_pb2.SHARD_PHASE_STOPPED: ShardPhase.STOPPED,
    report_pb2.SHARD_PHASE_SUPERSEDED: ShardPhase.SUPERSEDED,
    report_pb2.SHARD_PHASE_FAILED: ShardPhase.FAILED,
}


@dataclass(slots=True)
class _Heard:
    """The newest report of a shard, and the one before it by the same worker (for rates)."""

    report: report_pb2.ShardReport
    received: datetime
    before: report_pb2.ShardReport | None
    status: ShardStatus


@dataclass(slots=True)
class _JobReports:
    incarnation: int
    shards: dict[int, _Heard] = field(default_factory=dict)


class ReportTable:
    """Keeps the shards of the newest incarnation that was heard of, per job."""

    def __init__(self) -> None:
        self._jobs: dict[str, _JobReports] = {}

    def take(self, report: report_pb2.ShardReport, now: datetime) -> bool:
        """True if the shard says something that a decision may depend on. Older incarnations are passed over."""
        phase = _PHASES.get(report.phase)
        if phase is None or report.shard < 0:
            return False
        job = self._jobs.setdefault(report.job, _JobReports(report.incarnation))
        if report.incarnation < job.incarnation:
            return False
        if report.incarnation > job.incarnation:
            job = self._jobs[report.job] = _JobReports(report.incarnation)
        heard = job.shards.get(report.shard)
        status = _status(report, phase, now)
        same_worker = heard is not None and heard.report.worker == report.worker
        job.shards[report.shard] = _Heard(
            report, now, heard.report if heard is not None and same_worker else None, status
        )
        return heard is None or _news(heard.status, status)

    def statuses(self, job: JobName) -> tuple[ShardStatus, ...]:
        known = self._jobs.get(job)
        return tuple(heard.status for _, heard in sorted(known.shards.items())) if known else ()

    def forget(self, job: JobName) -> None:
        self._jobs.pop(job, None)

    def metrics(self, job: JobName, incarnation: int, now: datetime) -> job_pb2.JobMetrics | None:
        """Sums over the shards of this incarnation; None if none has reported."""
        known = self._jobs.get(job)
        if known is None or known.incarnation != incarnation or not known.shards:
            return None
        heard = list(known.shards.values())
        newest = max(heard, key=lambda shard: shard.report.time.ToDatetime(tzinfo=UTC))
        errors = [shard.report for shard in heard if shard.report.error.reason]
        metrics = job_pb2.JobMetrics(
            live_shards=sum(now - shard.received <= LIVE_WITHIN for shard in heard),
            events_in=sum(shard.report.events_in for shard in heard),
            events_out=sum(shard.report.events_out for shard in heard),
            bytes_in=sum(shard.report.bytes_in for shard in heard),
            bytes_out=sum(shard.report.bytes_out for shard in heard),
            commits=sum(shard.report.commits for shard in heard),
            dead_letters=sum(entry.count for shard in heard for entry in shard.report.dead_letters),
            lag=sum(shard.report.lag for shard in heard),
            freshness_ms=max(shard.report.freshness_ms for shard in heard),
            events_in_per_second=sum(_rate(shard, "events_in", now) for shard in heard),
            events_out_per_second=sum(_rate(shard, "events_out", now) for shard in heard),
        )
        metrics.report_time.CopyFrom(newest.report.time)
        if errors:
            latest = max(errors, key=lambda report: report.error.since.ToDatetime(tzinfo=UTC))
            metrics.last_error = f"shard {latest.shard}: {latest.error.reason}: {latest.error.message}"
        return metrics


def _status(report: report_pb2.ShardReport, phase: ShardPhase, now: datetime) -> ShardStatus:
    error = f"{report.error.reason}: {report.error.message}" if report.error.reason else ""
    known = tuple(map(known_topic, report.known_topics))
    return ShardStatus(report.shard, Incarnation(report.incarnation), phase, now, error, known)


def _news(before: ShardStatus, after: ShardStatus) -> bool:
    return (before.phase, before.error, before.known_topics) != (after.phase, after.error, after.known_topics)


def _rate(heard: _Heard, counter: str, now: datetime) -> float:
    """Per second between the last two reports; 0 for a shard that fell silent or began anew."""
    if heard.before is None or now - heard.received > LIVE_WITHIN:
        return 0.0
    earlier, later = heard.before.time.ToDatetime(tzinfo=UTC), heard.report.time.ToDatetime(tzinfo=UTC)
    seconds = (later - earlier).total_seconds()
    counted = getattr(heard.report, counter) - getattr(heard.before, counter)
    return counted / seconds if seconds > 0 and counted > 0 else 0.0
