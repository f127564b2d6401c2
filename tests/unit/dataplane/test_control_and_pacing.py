"""What the deployer said, and when a shard commits and tries again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.dataplane.control import ControlInbox
from libs.dataplane.naming import control_partition
from libs.dataplane.pacing import DAY_S, Backoff, CommitPace, refresh_interval_s
from sluice.dataplane.v1 import control_pb2
from tests.unit.dataplane.fakes import FakeMessage


def said(incarnation: int, *, stop: bool = False, job: str = "jobs/a") -> FakeMessage:
    topic = control_pb2.KnownTopic(topic="in", topic_id="id-1", partitions=4)
    record = control_pb2.ControlRecord(job=job, incarnation=incarnation, stop=stop, known_topics=[topic])
    return FakeMessage(record.SerializeToString(), named=job.encode())


def inbox(*messages: FakeMessage) -> ControlInbox:
    made = ControlInbox("jobs/a", 2)
    for message in messages:
        made.receive(message)
    return made


def test_silence_means_go_on() -> None:
    empty = inbox()
    assert (empty.stop, empty.superseded_by, dict(empty.known_partitions)) == (False, None, {})


def test_stop_is_for_its_own_incarnation() -> None:
    assert inbox(said(2, stop=True)).stop
    assert not inbox(said(1, stop=True)).stop


def test_a_newer_incarnation_supersedes_whether_it_is_told_to_stop_or_not() -> None:
    assert inbox(said(3)).superseded_by == 3
    late = inbox(said(3, stop=True))
    assert (late.superseded_by, late.stop) == (3, False)


def test_an_older_record_does_not_replace_a_newer_one() -> None:
    assert inbox(said(3), said(2, stop=True)).superseded_by == 3


def test_what_is_known_is_taken_from_an_earlier_incarnations_record() -> None:
    assert dict(inbox(said(1)).known_partitions) == {"id-1": 4}


@pytest.mark.parametrize(
    "other",
    [
        said(9, job="jobs/b"),
        FakeMessage(None, named=b"jobs/a"),
        FakeMessage(b"\xff\xff", named=b"jobs/a"),
        FakeMessage(b"", named=None),
        FakeMessage(b"x", named=b"\xff"),
    ],
)
def test_what_is_not_a_record_of_the_job_is_passed_over(other: FakeMessage) -> None:
    assert inbox(said(2, stop=True), other).stop


@given(st.text(min_size=1), st.integers(1, 100))
def test_a_jobs_control_partition_is_one_of_the_topics(job: str, count: int) -> None:
    assert 0 <= control_partition(job, count) < count


def test_quick_commits_come_at_the_shortest_interval_and_slow_ones_take_a_twentieth_of_the_time() -> None:
    pace = CommitPace(0.1, 1.0)
    pace.committed(now=50.0, took_s=0.001)
    assert pace.due_at == pytest.approx(50.1)
    pace.committed(now=51.0, took_s=0.02)
    assert pace.due_at == pytest.approx(51.4)
    pace.committed(now=52.0, took_s=5.0)
    assert pace.due_at == pytest.approx(53.0)


def test_a_longest_interval_below_the_shortest_does_not_count() -> None:
    pace = CommitPace(0.5, 0.1)
    pace.committed(now=1.0, took_s=1.0)
    assert pace.interval_s == 0.5


def test_one_loss_costs_no_pause_and_repeated_ones_ever_longer_up_to_the_bound() -> None:
    backoff = Backoff()
    backoff.claimed(100.0)
    pauses = [backoff.lost(100.5) for _ in range(12)]
    assert pauses[:5] == [0.0, 0.5, 1.0, 2.0, 4.0]
    assert pauses[-1] == 30.0


def test_a_long_good_run_is_a_new_start() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.claimed(100.0)
        backoff.lost(101.0)
    backoff.claimed(200.0)
    assert backoff.lost(300.0) == 0.0


@pytest.mark.parametrize(("retention_s", "expected"), [(60.0, 15.0), (7 * DAY_S, DAY_S), (DAY_S, DAY_S / 4)])
def test_positions_are_refreshed_daily_or_well_within_the_retention(
    retention_s: float, expected: float
) -> None:
    assert refresh_interval_s(retention_s) == expected
