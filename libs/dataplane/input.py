"""The reading half of a shard: one assigned consumer for its partitions and for the job's control record."""

import time
from collections.abc import Mapping, Sequence
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # re-exported without __all__

from libs.codec.framing import SchemaRef
from libs.dataplane.batches import InputMessage, MessageBatch, PositionRange, ShardIdentity
from libs.dataplane.cluster import Cluster
from libs.dataplane.control import ControlInbox
from libs.dataplane.grouping import Grouping, MessageGrouper
from libs.dataplane.naming import CONTROL_TOPIC, consumer_group, control_partition
from libs.dataplane.positions import Committed, PartitionKey, parse_metadata
from libs.dataplane.reports import ShardReporter
from libs.dataplane.schemas import Pending, WriterSchemas
from sluice.dataplane.v1 import job_spec_pb2

_RETRY_S = 1.0
_TOPIC_GONE = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)
# A new writer schema is usually known within milliseconds; only a longer wait is worth a report.
_QUIET_WAIT_S = 2.0


class ShardInput:
    """Reads from given positions and knows, per partition, the position after what it delivered.

    A position is the offset of the next record to read: transaction markers and aborted records are passed over, which
    the client tells by its end-of-partition event.
    """

    def __init__(
        self,
        identity: ShardIdentity,
        spec: job_spec_pb2.JobSpec,
        cluster: Cluster,
        schemas: WriterSchemas,
        reporter: ShardReporter,
    ) -> None:
        self.control = ControlInbox(identity.job, identity.incarnation)
        self._identity = identity
        self._limits = spec.limits
        self._cluster = cluster
        self._schemas = schemas
        self._reporter = reporter
        self._grouper = MessageGrouper(schemas)
        self._positions: dict[PartitionKey, int] = {}
        self._waiting: dict[PartitionKey, SchemaRef] = {}
        self._waiting_since: float | None = None
        self._retry_at: dict[PartitionKey, float] = {}
        self._control_at: TopicPartition | None = None
        self._control_read = False
        self._find_control_at = 0.0
        self._fresh = False
        # True when the client's errors mean that a topic may have been deleted, or deleted and created again.
        self.in_doubt = False
        group = consumer_group(identity.job)
        self._consumer = Consumer(
            {
                "bootstrap.servers": spec.source.topics[0].bootstrap_servers,
                "group.id": group,
                "client.id": f"{group}.{identity.shard}",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                # Also makes OffsetFetch wait for the open transactions of a predecessor (KIP-447 require-stable).
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "fetch.queue.backoff.ms": 2,
                # What one poll can hold at most, about: it takes what was fetched, however large the messages.
                "queued.max.messages.kbytes": 65_536,
                "receive.message.max.bytes": 1_000_000_000,
                "allow.auto.create.topics": False,
            }
        )

    @property
    def positions(self) -> Mapping[PartitionKey, int]:
        """The partitions that are read, each with the offset of its next record."""
        return self._positions

    def group_metadata(self) -> object:
        """What a transaction needs to commit positions to the job's group."""
        return self._consumer.consumer_group_metadata()

    def close(self) -> None:
        """Leave; nothing is committed."""
        self._consumer.close()

    # ---- positions -----------------------------------------------------------------------------------------

    def committed(self, keys: Sequence[PartitionKey]) -> dict[PartitionKey, Committed]:
        """Positions in the job's group, after open transactions have ended. Raises KafkaException."""
        found = {}
        for tp in self._consumer.committed([TopicPartition(key.topic, key.partition) for key in keys], 10.0):
            if tp.error is not None:
                raise KafkaException(tp.error)
            if tp.offset >= 0:
                found[PartitionKey(tp.topic, tp.partition)] = parse_metadata(tp.offset, tp.metadata)
        return found

    def read_from(self, positions: Mapping[PartitionKey, int]) -> None:
        """Read just these partitions, from these offsets; forgets what was fetched before, unless it still fits.

        Called before a claim as well, so that the first records are there when it is done.
        """
        self.in_doubt = False
        if self._fresh and positions == self._positions:
            return
        self._positions = dict(positions)
        self._fresh = True
        self._waiting.clear()
        self._retry_at.clear()
        self._assign()

    def lag(self, committed: Mapping[PartitionKey, int]) -> int:
        """Records between committed positions and the ends of the partitions, as far as the client knows them."""
        lag = 0
        for key, position in committed.items():
            try:
                tp = TopicPartition(key.topic, key.partition)
                _, end = self._consumer.get_watermark_offsets(tp, cached=True)
            except KafkaException:
                continue
            lag += max(0, end - position)
        return lag

    # ---- reading -------------------------------------------------------------------------------------------

    def poll(self) -> MessageBatch | None:
        """The next batch, or None when nothing came within the batch's wait."""
        started = time.perf_counter()
        self._fresh = False
        if self._mend_control():
            self._assign()
        polled = self._consumer.consume(self._limits.batch_rows, self._limits.batch_wait_ms / 1000)
        grouping = self._grouper.group(self._sort_out(polled), self._positions)
        ranges = [
            PositionRange(key, self._positions[key], following)
            for key, following in grouping.next_positions.items()
            if following != self._positions[key]
        ]
        for span in ranges:
            self._positions[span.key] = span.next
        self._hold_back(grouping)
        counters = self._reporter.counters
        counters.events_in += len(grouping.messages)
        counters.bytes_in += grouping.bytes
        counters.stage_seconds["read"] += time.perf_counter() - started
        self._reporter.writer_schema_guids |= grouping.schema_guids
        if not ranges:
            return None
        return MessageBatch(
            self._identity,
            self._reporter.worker,
            grouping.messages,
            grouping.groups,
            ranges,
            grouping.dead_letters,
        )

    def listen(self, seconds: float) -> None:
        """Wait, hearing only the control record."""
        self._fresh = False
        if self._positions or self._mend_control():
            self._positions = {}
            self._assign()
        self._sort_out(self._consumer.consume(1000, seconds))

    def _sort_out(self, polled: list[Message]) -> list[InputMessage]:
        """Take out control records and the client's events; what remains is input."""
        data: list[InputMessage] = []
        for message in polled:
            error = message.error()
            known = cast(InputMessage, message)
            if error is not None:
                self._client_event(known, error)
            elif message.topic() == CONTROL_TOPIC:
                self._hear(known)
            else:
                data.append(known)
        return data

    def _client_event(self, event: InputMessage, error: KafkaError) -> None:
        code = error.code()
        is_control = event.topic() == CONTROL_TOPIC
        if code == KafkaError._PARTITION_EOF:
            key = PartitionKey(event.topic(), event.partition())
            if is_control:
                self._control_read = True
            elif key in self._positions:
                self._grouper.end_of_partition(key, event.offset())
        elif is_control and code == KafkaError._AUTO_OFFSET_RESET:
            # The topic was made anew, or compaction passed the shard by: read it from its start again.
            self._control_at = None
        elif code == KafkaError._AUTO_OFFSET_RESET:
            key = PartitionKey(event.topic(), event.partition())
            if key in self._positions:
                self._out_of_range(key)
        else:
            self.in_doubt = self.in_doubt or (code in _TOPIC_GONE and not is_control)
            self._reporter.error("KAFKA_UNAVAILABLE", f"{error.name()}: {error.str()}")

    def _out_of_range(self, key: PartitionKey) -> None:
        """The position is not in the partition any more: count what retention took, or refuse to guess."""
        position = self._positions[key]
        # It may be another topic of the same name, whose offsets mean nothing: the session looks before it commits.
        self.in_doubt = True
        try:
            earliest = self._cluster.offsets([key], OffsetSpec.earliest())[key]
        except KafkaException as error:
            self._reporter.error("KAFKA_UNAVAILABLE", str(error.args[0]))
            self._pause_until(key, time.monotonic() + _RETRY_S)
            return
        if position >= earliest:
            self._reporter.error(
                "OFFSET_BEYOND_END",
                f"{key}: position {position} is past the end of the partition (Kafka lost records); nothing is read "
                "from it until an operator sets the offset and restarts the job",
            )
            self._pause_until(key, time.monotonic() + 10 * _RETRY_S)
            return
        lost = earliest - position
        self._reporter.counters.records_lost += lost
        self._reporter.error("RECORDS_LOST", f"{key}: retention removed {lost} records before they were read")
        self._grouper.end_of_partition(key, earliest)
        self._assign({key: earliest})

    def _pause_until(self, key: PartitionKey, when: float) -> None:
        self._retry_at[key] = when
        self._assign()

    def _hold_back(self, grouping: Grouping) -> None:
        """Leave out partitions whose next message has a writer schema not known yet, and take back those that have."""
        now = time.monotonic()
        self._schemas.tend()
        known = [key for key, ref in self._waiting.items() if not isinstance(self._schemas.get(ref), Pending)]
        due = [key for key, when in self._retry_at.items() if now >= when]
        for key in known:
            del self._waiting[key]
        for key in due:
            del self._retry_at[key]
        self._waiting |= grouping.held_back
        if known or due or grouping.held_back:
            self._assign()
        if not self._waiting:
            self._waiting_since = None
            if grouping.messages:
                self.report_health()
            return
        self._waiting_since = self._waiting_since or now
        if now - self._waiting_since >= _QUIET_WAIT_S:
            self._report_waiting()

    def report_health(self) -> None:
        """Kafka answers: unless a partition waits for something, whatever stalled the shard is over."""
        if not self._waiting and not self._retry_at:
            self._reporter.well()

    def _report_waiting(self) -> None:
        names = ", ".join(map(str, sorted(self._waiting)[:10]))
        for ref in set(self._waiting.values()):
            answer = self._schemas.get(ref)
            if isinstance(answer, Pending) and answer.unavailable:
                self._reporter.error("REGISTRY_UNAVAILABLE", f"{names} wait: {answer.unavailable}")
                return
        self._reporter.error(
            "WRITER_SCHEMA_PENDING", f"{names} wait for a writer schema that the registry does not know"
        )

    def _assign(self, override: Mapping[PartitionKey, int] | None = None) -> None:
        """Fetch from the current positions; partitions that wait are left out."""
        positions = self._positions | dict(override or {})
        assignment = [
            TopicPartition(key.topic, key.partition, offset)
            for key, offset in positions.items()
            if key not in self._waiting and key not in self._retry_at
        ]
        if self._control_at is not None:
            assignment.append(
                TopicPartition(CONTROL_TOPIC, self._control_at.partition, self._control_at.offset)
            )
        self._consumer.assign(assignment)

    # ---- control -------------------------------------------------------------------------------------------

    def control_is_read(self) -> bool:
        """Learn a little more of what the deployer said so far; True once there is no more. Waits up to a second."""
        if self._mend_control():
            self._assign()
        if self._control_at is None:
            time.sleep(_RETRY_S)
            return False
        self._sort_out(self._consumer.consume(1000, 1.0))
        return self._control_read

    def _mend_control(self) -> bool:
        """Find the control partition when it is not known, trying once a second; True when it has been found now."""
        now = time.monotonic()
        if self._control_at is not None or now < self._find_control_at:
            return False
        self._find_control_at = now + _RETRY_S
        try:
            self._control_at = self._find_control()
        except KafkaException as error:
            self._reporter.error("KAFKA_UNAVAILABLE", str(error.args[0]))
        return self._control_at is not None

    def _find_control(self) -> TopicPartition | None:
        count = self._cluster.partition_count(CONTROL_TOPIC)
        if not count:
            self._reporter.error("CONTROL_TOPIC_MISSING", f"topic {CONTROL_TOPIC} does not exist")
            return None
        tp = TopicPartition(CONTROL_TOPIC, control_partition(self._identity.job, count))
        earliest, _ = self._consumer.get_watermark_offsets(tp, timeout=10.0)
        return TopicPartition(tp.topic, tp.partition, max(earliest, 0))

    def _hear(self, message: InputMessage) -> None:
        if self._control_at is not None:
            self._control_at.offset = message.offset() + 1
        self.control.receive(message)
