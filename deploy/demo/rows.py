"""What the tenants get: a read-committed consumer of their output topics."""

import io
import json
import statistics
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import fastavro
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from fastavro.types import Schema

from libs.codec.framing import VALUE_SCHEMA_ID_HEADER

POLL_ROWS = 1000
POLL_WAIT_S = 0.05


@dataclass
class Received:
    """Rows of one topic: all of them since the start, and what came since `take` was last called."""

    rows: int = 0
    newest: Message | None = None
    delays_ms: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Window:
    """Rows so far, the newest row since the last window, and the median age of rows when they arrived here."""

    rows: int
    newest: Message | None
    delay_ms: float | None


class RowReader:
    """Reads the output topics from their beginning; rows of open or aborted transactions are not seen."""

    def __init__(self, bootstrap_servers: str, topics: Sequence[str]) -> None:
        self._received = {topic: Received() for topic in topics}
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": f"demo-{uuid.uuid4()}",
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "fetch.queue.backoff.ms": 2,
            }
        )
        known = self._consumer.list_topics(timeout=30).topics
        self._consumer.assign(
            [TopicPartition(topic, partition, 0) for topic in topics for partition in known[topic].partitions]
        )

    def close(self) -> None:
        self._consumer.close()

    def poll(self, until: float) -> None:
        """Reads until the monotonic clock says `until`. Raises KafkaException."""
        while time.monotonic() < until:
            for message in self._consumer.consume(POLL_ROWS, POLL_WAIT_S):
                error = message.error()
                if error is not None:
                    if error.retriable():
                        continue
                    raise KafkaException(error)
                received = self._received[str(message.topic())]
                received.rows += 1
                received.newest = message
                # The row carries the timestamp of the event that it was made from.
                received.delays_ms.append(int(time.time() * 1000) - message.timestamp()[1])

    def counts(self) -> Mapping[str, int]:
        """Rows since the start, by topic."""
        return {topic: received.rows for topic, received in self._received.items()}

    def take(self) -> Mapping[str, Window]:
        """What came since the last call, by topic."""
        windows = {}
        for topic, received in self._received.items():
            delay = statistics.median(received.delays_ms) if received.delays_ms else None
            windows[topic] = Window(received.rows, received.newest, delay)
            received.newest, received.delays_ms = None, []
        return windows


class RowText:
    """One row as text: JSON as it is; Avro decoded with the writer schema that its header names."""

    def __init__(self, schema_of: Callable[[uuid.UUID], str]) -> None:
        self._schema_of = schema_of
        self._parsed: dict[uuid.UUID, Schema] = {}

    def __call__(self, message: Message) -> str:
        """Raises grpc.RpcError when the registry does not answer."""
        value = message.value() or b""
        headers = dict(message.headers() or ())
        identity = headers.get(VALUE_SCHEMA_ID_HEADER)
        if not isinstance(identity, bytes):
            return value.decode()
        guid = uuid.UUID(bytes=identity[1:])
        if guid not in self._parsed:
            self._parsed[guid] = fastavro.parse_schema(json.loads(self._schema_of(guid)))
        row = fastavro.schemaless_reader(io.BytesIO(value), self._parsed[guid], None)
        return json.dumps(row, default=str, ensure_ascii=False, separators=(",", ":"))
