"""One shard of a job: it claims its partitions, and commits rows and positions together. The exactly-once protocol.

See docs/adr/0002-exactly-once.md. Used by one thread: the reader asks for batches, and between two of them the fused
stages downstream have handed their messages to `write`.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from uuid import UUID

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # re-exported without __all__

from libs.codec.framing import Guid
from libs.dataplane.batches import MessageBatch, OutputBatch, ShardIdentity
from libs.dataplane.cluster import Cluster, TopicMissingError
from libs.dataplane.input import ShardInput
from libs.dataplane.messages import OutputWriter
from libs.dataplane.naming import consumer_group, transactional_id
from libs.dataplane.positions import (
    ClaimPlan,
    Origin,
    PartitionKey,
    TopicView,
    encode_metadata,
    plan_claim,
    shard_of,
)
from libs.dataplane.reports import Counters, Phase, ShardReporter
from libs.dataplane.schemas import WriterSchemas
from libs.dataplane.transactions import TransactionalProducer, TransactionLost
from sluice.dataplane.v1 import control_pb2, job_spec_pb2

DISCOVERY_INTERVAL_S = 10.0
# Commits may take this share of the time: it stretches the interval between them under load.
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


@dataclass(slots=True)
class _Uncommitted:
    """What the open transaction holds."""

    rows: int = 0
    bytes: int = 0
    newest_timestamp_ms: int = 0
    dead_letters: list[str] = field(default_factory=list)


class ShardSession:
    """Claims, reads, commits and gives up, as one shard."""

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
        self._schemas = schemas
        self._bootstrap = spec.source.topics[0].bootstrap_servers
        self._topics = sorted({topic.topic for topic in spec.source.topics})
        self._cluster = Cluster(self._bootstrap)
        self._input = ShardInput(identity, spec, self._cluster, schemas, reporter)
        self._writer = OutputWriter(identity.job, spec)
        self._producer: TransactionalProducer | None = None
        self._topic_ids: dict[str, str] = {}
        # Per partition: the position after what the open transaction holds, and the one last committed.
        self._written: dict[PartitionKey, int] = {}
        self._committed: dict[PartitionKey, int] = {}
        self._uncommitted = _Uncommitted()
        self._lost: str | None = None
        self._replaced = False
        self._closed = False
        self._refresh_interval_s = _DAY_S
        self._refresh_at = self._discover_at = self._commit_at = 0.0
        self._commit_interval_s = self._limits.commit_interval_min_ms / 1000
        # Most messages were written with the schema that the job was compiled against: ask for it while claiming.
        schemas.get(Guid(UUID(spec.source.schema_guid)))

    @property
    def counters(self) -> Counters:
        return self._reporter.counters

    def batches(self) -> Iterator[MessageBatch | None]:
        """Batches until the session ends; None where there was nothing to read, so that the caller sees time pass.

        The caller must have written a batch before it asks for the next one.
        """
        reporter = self._reporter
        try:
            reporter.phase(Phase.SHARD_PHASE_CLAIMING)
            self._input.read_control_to_end()
            while True:
                yield from self._claim()
                reporter.phase(Phase.SHARD_PHASE_RUNNING)
                try:
                    yield from self._run()
                except TransactionLost as lost:
                    reporter.error("TRANSACTION_LOST", str(lost))
                    reporter.phase(Phase.SHARD_PHASE_CLAIMING)
        except _Ended as ended:
            self.close()
            stopped = ended.end is End.STOPPED
            reporter.phase(Phase.SHARD_PHASE_STOPPED if stopped else Phase.SHARD_PHASE_SUPERSEDED)

    def write(self, batch: OutputBatch) -> None:
        """Add a batch's rows and dead letters to the open transaction. A broken one is noticed by the reader."""
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
        open_now = self._uncommitted
        open_now.rows += written.rows
        open_now.bytes += written.bytes
        open_now.newest_timestamp_ms = max(open_now.newest_timestamp_ms, written.newest_timestamp_ms)
        open_now.dead_letters += written.dead_letters
        for span in batch.source.ranges:
            self._written[span.key] = span.next

    def close(self) -> None:
        """Abort what is open and release the clients. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._drop_producer()
        self._input.close()
        self._schemas.close()

    def replace(self) -> None:
        """Another session of the same shard starts in this process: end at the next occasion."""
        self._replaced = True

    # ---- claiming ------------------------------------------------------------------------------------------

    def _claim(self) -> Iterator[None]:
        """Fence, read the positions, decide, and commit the claim; again until it succeeds."""
        while True:
            self._end_if_told(commit=False)
            pause = _RETRY_S
            try:
                if self._claim_once():
                    self._reporter.well()
                    return
                pause = 0.2
            except TransactionLost as lost:
                self._reporter.error("CLAIM_FAILED", str(lost))
            except KafkaException as error:
                self._reporter.error("KAFKA_UNAVAILABLE", str(error.args[0]))
            except _NotYet as wait:
                self._reporter.error(wait.reason, str(wait))
            self._input.listen(pause)
            self._reporter.tick()
            yield None

    def _claim_once(self) -> bool:
        self._drop_producer()
        views = self._describe()
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
        self._topic_ids = {view.topic: view.topic_id for view in views}
        self._producer.commit(
            [self._position(claim.key, positions[claim.key]) for claim in plan.claims],
            self._input.group_metadata(),
        )
        own = {key: positions[key] for key in plan.own}
        self._written, self._committed = dict(own), dict(own)
        self._uncommitted = _Uncommitted()
        self._lost = None
        self._input.read_from(own)
        self._note_topics(views)
        with contextlib.suppress(KafkaException):
            self._refresh_interval_s = min(_DAY_S, self._cluster.offsets_retention_s() / 4)
        now = time.monotonic()
        self._refresh_at = now + self._refresh_interval_s
        self._discover_at = now + DISCOVERY_INTERVAL_S
        self._commit_at = now + self._commit_interval_s
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
            committed=self._input.committed([key for view in views for key in view.partition_keys()]),
            known=self._input.control.known_partitions,
        )
        if plan.superseded_by is not None:
            raise _Ended(End.SUPERSEDED)
        if plan.lost:
            names = ", ".join(str(key) for key in plan.lost[:10])
            raise _NotYet(
                "OFFSETS_LOST",
                f"the committed offsets of {names} are gone from group {consumer_group(self.identity.job)}; nothing is "
                "read until an operator sets them again (kafka-consumer-groups --reset-offsets)",
            )
        return plan

    def _resolve(self, plan: ClaimPlan) -> dict[PartitionKey, int]:
        """The offset of every claimed partition."""
        positions = {claim.key: claim.offset for claim in plan.claims if claim.offset is not None}
        earliest = [claim.key for claim in plan.claims if claim.origin is Origin.EARLIEST]
        start = [claim.key for claim in plan.claims if claim.origin is Origin.START_POSITION]
        return positions | self._cluster.offsets(earliest, OffsetSpec.earliest()) | self._start_offsets(start)

    def _start_offsets(self, keys: Sequence[PartitionKey]) -> dict[PartitionKey, int]:
        position = self._spec.source.start_position
        match position.WhichOneof("position"):
            case "latest":
                return self._cluster.offsets(keys, OffsetSpec.latest())
            case "timestamp":
                wanted = OffsetSpec.for_timestamp(position.timestamp.ToMilliseconds())
                found = self._cluster.offsets(keys, wanted)
                ends = self._cluster.offsets([key for key in keys if found[key] < 0], OffsetSpec.latest())
                return found | ends
            case _:
                return self._cluster.offsets(keys, OffsetSpec.earliest())

    def _note_topics(self, views: Sequence[TopicView]) -> None:
        self._reporter.partitions = len(self._committed)
        self._reporter.known_topics = tuple(
            control_pb2.KnownTopic(topic=view.topic, topic_id=view.topic_id, partitions=view.partitions)
            for view in views
        )

    # ---- reading and committing ----------------------------------------------------------------------------

    def _run(self) -> Iterator[MessageBatch | None]:
        while True:
            self._end_if_told(commit=True)
            yield self._input.poll()
            if self._lost is not None:
                raise TransactionLost(self._lost)
            now = time.monotonic()
            if now >= self._commit_at:
                self._commit(everything=now >= self._refresh_at)
            if now >= self._discover_at:
                self._discover()
            self._reporter.tick()

    def _commit(self, *, everything: bool = False) -> None:
        """Commit the open transaction with the positions that moved, or with all, so that none of them expires."""
        started = time.monotonic()
        assert self._producer is not None
        positions = {
            key: offset
            for key, offset in self._written.items()
            if everything or offset != self._committed.get(key)
        }
        if positions:
            offsets = [self._position(key, offset) for key, offset in positions.items()]
            self._producer.commit(offsets, self._input.group_metadata())
            self._committed |= positions
            self._count_committed()
        now = time.monotonic()
        if everything:
            self._refresh_at = now + self._refresh_interval_s
        self.counters.stage_seconds["commit"] += now - started
        self._reporter.lag = self._input.lag(self._committed)
        shortest, longest = (
            self._limits.commit_interval_min_ms / 1000,
            self._limits.commit_interval_max_ms / 1000,
        )
        self._commit_interval_s = min(max((now - started) / COMMIT_SHARE, shortest), max(shortest, longest))
        self._commit_at = now + self._commit_interval_s

    def _count_committed(self) -> None:
        done, self._uncommitted = self._uncommitted, _Uncommitted()
        counters = self.counters
        counters.commits += 1
        counters.events_out += done.rows
        counters.bytes_out += done.bytes
        counters.dead_letters.update(done.dead_letters)
        self._reporter.newest_timestamp_ms = done.newest_timestamp_ms or self._reporter.newest_timestamp_ms

    def _discover(self) -> None:
        """Claim partitions that appeared since. The transaction is committed first: nobody waits inside one."""
        self._discover_at = time.monotonic() + DISCOVERY_INTERVAL_S
        self._commit()
        try:
            views = self._describe()
            new = [
                key
                for view in views
                for key in view.partition_keys()
                if key not in self._committed
                and shard_of(view.topic_id, key.partition, self._spec.shards) == self.identity.shard
            ]
            offsets = self._cluster.offsets(new, OffsetSpec.earliest())
        except (KafkaException, _NotYet) as error:
            self._reporter.error("DISCOVERY_FAILED", str(error))
            return
        if any(self._topic_ids[view.topic] != view.topic_id for view in views):
            raise TransactionLost("an input topic was deleted and created again")
        if new:
            self._written |= offsets
            self._commit()
            self._input.read_from(self._written)
        self._note_topics(views)

    def _end_if_told(self, *, commit: bool) -> None:
        """`commit` only where the transaction is whole: after a loss `_written` runs ahead of what it holds."""
        if self._replaced or self._input.control.superseded_by is not None:
            raise _Ended(End.SUPERSEDED)
        if self._input.control.stop:
            if commit:
                self._commit()
            raise _Ended(End.STOPPED)

    def _drop_producer(self) -> None:
        if self._producer is not None:
            self._producer.close()
            self._producer = None

    def _position(self, key: PartitionKey, offset: int) -> TopicPartition:
        metadata = encode_metadata(self.identity.incarnation, self._topic_ids[key.topic])
        return TopicPartition(key.topic, key.partition, offset, metadata)
