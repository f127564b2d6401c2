"""Output rows and dead letters as Kafka messages, in the shard's transaction."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from libs.codec.framing import VALUE_SCHEMA_ID_HEADER, Guid, guid_header
from libs.dataplane.batches import DeadLetter, Header, InputMessage, OutputBatch
from libs.dataplane.cluster import Cluster
from sluice.dataplane.v1 import job_spec_pb2

# A record's own framing, and its batch's header (Kafka protocol, record batch v2), rounded up.
RECORD_OVERHEAD_BYTES = 128
# What is kept of a value that is too large even for the dead letters.
KEPT_PREFIX_BYTES = 65_536


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
        self._spec_limit = spec.limits.message_max_bytes
        self._sink_limit = self._dead_limit = self._spec_limit
        guid = self._output.schema_guid
        self._own_headers: list[Header] = (
            [(VALUE_SCHEMA_ID_HEADER, guid_header(Guid(UUID(guid))))] if guid else []
        )

    def learn_limits(self, cluster: Cluster) -> int:
        """Ask for the topics' limits, so that nothing the brokers would refuse enters a transaction.

        Returns the larger of the two, bytes. Raises KafkaException.
        """
        self._sink_limit = min(self._spec_limit, cluster.message_max_bytes(self._sink))
        self._dead_limit = cluster.message_max_bytes(self._dead_topic)
        return max(self._sink_limit, self._dead_limit)

    def write(self, batch: OutputBatch, sink: MessageSink) -> Written:
        """Hand a batch to the transaction. Raises TransactionLost."""
        written = Written()
        messages = batch.source.messages
        produce, topic, limit, own = sink.produce, self._sink, self._sink_limit, self._own_headers
        too_large: list[DeadLetter] = []
        for value, ordinal in zip(batch.values, batch.ordinals, strict=True):
            message = messages[ordinal]
            key = message.key()
            headers = self._headers(message.headers(), own)
            size = len(value) + len(key or b"") + RECORD_OVERHEAD_BYTES
            if headers is not own:
                size += _headers_bytes(headers)
            if size > limit:
                detail = f"the output has {size} bytes with key and headers; {topic} takes {limit}"
                too_large.append(DeadLetter(ordinal, "OUTPUT_TOO_LARGE", detail))
                continue
            produce(topic, value, key, message.timestamp()[1], headers)
            written.rows += 1
            written.bytes += len(value)
        for letter in (*batch.source.dead_letters, *too_large):
            self._write_dead_letter(messages[letter.ordinal], letter, sink)
            written.dead_letters.append(letter.reason)
        if messages:
            written.newest_timestamp_ms = messages[-1].timestamp()[1]
        sink.poll()
        return written

    def _headers(self, carried: list[Header] | None, own: list[Header]) -> list[Header]:
        if not carried or (len(carried) == 1 and carried[0][0] == VALUE_SCHEMA_ID_HEADER):
            return own
        return [header for header in carried if header[0] != VALUE_SCHEMA_ID_HEADER] + own

    def _write_dead_letter(self, message: InputMessage, letter: DeadLetter, sink: MessageSink) -> None:
        value, key = message.value(), message.key()
        headers = list(message.headers() or [])
        described: list[Header] = [
            ("sluice-reason", letter.reason.encode()),
            ("sluice-detail", letter.detail[:1000].encode()),
            ("sluice-subscription", self._output.subscription.encode()),
            ("sluice-job", self._job.encode()),
            ("sluice-topic", message.topic().encode()),
            ("sluice-partition", str(message.partition()).encode()),
            ("sluice-offset", str(message.offset()).encode()),
        ]
        size = len(value or b"") + len(key or b"") + _headers_bytes(headers) + _headers_bytes(described)
        if size + RECORD_OVERHEAD_BYTES > self._dead_limit:
            described.append(("sluice-truncated", hashlib.sha256(value or b"").hexdigest().encode()))
            kept = min(KEPT_PREFIX_BYTES, self._dead_limit // 4)
            value = value[:kept] if value is not None else None
            key = key[:kept] if key is not None else None
            headers = [header for header in headers if _headers_bytes([header]) <= 1024][:16]
        sink.produce(self._dead_topic, value, key, message.timestamp()[1], headers + described)


def _headers_bytes(headers: Sequence[Header]) -> int:
    return sum(len(name) + len(content or b"") + 10 for name, content in headers)
