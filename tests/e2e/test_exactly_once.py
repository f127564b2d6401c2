"""A subscription under continuous input on eight partitions, while everything around it is killed, one after the other.

The tests share one subscription and its input; each ends with the proof that every event so far came out once, in order
per key.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from sluice.deployer.v1 import job_pb2
from sluice.subscription.v1 import subscription_pb2, subscription_service_pb2
from tests.support.jobs import EVENT_SCHEMA
from tests.support.platform import Platform, sdk_workers
from tests.support.stream import Input, assert_each_once_in_order, grows
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

PARTITIONS = 8
NAME = "tenants/chaos/subscriptions/all"
OUTPUT = "sluice.out.chaos.all"
SQL = "SELECT number, _partition AS p, _offset AS o FROM events"


@pytest.fixture(scope="module")
def source(platform: Platform) -> Iterator[Input]:
    platform.bind("chaos", "chaos", {"chaos-in": PARTITIONS})
    platform.subscribe("chaos", "all", "chaos", SQL)
    platform.wait_active(NAME)
    with Input(platform.kafka, "chaos-in", PARTITIONS) as source:
        yield source


@pytest.fixture(autouse=True)
def proof(platform: Platform, source: Input) -> Iterator[None]:
    """Before each test the job delivers; after it, all is there once."""
    source.resume()
    grows(platform.kafka, OUTPUT)
    yield
    grows(platform.kafka, OUTPUT)
    assert_each_once_in_order(platform.kafka, OUTPUT, source, PARTITIONS)


def current_job(platform: Platform) -> job_pb2.Job:
    return platform.job(platform.subscription(NAME).job)


def test_a_killed_sdk_worker_is_started_again(platform: Platform, source: Input) -> None:
    before = sdk_workers(platform.stack)
    assert before
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: bool(set(sdk_workers(platform.stack)) - set(before)), 60, "a new worker")


def test_a_killed_task_manager_is_survived_once_it_is_back(platform: Platform, source: Input) -> None:
    platform.stack.kill("taskmanager", signal.SIGKILL)
    platform.stack.start("taskmanager")


def test_a_killed_deployer_adopts_the_running_job(platform: Platform, source: Input) -> None:
    before = current_job(platform)
    platform.stack.kill("deployer", signal.SIGKILL)
    grows(platform.kafka, OUTPUT)
    platform.stack.start("deployer")
    eventually(lambda: current_job(platform).metrics.live_shards == 1, 60, "the deployer hears the job")
    assert current_job(platform).incarnation == before.incarnation, "an adopted job is not started again"


def test_a_killed_job_manager_leads_to_a_new_incarnation(platform: Platform, source: Input) -> None:
    before = current_job(platform)
    platform.stack.kill("jobmanager", signal.SIGKILL)
    platform.stack.start("jobmanager")
    eventually(lambda: current_job(platform).incarnation > before.incarnation, 90, "a new incarnation")


def test_a_hung_worker_that_goes_on_after_its_transaction_timed_out_does_no_harm(
    platform: Platform, source: Input
) -> None:
    hung = sdk_workers(platform.stack)
    for pid in hung:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(8)  # the point of the test: longer than the transaction timeout
    for pid in hung:
        os.kill(pid, signal.SIGCONT)


def test_a_killed_and_restarted_kafka_is_survived(platform: Platform, source: Input) -> None:
    platform.stack.kill("kafka", signal.SIGKILL)
    time.sleep(3)  # away for a while
    platform.stack.start("kafka")


def test_a_changed_statement_replaces_the_job_and_an_old_one_started_by_hand_ends_by_itself(
    platform: Platform, source: Input, tmp_path: Path
) -> None:
    before = current_job(platform)
    changed = subscription_pb2.Subscription(name=NAME, sql=SQL + " WHERE number >= 0")
    platform.subscriptions.UpdateSubscription(
        subscription_service_pb2.UpdateSubscriptionRequest(
            subscription=changed, update_mask=FieldMask(paths=["sql"])
        )
    )
    old = start_by_hand(platform, before, tmp_path)
    try:
        after = platform.wait_active(NAME)
        assert after.generation == 2
        assert current_job(platform).incarnation > before.incarnation
        assert current_job(platform).runner_job_name == before.runner_job_name
        eventually(lambda: old.poll() == 0, 60, "the old incarnation ends by itself")
    finally:
        old.kill()
        old.wait()


def start_by_hand(platform: Platform, job: job_pb2.Job, folder: Path) -> subprocess.Popen[bytes]:
    """The old incarnation's shard once more, as a forgotten job would run it."""
    (folder / "spec").write_bytes(job.spec.SerializeToString())
    (folder / "schemas").write_text(json.dumps([EVENT_SCHEMA]))
    command = [sys.executable, "-m", "tests.support.shard", "--job", job.name]
    command += ["--incarnation", str(job.incarnation)]
    command += ["--spec", str(folder / "spec"), "--schemas", str(folder / "schemas")]
    environment = os.environ | {"PYTHONPATH": f"{Path.cwd()}:{Path.cwd() / 'libs/contracts'}"}
    return subprocess.Popen(command, env=environment)


def test_pause_and_resume_go_on_where_the_job_was(platform: Platform, source: Input) -> None:
    platform.subscriptions.PauseSubscription(subscription_service_pb2.PauseSubscriptionRequest(name=NAME))
    paused = subscription_pb2.SUBSCRIPTION_STATE_PAUSED
    eventually(lambda: platform.subscription(NAME).state == paused, 60, "the subscription is paused")
    platform.subscriptions.ResumeSubscription(subscription_service_pb2.ResumeSubscriptionRequest(name=NAME))
    platform.wait_active(NAME)
