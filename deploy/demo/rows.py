"""What the tenants get: a read-committed consumer of their output topics."""

import datetime
import io
import json
import statistics
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    """Reads the output topics from their beginning; rows of open or aborted transactions are not seen.

    Rows of the `audited` topics name their input event by columns `p` and `o`; the different ones are counted.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Sequence[str],
        audited: Sequence[str],
        schema_of: Callable[[uuid.UUID], str],
    ) -> None:
        self._received = {topic: Received() for topic in topics}
        self._origins: dict[str, set[tuple[int, int]]] = {topic: set() for topic in audited}
        self._decoder = RowDecoder(schema_of)
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": f"demo-{uuid.uuid4()}",
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "fetch.queue.backoff.ms": 2,
                "log_level": 2,
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
                self._audit(message)
                # The row carries the timestamp of the event that it was made from.
                received.delays_ms.append(int(time.time() * 1000) - message.timestamp()[1])

    def counts(self) -> Mapping[str, int]:
        """Rows since the start, by topic."""
        return {topic: received.rows for topic, received in self._received.items()}

    def origins(self) -> Mapping[str, int]:
        """Different input events that the rows of each audited topic come from; as many as rows if none is there twice.

        A topic is left out once a row does not name its origin, because somebody has changed the statement.
        """
        return {topic: len(origins) for topic, origins in self._origins.items()}

    def _audit(self, message: Message) -> None:
        topic = str(message.topic())
        if topic in self._origins:
            row = self._decoder.decode(message)
            if row is not None and "p" in row and "o" in row:
                self._origins[topic].add((row["p"], row["o"]))
            else:
                del self._origins[topic]

    def text(self, message: Message) -> str:
        """One row for people; raises grpc.RpcError when its schema cannot be had."""
        return self._decoder.text(message)

    def take(self) -> Mapping[str, Window]:
        """What came since the last call, by topic."""
        windows = {}
        for topic, received in self._received.items():
            delay = statistics.median(received.delays_ms) if received.delays_ms else None
            windows[topic] = Window(received.rows, received.newest, delay)
            received.newest, received.delays_ms = None, []
        return windows


class RowDecoder:
    """Rows of messages; Avro is decoded with the writer schema that the header names, asked for once.

    Raises grpc.RpcError when the registry does not answer.
    """

    def __init__(self, schema_of: Callable[[uuid.UUID], str]) -> None:
        self._schema_of = schema_of
        self._parsed: dict[uuid.UUID, Schema] = {}

    def decode(self, message: Message) -> dict[str, Any] | None:
        """The row of an Avro message; None for other messages."""
        guid = _writer(message)
        if guid is None:
            return None
        if guid not in self._parsed:
            self._parsed[guid] = fastavro.parse_schema(json.loads(self._schema_of(guid)))
        row = fastavro.schemaless_reader(io.BytesIO(message.value() or b""), self._parsed[guid], None)
        assert isinstance(row, dict)
        return row

    def text(self, message: Message) -> str:
        """JSON as it is, Avro in the same form."""
        row = self.decode(message)
        if row is None:
            return (message.value() or b"").decode()
        return json.dumps(row, default=_json, ensure_ascii=False, separators=(",", ":"))


def _json(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime.datetime) else str(value)


def _writer(message: Message) -> uuid.UUID | None:
    """The GUID in the header; None for a message that is no Avro."""
    identity = dict(message.headers() or ()).get(VALUE_SCHEMA_ID_HEADER)
    return uuid.UUID(bytes=identity[1:]) if isinstance(identity, bytes) else None
