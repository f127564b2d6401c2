"""What a shard tells, and how often."""

from libs.dataplane.batches import ShardIdentity
from libs.dataplane.reports import Phase, ReportSender, ShardReporter
from sluice.dataplane.v1 import report_pb2


class FakeSender(ReportSender):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[report_pb2.ShardReport] = []
        self.flushed = 0

    def send(self, report: report_pb2.ShardReport, *, flush: bool = False) -> None:
        self.sent.append(report)
        self.flushed += flush


def reporter() -> tuple[ShardReporter, FakeSender]:
    sender = FakeSender()
    return ShardReporter(ShardIdentity("jobs/a", 3, 1), "worker-1", sender), sender


def test_every_change_of_phase_is_told_at_once_and_a_last_one_is_flushed() -> None:
    shard, sender = reporter()
    phases = [Phase.SHARD_PHASE_CLAIMING, Phase.SHARD_PHASE_RUNNING, Phase.SHARD_PHASE_STOPPED]
    for phase in phases:
        shard.phase(phase)
    assert [report.phase for report in sender.sent] == phases
    assert sender.flushed == 1
    assert (sender.sent[0].job, sender.sent[0].incarnation, sender.sent[0].shard) == ("jobs/a", 3, 1)


def test_errors_that_alternate_do_not_flood_the_topic() -> None:
    shard, sender = reporter()
    for _ in range(1000):
        shard.error("KAFKA_UNAVAILABLE", "one")
        shard.error("REGISTRY_UNAVAILABLE", "two")
        shard.well()
    assert len(sender.sent) <= 3
    assert sender.sent[0].error.reason == "KAFKA_UNAVAILABLE"


def test_an_error_keeps_the_time_of_its_first_occurrence_and_takes_the_newest_words() -> None:
    shard, sender = reporter()
    shard.error("OFFSETS_LOST", "first")
    since = sender.sent[0].error.since
    shard.error("OFFSETS_LOST", "x" * 5000)
    shard.phase(Phase.SHARD_PHASE_CLAIMING)
    assert sender.sent[-1].error.since == since
    assert sender.sent[-1].error.message == "x" * 2000


def test_periodic_reports_wait_until_they_are_due() -> None:
    shard, sender = reporter()
    for _ in range(100):
        shard.tick()
    assert len(sender.sent) == 1


def test_writer_schemas_are_told_once_each_time_they_were_seen() -> None:
    shard, sender = reporter()
    shard.writer_schema_guids |= {"b", "a"}
    shard.phase(Phase.SHARD_PHASE_RUNNING)
    shard.phase(Phase.SHARD_PHASE_RUNNING)
    assert [list(report.writer_schema_guids) for report in sender.sent] == [["a", "b"], []]


def test_figures_are_those_of_the_counters() -> None:
    shard, sender = reporter()
    shard.counters.events_out, shard.counters.records_lost, shard.lag = 7, 2, 5
    shard.counters.dead_letters.update(["ROW_ERROR", "ROW_ERROR", "UNDECODABLE"])
    shard.counters.stage_seconds["sql"] = 1.5
    shard.phase(Phase.SHARD_PHASE_RUNNING)
    (report,) = sender.sent
    assert (report.events_out, report.records_lost, report.lag, report.stage_ms.sql) == (7, 2, 5, 1500)
    assert [(each.reason, each.count) for each in report.dead_letters] == [
        ("ROW_ERROR", 2),
        ("UNDECODABLE", 1),
    ]
    assert report.freshness_ms == 0, "nothing was committed yet"
