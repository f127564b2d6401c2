"""Sends the tenants' events to Kafka as Avro: a backlog first, then for ever at a steady rate."""

import io
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import fastavro
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from deploy.demo.schemas import Event
from libs.codec.framing import VALUE_SCHEMA_ID_HEADER, Guid, guid_header

MICROS = 1_000_000
TICK_S = 0.05


@dataclass(frozen=True)
class Stream:
    """One tenant's events: `events` are repeated without end, written with the schema (Avro JSON) of `guid`."""

    tenant: str
    topic: str
    schema: str
    guid: uuid.UUID
    events: Sequence[Event]


def encoder(schema: str) -> Callable[[Event], bytes]:
    """Event to bare Avro datum."""
    parsed = fastavro.parse_schema(json.loads(schema))

    def encode(event: Event) -> bytes:
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, parsed, event)
        return buffer.getvalue()

    return encode


def at(event: Event, micros: int) -> Event:
    """The same event at another time."""
    return {**event, "ts": micros}


class Feed:
    """A producer for all streams; `acknowledged` counts, per tenant, what Kafka has confirmed."""

    def __init__(self, bootstrap_servers: str, streams: Sequence[Stream]) -> None:
        self._streams = streams
        self._encoders = [encoder(stream.schema) for stream in streams]
        self._sent = [0 for _ in streams]
        self._acknowledged = {stream.tenant: 0 for stream in streams}
        self._failure: KafkaError | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 20,
                "compression.type": "lz4",
                "message.timeout.ms": 30_000,
                # Retries of a starting broker are no news for the person who watches.
                "log_level": 2,
            }
        )

    @property
    def acknowledged(self) -> Mapping[str, int]:
        return dict(self._acknowledged)

    def send_backlog(self, count: int, per_second: int, now: float) -> None:
        """Sends `count` events a stream, dated as if they had come at `per_second` until `now`, and waits for Kafka.

        Raises KafkaException when Kafka does not take them.
        """
        for index in range(len(self._streams)):
            for number in range(count):
                self._send(index, int((now - (count - number) / per_second) * MICROS))
        if self._producer.flush(60) or self._failure is not None:
            raise KafkaException(self._failure or KafkaError(KafkaError._MSG_TIMED_OUT))

    def start(self, per_second: int) -> None:
        """Goes on at `per_second` events a stream, in a thread, until `stop`."""
        self._thread = threading.Thread(target=self._run, args=(per_second,), name="feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; what is still queued is flushed for a moment and then dropped."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(2)
        self._producer.flush(2)

    def _run(self, per_second: int) -> None:
        began, done = time.monotonic(), 0
        while not self._stopping.wait(TICK_S):
            due = int((time.monotonic() - began) * per_second)
            now = int(time.time() * MICROS)
            for _ in range(due - done):
                for index in range(len(self._streams)):
                    self._send(index, now)
            done = due

    def _send(self, index: int, micros: int) -> None:
        stream = self._streams[index]
        event = at(stream.events[self._sent[index] % len(stream.events)], micros)
        self._sent[index] += 1
        value = self._encoders[index](event)
        headers: list[tuple[str, str | bytes | None]] = [
            (VALUE_SCHEMA_ID_HEADER, guid_header(Guid(stream.guid)))
        ]

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                self._acknowledged[stream.tenant] += 1
            else:
                self._failure = error

        while True:
            try:
                self._producer.produce(
                    stream.topic, value, str(event["uid"]), headers=headers, on_delivery=delivered
                )
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)
