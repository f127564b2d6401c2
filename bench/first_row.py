"""From CreateSubscription to the first row, on a warm stack: `python -m bench.first_row [--count 10]`.

One subscription at a time over a topic that already holds events; the first one is not counted. The reader of the
output topic is assigned before the row comes, so its own start is not in the figure. The parts are times since the
call: until the API answered, until ACTIVE, until the row.
"""

import argparse
import statistics
import tempfile
import time
import uuid
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from deploy.local.parts import PARTS
from sluice.subscription.v1 import subscription_service_pb2
from tests.support.jobs import create_topics, produce_events
from tests.support.platform import Platform
from tests.support.stack import local_stack

PARTITIONS = 4
SQL = "SELECT number, upper(action) AS action FROM events"


def first_row(platform: Platform, name: str) -> tuple[float, float, float]:
    """Seconds from the call until the answer, until ACTIVE, until the first committed row."""
    topic = f"sluice.out.bench.{name}"
    create_topics(platform.kafka, {topic: PARTITIONS})
    consumer = Consumer(
        {
            "bootstrap.servers": platform.kafka,
            "group.id": str(uuid.uuid4()),
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    consumer.poll(1.0)
    started = time.monotonic()
    subscription = platform.subscribe("bench", name, "bench", SQL)
    answered = time.monotonic() - started
    active = row = 0.0
    while not row or not active:
        if not row and consumer.poll(0.02) is not None:
            row = time.monotonic() - started
        if not active and platform.subscription(subscription.name).state == 2:
            active = time.monotonic() - started
        if time.monotonic() - started > 60:
            raise SystemExit(f"{name}: no row within 60 s: {platform.subscription(subscription.name)}")
    consumer.close()
    platform.subscriptions.DeleteSubscription(
        subscription_service_pb2.DeleteSubscriptionRequest(name=subscription.name)
    )
    return answered, active, row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as folder, local_stack(Path(folder), PARTS) as stack:
        platform = Platform(stack)
        platform.bind("bench", "bench", {"first-row-in": PARTITIONS})
        produce_events(
            Producer({"bootstrap.servers": platform.kafka}), "first-row-in", range(1000), PARTITIONS
        )
        first_row(platform, "warm-up")
        runs = []
        for number in range(count):
            runs.append(first_row(platform, f"run-{number}"))
            answered, active, row = runs[-1]
            print(
                f"{number}: answered {answered:.3f} s, active {active:.2f} s, first row {row:.2f} s",
                flush=True,
            )
    for name, values in zip(("answered", "active", "first row"), zip(*runs, strict=True), strict=True):
        print(
            f"{name:<10} p50 {statistics.median(values):.2f} s, min {min(values):.2f}, max {max(values):.2f}"
        )


if __name__ == "__main__":
    main()
