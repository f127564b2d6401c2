"""One shard of a job: its consumer, its transactional producer, its positions. The exactly-once protocol lives here.

See docs/adr/0002-exactly-once.md. Used by one thread: the reader asks for batches, and between two of them the fused stages
downstream have handed their messages to `write`.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # re-exported without __all__

from libs.dataplane.batches import InputMessage, MessageBatch, OutputBatch, PositionRange, ShardIdentity
from libs.dataplane.cluster import Cluster, TopicMissingError
from libs.dataplane.control import ControlInbox
from libs.dataplane.grouping import Grouping, MessageGrouper
from libs.dataplane.messages import OutputWriter
from libs.dataplane.naming import CONTROL_TOPIC, consumer_group, control_partition, transactional_id
from libs.dataplane.positions import (
    ClaimPlan,
    Committed,
    Origin,
    PartitionKey,
    TopicView,
    encode_metadata,
    parse_metadata,
    plan_claim,
    shard_of,
)
from libs.dataplane.reports import Counters, Phase, ShardReporter
from libs.dataplane.schemas import WriterSchemas
from libs.dataplane.transactions import TransactionalProducer, TransactionLost
from sluice.dataplane.v1 import control_pb2, job_spec_pb2

DISCOVERY_INTERVAL_S = 10.0
# A commit may take this share of the time; it stretches the interval between commits under load.
COMMIT_SHARE = 0.05
_DAY_S = 86_400.0
_RETRY_S = 1.0


class End(Enum):
    """Why a session ended for good."""

    STOPPED = auto()
    SUPERSEDED = auto()


class _Ended(Exception):
    def __init__(self, end: End) -> None:
        super().__init__(end.name)
        self.end = end


class _NotYet(Exception):
    """Claiming cannot go on now; `reason` is reported and the claim tried again."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ShardSession:
    """Reads, commits, claims and gives up, as one shard. `wanted` is asked in every wait; False ends the session."""

    def __init__(
        self,
        identity: ShardIdentity,
        spec: job_spec_pb2.JobSpec,
        reporter: ShardReporter,
        schemas: WriterSchemas,
    ) -> None:
        self.identity = identity
        self._spec = spec
        self._limits = spec.limits
        self._reporter = reporter
        self._bootstrap = spec.source.topics[0].bootstrap_servers
        self._topics = sorted({topic.topic for topic in spec.source.topics})
        self._cluster = Cluster(self._bootstrap)
        self._consumer = self._new_consumer()
        self._control = ControlInbox(identity.job, identity.incarnation)
        self._control_partition: TopicPartition | None = None
        self._control_position = 0
        self._grouper = MessageGrouper(schemas)
        self._writer = OutputWriter(identity.job, spec, reporter.counters)
        self._producer: TransactionalProducer | None = None
        self._topic_ids: dict[str, str] = {}
        # The offset of the next record to read, to commit, and as last committed.
        self._read: dict[PartitionKey, int] = {}
        self._written: dict[PartitionKey, int] = {}
        self._committed: dict[PartitionKey, int] = {}
        self._stalled: dict[PartitionKey, float] = {}
        self._lost: str | None = None
        self._closed = False
        self._replaced = False
        self._refresh_interval_s = _DAY_S
        now = time.monotonic()
        self._refresh_at = self._discover_at = self._commit_at = now
        self._commit_interval_s = self._limits.commit_interval_min_ms / 1000
        self._pending_rows = 0
        self._pending_bytes = 0
        self._pending_dead: dict[str, int] = {}
        self._pending_timestamp_ms = 0

    @property
    def counters(self) -> Counters:
        return self._reporter.counters

    # ---- the reader's side ---------------------------------------------------------------------------------------

    def batches(self) -> Iterator[MessageBatch | None]:
        """Batches until the session ends; None now and then while there is nothing to read, so that the caller may claim.

        The caller must have written a batch before it asks for the next one.
        """
        reporter = self._reporter
        try:
            self._read_control_to_end()
            while True:
                reporter.phase(Phase.SHARD_PHASE_CLAIMING)
                yield from self._claim()
                reporter.phase(Phase.SHARD_PHASE_RUNNING)
                try:
                    yield from self._run()
                except TransactionLost as lost:
                    reporter.error("TRANSACTION_LOST", str(lost))
        except _Ended as ended:
            stopped = ended.end is End.STOPPED
            self.close()
            reporter.phase(Phase.SHARD_PHASE_STOPPED if stopped else Phase.SHARD_PHASE_SUPERSEDED)

    def write(self, batch: OutputBatch) -> None:
        """Add a batch's rows and dead letters to the open transaction. A broken transaction is noticed by the reader."""
        if self._lost is not None or self._producer is None:
            return
        for span in batch.source.ranges:
            if self._written.get(span.key) != span.first:
                self._lost = (
                    f"{span.key}: a batch starts at {span.first}, not at {self._written.get(span.key)}"
                )
                return
        try:
            written = self._writer.write(batch, self._producer)
        except TransactionLost as lost:
            self._lost = str(lost)
            return
        self._pending_rows += written.rows
        self._pending_bytes += written.bytes
        self._pending_timestamp_ms = max(self._pending_timestamp_ms, written.newest_timestamp_ms)
        for reason in written.dead_letters:
            self._pending_dead[reason] = self._pending_dead.get(reason, 0) + 1
        for span in batch.source.ranges:
            self._written[span.key] = span.next

    def close(self) -> None:
        """Abort what is open and release the clients. May be called twice."""
        if self._closed:
            return
        self._closed = True
        if self._producer is not None:
            self._producer.close()
            self._producer = None
        self._consumer.close()

    def supersede(self) -> None:
        """Another session of the same shard starts in this process: end at the next occasion."""
        self._replaced = True

    # ---- claiming ------------------------------------------------------------------------------------------------

    def _claim(self) -> Iterator[None]:
        """Fence, read the positions, decide, and commit the claim; again until it succeeds."""
        while True:
            self._end_if_told(commit=False)
            try:
                if self._claim_once():
                    self._reporter.well()
                    return
                pause = 0.2
            except TransactionLost as lost:
                self._reporter.error("CLAIM_FAILED", str(lost))
                pause = _RETRY_S
            except KafkaException as error:
                self._reporter.error("KAFKA_UNAVAILABLE", str(error.args[0]))
                pause = _RETRY_S
            except _NotYet as wait:
                self._reporter.error(wait.reason, str(wait))
                pause = _RETRY_S
            self._listen(pause)
            yield None

    def _claim_once(self) -> bool:
        views = self._describe()
        if self._producer is not None:
            self._producer.close()
            self._producer = None
        # Asked once before anything is fenced: a superseded shard must not disturb its successor.
        if self._plan(views).waiting:
            return False
        limit = self._writer.learn_limits(self._cluster)
        self._producer = TransactionalProducer(
            bootstrap_servers=self._bootstrap,
            transactional_id=transactional_id(self.identity.job, self.identity.shard),
            transaction_timeout_ms=self._limits.transaction_timeout_ms,
            message_max_bytes=limit,
            heartbeat=self._reporter.tick,
        )
        plan = self._plan(views)
        positions = self._resolve(plan)
        self._producer.commit(
            [self._position(claim.key, positions[claim.key], claim.topic_id) for claim in plan.claims],
            self._consumer.consumer_group_metadata(),
        )
        self._topic_ids = {view.topic: view.topic_id for view in views}
        own = {key: positions[key] for key in plan.own}
        self._read, self._written, self._committed = dict(own), dict(own), dict(own)
        self._stalled.clear()
        self._lost = None
        self._forget_pending()
        self._assign()
        self._note_positions(views)
        now = time.monotonic()
        with contextlib.suppress(KafkaException):
            self._refresh_interval_s = min(_DAY_S, self._cluster.offsets_retention_s() / 4)
        self._refresh_at = now + self._refresh_interval_s
        self._discover_at = now + DISCOVERY_INTERVAL_S
        return True

    def _describe(self) -> list[TopicView]:
        try:
            return self._cluster.topics(self._topics)
        except TopicMissingError as missing:
            raise _NotYet("INPUT_TOPIC_MISSING", str(missing)) from missing

    def _plan(self, views: Sequence[TopicView]) -> ClaimPlan:
        plan = plan_claim(
            shard=self.identity.shard,
            shards=self._spec.shards,
            incarnation=self.identity.incarnation,
            topics=views,
            committed=self._committed_positions([key for view in views for key in view.keys()]),
            known=self._control.known_partitions,
        )
        if plan.superseded_by is not None:
            raise _Ended(End.SUPERSEDED)
        if plan.lost:
            names = ", ".join(str(key) for key in plan.lost[:10])
            raise _NotYet(
                "OFFSETS_LOST",
                f"the committed offsets of {names} are gone from group {consumer_group(self.identity.job)}; nothing is read "
                "until an operator sets them again (kafka-consumer-groups --reset-offsets)",
            )
        return plan

    def _committed_positions(self, keys: Sequence[PartitionKey]) -> Mapping[PartitionKey, Committed]:
        """Positions in the job's group; waits for open transactions to end (require-stable, by isolation.level)."""
        answer = self._consumer.committed([TopicPartition(key.topic, key.partition) for key in keys], 10.0)
        found = {}
        for tp in answer:
            if tp.error is not None:
                raise KafkaException(tp.error)
            if tp.offset >= 0:
                found[PartitionKey(tp.topic, tp.partition)] = parse_metadata(tp.offset, tp.metadata)
        return found

    def _resolve(self, plan: ClaimPlan) -> dict[PartitionKey, int]:
        """The offset of every claimed partition."""
        positions = {claim.key: claim.offset for claim in plan.claims if claim.offset is not None}
        earliest = [claim.key for claim in plan.claims if claim.origin is Origin.EARLIEST]
        positions |= self._cluster.offsets(earliest, OffsetSpec.earliest())
        start = [claim.key for claim in plan.claims if claim.origin is Origin.START_POSITION]
        positions |= self._start_offsets(start)
        return positions

    def _start_offsets(self, keys: Sequence[PartitionKey]) -> dict[PartitionKey, int]:
        position = self._spec.source.start_position
        match position.WhichOneof("position"):
            case "latest":
                return self._cluster.offsets(keys, OffsetSpec.latest())
            case "timestamp":
                wanted = position.timestamp.ToMilliseconds()
                found = self._cluster.offsets(keys, OffsetSpec.for_timestamp(wanted))
                ends = self._cluster.offsets([key for key in keys if found[key] < 0], OffsetSpec.latest())
                return found | ends
            case _:
                return self._cluster.offsets(keys, OffsetSpec.earliest())

    def _note_positions(self, views: Sequence[TopicView]) -> None:
        self._reporter.partitions = len(self._read)
        self._reporter.known_topics = tuple(
            control_pb2.KnownTopic(topic=view.topic, topic_id=view.topic_id, partitions=view.partitions)
            for view in views
        )

    # ---- reading and committing ----------------------------------------------------------------------------------

    def _run(self) -> Iterator[MessageBatch | None]:
        self._commit_at = time.monotonic() + self._commit_interval_s
        while True:
            self._end_if_told(commit=True)
            batch = self._next_batch()
            yield batch
            if self._lost is not None:
                raise TransactionLost(self._lost)
            now = time.monotonic()
            if now >= self._commit_at:
                self._commit(everything=now >= self._refresh_at)
            self._reporter.tick()
            if now >= self._discover_at:
                self._discover()

    def _next_batch(self) -> MessageBatch | None:
        started = time.perf_counter()
        polled = self._consumer.consume(self._limits.batch_rows, self._limits.batch_wait_ms / 1000)
        data = self._sort_out(polled)
        grouping = self._grouper.group(data, self._read)
        self._reporter.counters.stage_seconds["read"] += time.perf_counter() - started
        self._stall(grouping)
        ranges = [
            PositionRange(key, self._read[key], following)
            for key, following in grouping.next_positions.items()
            if following != self._read[key]
        ]
        for span in ranges:
            self._read[span.key] = span.next
        counters = self._reporter.counters
        counters.events_in += len(grouping.messages)
        counters.bytes_in += grouping.bytes
        self._reporter.writer_schema_guids |= grouping.schema_refs
        if not ranges:
            return None
        return MessageBatch(self.identity, grouping.messages, grouping.groups, ranges, grouping.dead_letters)

    def _sort_out(self, polled: list[Message]) -> list[InputMessage]:
        """Take out control records and the client's error events; what remains is input."""
        data: list[InputMessage] = []
        for message in polled:
            error = message.error()
            if error is not None:
                self._client_event(message, error)
            elif message.topic() == CONTROL_TOPIC:
                self._control_position = message.offset() + 1
                self._control.receive(message)
            else:
                data.append(cast(InputMessage, message))
        return data

    def _client_event(self, message: Message, error: KafkaError) -> None:
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            if message.topic() != CONTROL_TOPIC:
                self._grouper.end_of_partition(
                    PartitionKey(message.topic(), message.partition()), message.offset()
                )
        elif code == KafkaError._AUTO_OFFSET_RESET and message.topic() not in (None, CONTROL_TOPIC):
            self._out_of_range(PartitionKey(message.topic(), message.partition()))
        else:
            self._reporter.error("KAFKA_UNAVAILABLE", f"{error.name()}: {error.str()}")

    def _out_of_range(self, key: PartitionKey) -> None:
        """The position is not in the partition any more: count what retention took, or refuse to guess."""
        try:
            earliest = self._cluster.offsets([key], OffsetSpec.earliest())[key]
        except KafkaException as error:
            self._reporter.error("KAFKA_UNAVAILABLE", str(error.args[0]))
            self._stalled[key] = time.monotonic() + _RETRY_S
            self._assign()
            return
        position = self._read[key]
        if position < earliest:
            lost = earliest - position
            self._reporter.counters.records_lost += lost
            self._reporter.error(
                "RECORDS_LOST", f"{key}: retention removed {lost} records before they were read"
            )
            self._grouper.end_of_partition(key, earliest)
        else:
            self._reporter.error(
                "OFFSET_BEYOND_END",
                f"{key}: position {position} is past the end of the partition (records were lost in Kafka); nothing is read "
                "from it until an operator sets the offset",
            )
            self._stalled[key] = time.monotonic() + DISCOVERY_INTERVAL_S
        self._assign(override={key: max(position, earliest)})

    def _stall(self, grouping: Grouping) -> None:
        """Stop reading partitions whose next message has a writer schema that is not known yet; try the others again."""
        now = time.monotonic()
        due = [key for key, again_at in self._stalled.items() if now >= again_at]
        for key in due:
            del self._stalled[key]
        for key in grouping.held_back:
            self._stalled[key] = now + 0.25
        if grouping.held_back:
            reason = "REGISTRY_UNAVAILABLE" if grouping.unavailable else "WRITER_SCHEMA_PENDING"
            names = ", ".join(sorted(map(str, grouping.held_back)))
            self._reporter.error(reason, f"{names}: {grouping.unavailable or 'asking for the writer schema'}")
        elif grouping.messages and not self._stalled:
            self._reporter.well()
        if due or grouping.held_back:
            self._assign(override=dict(grouping.next_positions))

    def _commit(self, *, everything: bool = False) -> None:
        started = time.monotonic()
        assert self._producer is not None
        positions = {
            key: offset
            for key, offset in self._written.items()
            if everything or offset != self._committed.get(key)
        }
        if positions:
            self._producer.commit(
                [
                    self._position(key, offset, self._topic_ids[key.topic])
                    for key, offset in positions.items()
                ],
                self._consumer.consumer_group_metadata(),
            )
            self._committed |= positions
            self._count_committed()
        now = time.monotonic()
        if everything:
            self._refresh_at = now + self._refresh_interval_s
        self._reporter.counters.stage_seconds["commit"] += now - started
        self._reporter.lag = self._lag()
        shortest, longest = (
            self._limits.commit_interval_min_ms / 1000,
            self._limits.commit_interval_max_ms / 1000,
        )
        self._commit_interval_s = min(max((now - started) / COMMIT_SHARE, shortest), max(shortest, longest))
        self._commit_at = now + self._commit_interval_s

    def _count_committed(self) -> None:
        counters = self._reporter.counters
        counters.commits += 1
        counters.events_out += self._pending_rows
        counters.bytes_out += self._pending_bytes
        counters.dead_letters.update(self._pending_dead)
        if self._pending_timestamp_ms:
            self._reporter.newest_timestamp_ms = self._pending_timestamp_ms
        self._forget_pending()

    def _forget_pending(self) -> None:
        self._pending_rows = self._pending_bytes = self._pending_timestamp_ms = 0
        self._pending_dead = {}

    def _discover(self) -> None:
        """Claim partitions that appeared since; the transaction is committed first, so that nothing waits inside one."""
        self._discover_at = time.monotonic() + DISCOVERY_INTERVAL_S
        try:
            views = self._describe()
        except (KafkaException, _NotYet) as error:
            self._reporter.error("DISCOVERY_FAILED", str(error))
            return
        if any(self._topic_ids.get(view.topic) != view.topic_id for view in views):
            raise TransactionLost("an input topic was deleted and created again")
        new = [
            key
            for view in views
            for key in view.keys()
            if key not in self._read
            and shard_of(view.topic_id, key.partition, self._spec.shards) == self.identity.shard
        ]
        if not new:
            self._note_positions(views)
            return
        self._commit()
        try:
            offsets = self._cluster.offsets(new, OffsetSpec.earliest())
        except KafkaException as error:
            self._reporter.error("DISCOVERY_FAILED", str(error))
            return
        for positions in (self._read, self._written):
            positions.update(offsets)
        self._commit()
        self._assign()
        self._note_positions(views)

    # ---- the consumer --------------------------------------------------------------------------------------------

    def _new_consumer(self) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": consumer_group(self.identity.job),
                "client.id": f"{consumer_group(self.identity.job)}.{self.identity.shard}",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "fetch.queue.backoff.ms": 2,
                "queued.max.messages.kbytes": 65_536,
                "allow.auto.create.topics": False,
            }
        )

    def _assign(self, override: Mapping[PartitionKey, int] | None = None) -> None:
        """Read from the current positions; stalled partitions are left out."""
        positions = self._read | dict(override or {})
        assignment = [
            TopicPartition(key.topic, key.partition, offset)
            for key, offset in positions.items()
            if key not in self._stalled and key in self._read
        ]
        if self._control_partition is not None:
            assignment.append(
                TopicPartition(CONTROL_TOPIC, self._control_partition.partition, self._control_position)
            )
        self._consumer.assign(assignment)

    def _read_control_to_end(self) -> None:
        """Learn what the deployer said so far, before anything is claimed."""
        while self._control_partition is None:
            try:
                count = self._cluster.control_partitions(CONTROL_TOPIC)
                if count:
                    self._control_partition = TopicPartition(
                        CONTROL_TOPIC, control_partition(self.identity.job, count)
                    )
                    break
                self._reporter.error("CONTROL_TOPIC_MISSING", f"topic {CONTROL_TOPIC} does not exist")
            except KafkaException as error:
                self._reporter.error("KAFKA_UNAVAILABLE", str(error.args[0]))
            self._reporter.tick()
            time.sleep(_RETRY_S)
        partition = self._control_partition.partition
        low, _ = self._consumer.get_watermark_offsets(self._control_partition, timeout=10.0)
        self._control_position = max(low, 0)
        self._consumer.assign([TopicPartition(CONTROL_TOPIC, partition, self._control_position)])
        at_end = False
        while not at_end:
            for message in self._consumer.consume(1000, 1.0):
                error = message.error()
                if error is None:
                    self._control_position = message.offset() + 1
                    self._control.receive(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    at_end = True
                else:
                    self._reporter.error("KAFKA_UNAVAILABLE", f"{error.name()}: {error.str()}")
            self._reporter.tick()

    def _listen(self, seconds: float) -> None:
        """Wait, hearing only the control topic."""
        assert self._control_partition is not None
        self._consumer.assign(
            [TopicPartition(CONTROL_TOPIC, self._control_partition.partition, self._control_position)]
        )
        self._sort_out(self._consumer.consume(1000, seconds))
        self._reporter.tick()

    def _end_if_told(self, *, commit: bool) -> None:
        """`commit` only where the transaction is whole: after a loss `_written` runs ahead of what it holds."""
        if self._replaced or self._control.superseded_by is not None:
            raise _Ended(End.SUPERSEDED)
        if self._control.stop:
            if commit:
                self._commit()
            raise _Ended(End.STOPPED)

    def _position(self, key: PartitionKey, offset: int, topic_id: str) -> TopicPartition:
        return TopicPartition(
            key.topic, key.partition, offset, encode_metadata(self.identity.incarnation, topic_id)
        )

    def _lag(self) -> int:
        lag = 0
        for key, position in self._committed.items():
            try:
                _, high = self._consumer.get_watermark_offsets(
                    TopicPartition(key.topic, key.partition), cached=True
                )
            except KafkaException:
                continue
            lag += max(0, high - position)
        return lag
