"""Output rows and dead letters as Kafka messages, in the shard's transaction."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol
from uuid import UUID

from libs.codec.framing import VALUE_SCHEMA_ID_HEADER, Guid, guid_header
from libs.dataplane.batches import DeadLetter, Header, InputMessage, OutputBatch
from libs.dataplane.cluster import Cluster, TopicLimits
from sluice.dataplane.v1 import job_spec_pb2

# A record's own framing, its batch's header (Kafka protocol, record batch v2) and the schema header, rounded up.
RECORD_OVERHEAD_BYTES = 192
# What is kept of a value that is too large even for the dead letters.
KEPT_PREFIX_BYTES = 65_536
DETAIL_CHARACTERS = 1000
# The brokers compare timestamps with their own clock, and some time later.
CLOCK_MARGIN_MS = 60_000


class MessageSink(Protocol):
    """What takes messages into a transaction. Raises TransactionLost."""

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        timestamp_ms: int,
        headers: list[Header],
    ) -> None: ...

    def poll(self) -> None: ...


@dataclass(slots=True)
class Written:
    """What one batch put into the transaction."""

    rows: int = 0
    bytes: int = 0
    newest_timestamp_ms: int = 0
    dead_letters: list[str] = field(default_factory=list)


class OutputWriter:
    """Key, timestamp and headers of the input are carried over; only the value's schema header is replaced."""

    def __init__(self, job: str, spec: job_spec_pb2.JobSpec) -> None:
        self._job = job
        self._output = spec.outputs[0]
        self._sink = self._output.sink.topic
        self._dead_topic = spec.dead_letters.topic
        self._sink_limits = TopicLimits(self._sink, spec.limits.message_max_bytes)
        self._dead_limits = TopicLimits(self._dead_topic, spec.limits.message_max_bytes)
        self._spec_limit = self._sink_batch_bytes = spec.limits.message_max_bytes
        guid = self._output.schema_guid
        self._own_headers: list[Header] = (
            [(VALUE_SCHEMA_ID_HEADER, guid_header(Guid(UUID(guid))))] if guid else []
        )

    def learn_limits(self, cluster: Cluster) -> None:
        """Ask for the topics' limits, so that nothing the brokers would refuse enters a transaction.

        Raises KafkaException and TopicMissingError.
        """
        sink = cluster.topic_limits(self._sink)
        self._dead_limits = cluster.topic_limits(self._dead_topic)
        self._sink_batch_bytes = sink.max_bytes
        self._sink_limits = replace(sink, max_bytes=min(sink.max_bytes, self._spec_limit))

    @property
    def largest_message_bytes(self) -> int:
        """No message that is written is larger."""
        return max(self._sink_limits.max_bytes, self._dead_limits.max_bytes)

    @property
    def largest_batch_bytes(self) -> int:
        """The brokers take record batches of up to this size into either topic."""
        return min(self._sink_batch_bytes, self._dead_limits.max_bytes)

    def write(self, batch: OutputBatch, sink: MessageSink, now_ms: int) -> Written:
        """Hand a batch to the transaction. Raises TransactionLost."""
        written = Written()
        messages = batch.source.messages
        produce, topic, own = sink.produce, self._sink, self._own_headers
        limits = self._sink_limits
        limit, oldest, newest = limits.max_bytes, *_timestamp_bounds(limits, now_ms)
        refused: list[DeadLetter] = []
        for value, ordinal in zip(batch.values, batch.ordinals, strict=True):
            message = messages[ordinal]
            key = message.key()
            timestamp_ms = message.timestamp()[1]
            headers = self._headers(message.headers(), own)
            size = len(value) + len(key or b"") + RECORD_OVERHEAD_BYTES
            if headers is not own:
                size += _headers_bytes(headers)
            if size > limit:
                detail = f"the output has {size} bytes with key and headers; {topic} takes {limit}"
                refused.append(DeadLetter(ordinal, "OUTPUT_TOO_LARGE", detail))
            elif not oldest <= timestamp_ms <= newest:
                detail = f"{topic} takes no record with the timestamp {timestamp_ms}"
                refused.append(DeadLetter(ordinal, "OUTPUT_REFUSED", detail))
            elif key is None and limits.needs_key:
                refused.append(
                    DeadLetter(ordinal, "OUTPUT_REFUSED", f"{topic} takes no record without a key")
                )
            else:
                produce(topic, value, key, timestamp_ms, headers)
                written.rows += 1
                written.bytes += len(value)
        for letter in (*batch.source.dead_letters, *refused):
            self._write_dead_letter(messages[letter.ordinal], letter, sink, now_ms)
            written.dead_letters.append(letter.reason)
        if messages:
            written.newest_timestamp_ms = messages[-1].timestamp()[1]
        sink.poll()
        return written

    def _headers(self, carried: list[Header] | None, own: list[Header]) -> list[Header]:
        if not carried or (len(carried) == 1 and carried[0][0] == VALUE_SCHEMA_ID_HEADER):
            return own
        return [header for header in carried if header[0] != VALUE_SCHEMA_ID_HEADER] + own

    def _write_dead_letter(
        self, message: InputMessage, letter: DeadLetter, sink: MessageSink, now_ms: int
    ) -> None:
        value, key, timestamp_ms = message.value(), message.key(), message.timestamp()[1]
        headers = list(message.headers() or [])
        described: list[Header] = [
            ("sluice-reason", letter.reason.encode()),
            ("sluice-detail", letter.detail[:DETAIL_CHARACTERS].encode(errors="replace")),
            ("sluice-subscription", self._output.subscription.encode()),
            ("sluice-job", self._job.encode()),
            ("sluice-topic", message.topic().encode()),
            ("sluice-partition", str(message.partition()).encode()),
            ("sluice-offset", str(message.offset()).encode()),
        ]
        oldest, newest = _timestamp_bounds(self._dead_limits, now_ms)
        if not oldest <= timestamp_ms <= newest:
            described.append(("sluice-timestamp", str(timestamp_ms).encode()))
            timestamp_ms = now_ms
        if key is None and self._dead_limits.needs_key:
            key = b""
        limit = self._dead_limits.max_bytes - RECORD_OVERHEAD_BYTES
        size = len(value or b"") + len(key or b"") + _headers_bytes(headers) + _headers_bytes(described)
        if size > limit:
            described.append(("sluice-truncated", hashlib.sha256(value or b"").hexdigest().encode()))
            kept = max(0, min(KEPT_PREFIX_BYTES, limit // 4))
            value = value[:kept] if value is not None else None
            key = key[:kept] if key is not None else None
            room = limit - _headers_bytes(described) - len(value or b"") - len(key or b"")
            headers = _headers_within(headers, room)
        sink.produce(self._dead_topic, value, key, timestamp_ms, headers + described)


def _timestamp_bounds(limits: TopicLimits, now_ms: int) -> tuple[int, int]:
    """The oldest and newest timestamp that the topic takes now, milliseconds, with a margin for the clocks."""
    oldest = now_ms - limits.oldest_ms + CLOCK_MARGIN_MS
    newest = now_ms + limits.newest_ms - CLOCK_MARGIN_MS
    return oldest, max(newest, now_ms)


def _headers_bytes(headers: Sequence[Header]) -> int:
    return sum(
        (len(name) if name.isascii() else len(name.encode())) + len(content or b"") + 10
        for name, content in headers
    )


def _headers_within(headers: Sequence[Header], room_bytes: int) -> list[Header]:
    """The headers, in order, without those for which there is no room."""
    kept: list[Header] = []
    for header in headers:
        size = _headers_bytes([header])
        if size <= room_bytes:
            kept.append(header)
            room_bytes -= size
    return kept
