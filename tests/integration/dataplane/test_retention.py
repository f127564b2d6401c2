"""A job that is idle for longer than Kafka keeps offsets goes on where it was."""

import time
from pathlib import Path

import pytest

from tests.integration.dataplane.test_positions_on_kafka import RUNNING, World
from tests.support.jobs import produce_events
from tests.support.stack import local_stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

EXPIRY = {"offsets.retention.minutes": "1", "offsets.retention.check.interval.ms": "2000"}


def test_positions_of_idle_partitions_and_of_an_idle_job_outlive_the_offset_retention(tmp_path: Path) -> None:
    with local_stack(tmp_path / "kafka", parts=("kafka",), kafka_properties=EXPIRY) as stack:
        idle = World(stack, "idle", partitions=2)
        busy = World(stack, "busy", partitions=2)
        abandoned = World(stack, "abandoned", partitions=1)
        idle.produce(range(10))
        busy.produce(range(10))
        abandoned.produce(range(10))
        with abandoned.shard() as left:
            left.wait_for_rows(10)
        with idle.shard() as first, busy.shard() as second:
            first.wait_for_phase(RUNNING)
            first.wait_for_rows(10)
            second.wait_for_rows(10)
            number, until = 10, time.monotonic() + 66
            while time.monotonic() < until:
                # Only partition 0 gets records; partition 1 is idle while its neighbour commits.
                produce_events(busy.producer, busy.source, range(number, number + 2, 2), 2)
                number += 2
                second.wait_for_rows(10 + (number - 10) // 2)
                time.sleep(1)  # the point of the test: to let the retention pass
        eventually(lambda: not abandoned.committed(), 20, "offsets do expire on this Kafka")
        busy_before, idle_before = len(busy.numbers()), len(idle.numbers())
        assert len(busy.committed()) == len(idle.committed()) == 2
        busy.produce(range(1000, 1010))
        idle.produce(range(1000, 1010))
        with idle.shard() as first, busy.shard() as second:
            first.wait_for_rows(10)
            second.wait_for_rows(10)
        assert sorted(idle.numbers())[idle_before:] == list(range(1000, 1010))
        assert len(busy.numbers()) == busy_before + 10
