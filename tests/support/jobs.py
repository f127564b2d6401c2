"""Job specs and Avro events for tests, without the services."""

import io
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import fastavro
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without __all__
    AdminClient,
    NewTopic,
    OffsetSpec,
)

from libs.codec.framing import VALUE_SCHEMA_ID_HEADER, Guid, guid_header
from libs.codec.guid import guid
from libs.codec.messages import decoded_schema
from libs.codec.schema import canonical, prune
from libs.codec.types import avro_schema_for
from libs.dataplane.cluster import Cluster, TopicMissingError
from libs.dataplane.naming import CONTROL_TOPIC, REPORTS_TOPIC
from libs.sql import compile_query
from sluice.dataplane.v1 import job_spec_pb2
from tests.support.waiting import eventually

EVENT_SCHEMA = canonical(
    json.dumps(
        {
            "type": "record",
            "name": "Event",
            "namespace": "test",
            "fields": [
                {"name": "number", "type": "long"},
                {"name": "action", "type": "string"},
                {"name": "note", "type": ["null", "string"], "default": None},
            ],
        }
    )
)


def job_spec(
    bootstrap_servers: str,
    *,
    topics: Sequence[str] = ("in",),
    sql: str = "SELECT number, _partition AS p, _offset AS o FROM events",
    output_format: job_spec_pb2.OutputFormat = job_spec_pb2.OUTPUT_FORMAT_JSON,
    schema: str = EVENT_SCHEMA,
    sink: str = "out",
    shards: int = 1,
    start: job_spec_pb2.StartPosition | None = None,
    registry: str = "127.0.0.1:1",
    limits: Mapping[str, int] | None = None,
) -> job_spec_pb2.JobSpec:
    """The spec of a job that runs `sql` from `topics` to `sink` on one cluster."""
    compiled = compile_query(sql, decoded_schema(schema))
    output_schema = avro_schema_for(compiled.output_schema, "Row", "test.out")
    avro = output_format == job_spec_pb2.OUTPUT_FORMAT_AVRO

    def topic(name: str) -> job_spec_pb2.Topic:
        return job_spec_pb2.Topic(cluster="clusters/test", bootstrap_servers=bootstrap_servers, topic=name)

    bounds = {
        "batch_rows": 10_000,
        "batch_wait_ms": 50,
        "commit_interval_min_ms": 100,
        "commit_interval_max_ms": 1000,
        "transaction_timeout_ms": 10_000,
        "message_max_bytes": 1_000_000,
        **(limits or {}),
    }
    return job_spec_pb2.JobSpec(
        tenant="tenants/test",
        source=job_spec_pb2.Source(
            dataset="datasets/test",
            topics=[topic(name) for name in topics],
            start_position=start
            or job_spec_pb2.StartPosition(earliest=job_spec_pb2.StartPosition.Earliest()),
            schema_guid=str(guid(schema)),
            reader_schema=prune(schema, compiled.referenced),
            referenced_fields=sorted(".".join(path) for path in compiled.referenced),
            pseudo_columns=sorted(compiled.pseudo_columns),
            schema_registry=registry,
        ),
        outputs=[
            job_spec_pb2.Output(
                subscription="tenants/test/subscriptions/test",
                sql=sql,
                format=output_format,
                sink=topic(sink),
                schema=output_schema,
                schema_guid=str(guid(output_schema)) if avro else "",
            )
        ],
        engine=job_spec_pb2.ENGINE_ARROW,
        dead_letters=topic("dead"),
        shards=shards,
        limits=job_spec_pb2.Limits(**bounds),
        pipeline_version="1",
    )


def schema_header(schema: str = EVENT_SCHEMA) -> tuple[str, bytes]:
    """The header that names a schema."""
    return VALUE_SCHEMA_ID_HEADER, guid_header(Guid(uuid.UUID(str(guid(schema)))))


def encode_event(event: Mapping[str, Any], schema: str = EVENT_SCHEMA) -> bytes:
    """One bare Avro datum, by fastavro."""
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(json.loads(schema)), dict(event))
    return buffer.getvalue()


def create_topics(
    bootstrap_servers: str, topics: Mapping[str, int], config: Mapping[str, str] | None = None
) -> None:
    """Create topics (name → partitions) that do not exist yet, and the two of the control plane."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    wanted = [NewTopic(name, partitions, 1, config=dict(config or {})) for name, partitions in topics.items()]
    wanted += [
        NewTopic(CONTROL_TOPIC, 2, 1, config={"cleanup.policy": "compact"}),
        NewTopic(REPORTS_TOPIC, 1, 1),
    ]
    for future in admin.create_topics(wanted).values():
        error = future.exception(30)
        if error is not None and error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise error
    cluster = Cluster(bootstrap_servers)
    eventually(lambda: _has_leaders(cluster, [*topics, CONTROL_TOPIC]), what="every partition has a leader")


def _has_leaders(cluster: Cluster, topics: Sequence[str]) -> bool:
    try:
        keys = [key for view in cluster.topics(topics) for key in view.partition_keys()]
        cluster.offsets(keys, OffsetSpec.latest())
    except (KafkaException, TopicMissingError):
        return False
    return True


def produce_events(
    producer: Producer, topic: str, numbers: Sequence[int], partitions: int, schema: str = EVENT_SCHEMA
) -> None:
    """Events `number` = n, key = n mod 97, to partition n mod `partitions`."""
    header: list[tuple[str, str | bytes | None]] = [schema_header(schema)]
    for number in numbers:
        value = encode_event({"number": number, "action": "allow", "note": None}, schema)
        while True:
            try:
                producer.produce(
                    topic, value, str(number % 97), partition=number % partitions, headers=header
                )
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(30)


def end_offsets(bootstrap_servers: str, topic: str) -> int:
    """Sum of the offsets after the last committed record of each partition; transaction markers count too."""
    cluster = Cluster(bootstrap_servers)
    (view,) = cluster.topics([topic])
    return sum(cluster.offsets(view.partition_keys(), OffsetSpec.latest()).values())


def read_topic(bootstrap_servers: str, topic: str, idle_s: float = 3.0) -> list[Message]:
    """Every committed record of a topic, until all partitions are at their end."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"reader-{uuid.uuid4()}",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    try:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        open_partitions, found = set(partitions), []
        while open_partitions:
            batch = consumer.consume(10_000, idle_s)
            if not batch:
                break
            for message in batch:
                error = message.error()
                if error is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_partitions.discard(message.partition())
        return found
    finally:
        consumer.close()
