"""Events per CPU-second from Kafka to Kafka, transactions on: a Sluice shard, the ordinary way, and the client alone.

    python -m bench.dataplane [--events 200000] [--rounds 5]

The input is the 41-field security event (bench/security_events.py) as Avro; the job filters (`action = 'deny'`, about a
fifth) and writes five fields as JSON. All three read the same topic and commit rows and positions in transactions; each
runs in a process of its own, in turn, `rounds` times. CPU is that of the whole process (client threads included) from
before the first record is asked for until the last transaction is committed. "pass-through" consumes every record and
produces those bytes unchanged for one record in five: what confluent-kafka alone costs.
"""

import argparse
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition

from bench.security_events import SCHEMA_JSON, events
from deploy.local import LocalStack, Ports, Settings
from deploy.local.ports import reserved_offset
from libs.codec.schema import canonical
from libs.dataplane.batches import ShardIdentity
from libs.dataplane.sessions import tune_garbage_collector
from tests.support.jobs import create_topics, job_spec, schema_header
from tests.support.shard import lookup_of, new_session, run_shard

SCHEMA = canonical(SCHEMA_JSON)
SQL = (
    "SELECT event_id, src_ip, dst_ip, bytes_sent + bytes_received AS bytes, device.serial AS device "
    "FROM events WHERE action = 'deny'"
)
PARTITIONS = 4
SOURCE, SINK = "bench-in", "bench-out"
WAYS = ("sluice", "ordinary", "pass-through")


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def sluice(bootstrap: str, count: int) -> int:
    spec = job_spec(bootstrap, topics=[SOURCE], sink=SINK, sql=SQL, schema=SCHEMA)
    identity = ShardIdentity(f"jobs/bench-{uuid.uuid4().hex[:12]}", 1, 0)
    session = new_session(identity, spec, lookup_of(SCHEMA))
    counters = session.counters
    tune_garbage_collector()

    commits_before_end = 0

    def wanted() -> bool:
        nonlocal commits_before_end
        if counters.events_in < count:
            commits_before_end = counters.commits
            return True
        return counters.commits <= commits_before_end

    run_shard(session, spec, wanted)
    stages = {name: round(seconds, 3) for name, seconds in sorted(counters.stage_seconds.items())}
    print(json.dumps({"stages_s": stages, "commits": counters.commits}), file=sys.stderr)
    return counters.events_out


def ordinary(bootstrap: str, count: int) -> int:
    schema = fastavro.parse_schema(json.loads(SCHEMA))
    consumer, producer = clients(bootstrap)
    read = written = 0
    committed_at = time.monotonic()
    producer.begin_transaction()
    while read < count:
        for message in consumer.consume(10_000, 0.05):
            if message.error() is not None:
                continue
            read += 1
            event: Any = fastavro.schemaless_reader(io.BytesIO(message.value() or b""), schema, None)
            if event["action"] == "deny":
                row = {
                    "event_id": event["event_id"],
                    "src_ip": event["src_ip"],
                    "dst_ip": event["dst_ip"],
                    "bytes": event["bytes_sent"] + event["bytes_received"],
                    "device": event["device"]["serial"],
                }
                producer.produce(
                    SINK, json.dumps(row).encode(), message.key(), timestamp=message.timestamp()[1]
                )
                written += 1
        producer.poll(0)
        if time.monotonic() - committed_at > 1:
            commit(consumer, producer)
            committed_at = time.monotonic()
    commit(consumer, producer)
    return written


def pass_through(bootstrap: str, count: int) -> int:
    consumer, producer = clients(bootstrap)
    read = written = 0
    committed_at = time.monotonic()
    producer.begin_transaction()
    while read < count:
        for message in consumer.consume(10_000, 0.05):
            if message.error() is not None:
                continue
            read += 1
            value = message.value()
            if read % 5 == 0:
                producer.produce(SINK, value, message.key(), timestamp=message.timestamp()[1])
                written += 1
        producer.poll(0)
        if time.monotonic() - committed_at > 1:
            commit(consumer, producer)
            committed_at = time.monotonic()
    commit(consumer, producer)
    return written


def clients(bootstrap: str) -> tuple[Consumer, Producer]:
    name = f"bench-{uuid.uuid4().hex[:12]}"
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": name,
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    producer.init_transactions(30)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": name,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "fetch.queue.backoff.ms": 2,
        }
    )
    consumer.assign([TopicPartition(SOURCE, partition, 0) for partition in range(PARTITIONS)])
    return consumer, producer


def commit(consumer: Consumer, producer: Producer) -> None:
    positions = [tp for tp in consumer.position(consumer.assignment()) if tp.offset >= 0]
    producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), 30)
    producer.commit_transaction(30)
    producer.begin_transaction()


def fill(bootstrap: str, count: int) -> None:
    """The input: written once, read by every run."""
    create_topics(bootstrap, {SOURCE: PARTITIONS, SINK: PARTITIONS, "dead": 1})
    parsed = fastavro.parse_schema(json.loads(SCHEMA))
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 50})
    header: list[tuple[str, str | bytes | None]] = [schema_header(SCHEMA)]
    for number, event in enumerate(events(count, seed=42)):
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, parsed, event)
        while True:
            try:
                producer.produce(
                    SOURCE, buffer.getvalue(), str(number), partition=number % PARTITIONS, headers=header
                )
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(60)


def run_once(way: str, bootstrap: str, count: int) -> dict[str, float]:
    """One measured run, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "bench.dataplane",
        "--way",
        way,
        "--bootstrap",
        bootstrap,
        "--events",
        str(count),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=False)
    if done.returncode:
        sys.exit(f"{way} failed:\n{done.stderr[-3000:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(count: int, rounds: int) -> None:
    with reserved_offset() as offset, tempfile.TemporaryDirectory() as folder:
        settings = Settings(state_dir=Path(folder), ports=Ports(offset))
        with LocalStack(settings, ("kafka",)) as stack:
            print(f"writing {count:,} events", flush=True)
            fill(stack.kafka_bootstrap, count)
            results: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            for number in range(rounds):
                for way in WAYS:
                    result = run_once(way, stack.kafka_bootstrap, count)
                    results[way].append(result)
                    rate = count / result["cpu_s"] / 1000
                    print(f"round {number + 1}: {way:<13} {rate:7.1f} K events/CPU-s", flush=True)
            report(count, results)


def report(count: int, results: dict[str, list[dict[str, float]]]) -> None:
    rates = {way: [count / run["cpu_s"] / 1000 for run in runs] for way, runs in results.items()}
    print(f"\n{'':<13} {'median':>8} {'min':>8} {'max':>8}   K events per CPU-second; rows out")
    for way, values in rates.items():
        rows = int(results[way][0]["rows"])
        print(f"{way:<13} {statistics.median(values):8.1f} {min(values):8.1f} {max(values):8.1f}   {rows:,}")
    for other in ("ordinary", "pass-through"):
        ratios = [ours / theirs for ours, theirs in zip(rates["sluice"], rates[other], strict=True)]
        print(
            f"sluice / {other}: {statistics.median(ratios):.2f} (per round: {min(ratios):.2f} to {max(ratios):.2f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--bootstrap", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way is None:
        measure(arguments.events, arguments.rounds)
        return
    way = {"sluice": sluice, "ordinary": ordinary, "pass-through": pass_through}[arguments.way]
    before = cpu_seconds()
    rows = way(arguments.bootstrap, arguments.events)
    print(json.dumps({"cpu_s": cpu_seconds() - before, "rows": rows}))


if __name__ == "__main__":
    main()
