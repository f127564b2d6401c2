"""Whatever is killed, hung or started twice: every input appears once in the output, in order per partition."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local import LocalStack
from sluice.dataplane.v1 import job_spec_pb2
from tests.support.jobs import EVENT_SCHEMA, create_topics, job_spec
from tests.support.stack import local_stack
from tests.support.stream import Input, assert_each_once_in_order, grows
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration

PARTITIONS = 8


class Shards:
    """Shard processes of one job, which tests may kill."""

    def __init__(self, folder: Path, job: str, spec: job_spec_pb2.JobSpec) -> None:
        self._folder, self._job = folder, job
        (folder / "spec").write_bytes(spec.SerializeToString())
        (folder / "schemas").write_text(json.dumps([EVENT_SCHEMA]))
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, incarnation: int, shard: int = 0) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.support.shard", "--job", self._job, "--shard", str(shard)]
        command += ["--incarnation", str(incarnation)]
        command += ["--spec", str(self._folder / "spec"), "--schemas", str(self._folder / "schemas")]
        environment = os.environ | {"PYTHONPATH": f"{Path.cwd()}:{Path.cwd() / 'libs/contracts'}"}
        with (self._folder / "shards.log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def kill_all(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@contextmanager
def shards_of(folder: Path, job: str, spec: job_spec_pb2.JobSpec) -> Iterator[Shards]:
    shards = Shards(folder, job, spec)
    try:
        yield shards
    finally:
        shards.kill_all()


def finish(bootstrap_servers: str, source: Input, topic: str) -> None:
    assert_each_once_in_order(bootstrap_servers, topic, source, PARTITIONS)


def test_killed_shards_neither_lose_nor_repeat_a_row(kafka: LocalStack, tmp_path: Path) -> None:
    bootstrap = kafka.kafka_bootstrap
    create_topics(bootstrap, {"kill-in": PARTITIONS, "kill-out": 4, "dead": 1})
    spec = job_spec(bootstrap, topics=["kill-in"], sink="kill-out", shards=2)
    with Input(bootstrap, "kill-in", PARTITIONS) as source, shards_of(tmp_path, "jobs/kill", spec) as shards:
        running = [shards.start(1, shard) for shard in range(2)]
        for turn in range(4):
            grows(bootstrap, "kill-out")
            running[turn % 2].kill()
            running[turn % 2].wait()
            running[turn % 2] = shards.start(1, turn % 2)
        finish(bootstrap, source, "kill-out")


def test_a_shard_that_hung_past_the_transaction_timeout_goes_on_where_the_group_is(
    kafka: LocalStack, tmp_path: Path
) -> None:
    bootstrap = kafka.kafka_bootstrap
    create_topics(bootstrap, {"hang-in": PARTITIONS, "hang-out": 4, "dead": 1})
    spec = job_spec(bootstrap, topics=["hang-in"], sink="hang-out", limits={"transaction_timeout_ms": 3000})
    with Input(bootstrap, "hang-in", PARTITIONS) as source, shards_of(tmp_path, "jobs/hang", spec) as shards:
        process = shards.start(1)
        grows(bootstrap, "hang-out")
        process.send_signal(signal.SIGSTOP)
        time.sleep(6)  # the point of the test: longer than the transaction timeout
        process.send_signal(signal.SIGCONT)
        grows(bootstrap, "hang-out")
        assert process.poll() is None
        finish(bootstrap, source, "hang-out")


def test_a_takeover_ends_the_old_incarnation_and_a_restarted_old_one_does_no_harm(
    kafka: LocalStack, tmp_path: Path
) -> None:
    bootstrap = kafka.kafka_bootstrap
    create_topics(bootstrap, {"take-in": PARTITIONS, "take-out": 4, "dead": 1})
    spec = job_spec(bootstrap, topics=["take-in"], sink="take-out")
    with Input(bootstrap, "take-in", PARTITIONS) as source, shards_of(tmp_path, "jobs/take", spec) as shards:
        old = shards.start(1)
        grows(bootstrap, "take-out")
        shards.start(2)
        eventually(lambda: old.poll() == 0, 60, "the old incarnation ends by itself")
        grows(bootstrap, "take-out")
        zombie = shards.start(1)
        eventually(lambda: zombie.poll() == 0, 60, "the restarted old incarnation ends by itself")
        grows(bootstrap, "take-out")
        finish(bootstrap, source, "take-out")


def test_a_hung_old_incarnation_that_awakes_during_a_takeover_writes_nothing(
    kafka: LocalStack, tmp_path: Path
) -> None:
    bootstrap = kafka.kafka_bootstrap
    create_topics(bootstrap, {"awake-in": PARTITIONS, "awake-out": 4, "dead": 1})
    spec = job_spec(bootstrap, topics=["awake-in"], sink="awake-out")
    with (
        Input(bootstrap, "awake-in", PARTITIONS) as source,
        shards_of(tmp_path, "jobs/awake", spec) as shards,
    ):
        old = shards.start(1)
        grows(bootstrap, "awake-out")
        old.send_signal(signal.SIGSTOP)
        shards.start(2)
        grows(bootstrap, "awake-out")
        old.send_signal(signal.SIGCONT)
        eventually(lambda: old.poll() == 0, 60, "the old incarnation ends by itself")
        grows(bootstrap, "awake-out")
        finish(bootstrap, source, "awake-out")


def test_a_killed_and_restarted_kafka_costs_no_row(tmp_path: Path) -> None:
    with local_stack(tmp_path / "kafka", parts=("kafka",)) as stack:
        bootstrap = stack.kafka_bootstrap
        create_topics(bootstrap, {"down-in": PARTITIONS, "down-out": 4, "dead": 1})
        spec = job_spec(
            bootstrap, topics=["down-in"], sink="down-out", limits={"transaction_timeout_ms": 5000}
        )
        with (
            Input(bootstrap, "down-in", PARTITIONS) as source,
            shards_of(tmp_path, "jobs/down", spec) as shards,
        ):
            process = shards.start(1)
            grows(bootstrap, "down-out")
            stack.kill("kafka", signal.SIGKILL)
            time.sleep(3)  # away for a while
            stack.start("kafka")
            grows(bootstrap, "down-out")
            assert process.poll() is None, "the shard lives through it"
            finish(bootstrap, source, "down-out")
