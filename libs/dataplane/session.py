"""One shard of a job: it claims its partitions, and commits rows and positions together. The exactly-once protocol.

See docs/adr/0002-exactly-once.md. Used by one thread: the reader asks for batches, and between two of them the fused
stages downstream have handed their messages to `write`.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from confluent_kafka import KafkaException
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # re-exported without __all__

from libs.codec.framing import Guid
from libs.dataplane.batches import MessageBatch, OutputBatch, ShardIdentity, StaleBatchError
from libs.dataplane.claiming import Claimer, End, Ended, NotYet
from libs.dataplane.cluster import Cluster
from libs.dataplane.input import ShardInput
from libs.dataplane.messages import OutputWriter
from libs.dataplane.pacing import DAY_S, Backoff, CommitPace, refresh_interval_s
from libs.dataplane.positions import PartitionKey, TopicView, shard_of
from libs.dataplane.reports import Counters, Phase, ShardReporter
from libs.dataplane.schemas import WriterSchemas
from libs.dataplane.transactions import TransactionalProducer, TransactionLost
from sluice.dataplane.v1 import control_pb2, job_spec_pb2

DISCOVERY_INTERVAL_S = 10.0
_RETRY_S = 1.0
# Waiting for shard 0 is ordinary at the start, and over within a moment.
_SOON_S = 0.2
_PHASE_OF_END = {End.STOPPED: Phase.SHARD_PHASE_STOPPED, End.SUPERSEDED: Phase.SHARD_PHASE_SUPERSEDED}


@dataclass(slots=True)
class _Uncommitted:
    """What the open transaction holds."""

    rows: int = 0
    bytes: int = 0
    newest_timestamp_ms: int = 0
    dead_letters: list[str] = field(default_factory=list)


class ShardSession:
    """Claims, reads, commits and gives up, as one shard. Raises ValueError for a spec that needs two clusters."""

    def __init__(
        self,
        identity: ShardIdentity,
        spec: job_spec_pb2.JobSpec,
        reporter: ShardReporter,
        schemas: WriterSchemas,
        discovery_interval_s: float = DISCOVERY_INTERVAL_S,
    ) -> None:
        check_single_cluster(spec)
        self.identity = identity
        self._shards = spec.shards
        self._reporter = reporter
        self._schemas = schemas
        self._discovery_interval_s = discovery_interval_s
        self._cluster = Cluster(spec.source.topics[0].bootstrap_servers)
        self._input = ShardInput(identity, spec, self._cluster, schemas, reporter)
        self._writer = OutputWriter(identity.job, spec)
        self._claimer = Claimer(identity, spec, self._cluster, self._input, self._writer, self._heartbeat)
        self._producer: TransactionalProducer | None = None
        # Per partition: the position after what the open transaction holds, and the one last committed.
        self._written: dict[PartitionKey, int] = {}
        self._committed: dict[PartitionKey, int] = {}
        self._uncommitted = _Uncommitted()
        self._lost: str | None = None
        self._replaced = False
        self._closed = False
        self._refresh_interval_s = DAY_S
        self._refresh_at = self._discover_at = self._doubt_at = 0.0
        limits = spec.limits
        self._pace = CommitPace(limits.commit_interval_min_ms / 1000, limits.commit_interval_max_ms / 1000)
        self._backoff = Backoff()
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
            while not self._input.control_is_read():
                self._heartbeat()
                yield None
            while True:
                yield from self._claim()
                reporter.phase(Phase.SHARD_PHASE_RUNNING)
                try:
                    yield from self._run()
                except TransactionLost as lost:
                    reporter.error("TRANSACTION_LOST", str(lost))
                    reporter.phase(Phase.SHARD_PHASE_CLAIMING)
                self._drop_producer()
                yield from self._wait(self._backoff.lost(time.monotonic()))
        except Ended as ended:
            self.close()
            # A replaced session is silent: the one that replaced it speaks for the shard.
            if ended.end in _PHASE_OF_END:
                reporter.phase(_PHASE_OF_END[ended.end])

    def write(self, batch: OutputBatch) -> None:
        """Add a batch's rows and dead letters to the open transaction. A broken one is noticed by the reader.

        Raises StaleBatchError for a batch of a session that this one replaced.
        """
        if batch.source.reader != self._reporter.worker:
            raise StaleBatchError(f"a batch of {self.identity} was read by a session that is replaced")
        if self._lost is not None or self._producer is None:
            return
        for span in batch.source.ranges:
            if self._written.get(span.key) != span.first:
                self._lost = (
                    f"{span.key}: a batch starts at {span.first}, not at {self._written.get(span.key)}"
                )
                return
        try:
            written = self._writer.write(batch, self._producer, int(time.time() * 1000))
        except (TransactionLost, Ended) as lost:
            self._lost = str(lost)
            return
        open_now = self._uncommitted
        open_now.rows += written.rows
        open_now.bytes += written.bytes
        open_now.newest_timestamp_ms = max(open_now.newest_timestamp_ms, written.newest_timestamp_ms)
        open_now.dead_letters += written.dead_letters
        for span in batch.source.ranges:
            self._written[span.key] = span.next

    def settle(self) -> None:
        """Commit what is written, as far as possible, before the caller closes the session and resumes it later."""
        if self._producer is not None and self._lost is None and not self._closed:
            with contextlib.suppress(TransactionLost, Ended):
                self._commit()

    def close(self) -> None:
        """Abort what is open and release the clients. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._drop_producer()
        self._input.close()
        self._schemas.close()

    def replace(self) -> None:
        """Another session of the same shard starts in this process: end at the next occasion. From any thread."""
        self._replaced = True

    # ---- claiming ------------------------------------------------------------------------------------------

    def _claim(self) -> Iterator[None]:
        """Claim; again until it succeeds."""
        while True:
            self._end_if_told(commit=False)
            pause = _RETRY_S
            try:
                self._claim_once()
                self._reporter.well()
                return
            except TransactionLost as lost:
                self._reporter.error("CLAIM_FAILED", str(lost))
                pause = max(_RETRY_S, self._backoff.lost(time.monotonic()))
            except KafkaException as error:
                self._reporter.error("KAFKA_UNAVAILABLE", str(error.args[0]))
            except NotYet as wait:
                if wait.reason:
                    self._reporter.error(wait.reason, str(wait))
                else:
                    pause = _SOON_S
            yield from self._wait(pause)

    def _wait(self, seconds: float) -> Iterator[None]:
        """Let time pass, hearing the deployer."""
        until = time.monotonic() + seconds
        while (remaining := until - time.monotonic()) > 0:
            self._input.listen(min(remaining, _RETRY_S))
            self._heartbeat()
            self._end_if_told(commit=False)
            yield None

    def _claim_once(self) -> None:
        claimed = self._claimer.claim()
        self._producer = claimed.producer
        self._written, self._committed = dict(claimed.positions), dict(claimed.positions)
        self._uncommitted = _Uncommitted()
        self._lost = None
        self._note_topics(claimed.topics)
        with contextlib.suppress(KafkaException):
            self._refresh_interval_s = refresh_interval_s(self._cluster.offsets_retention_s())
        now = time.monotonic()
        self._refresh_at = now + self._refresh_interval_s
        self._discover_at = now + self._discovery_interval_s
        self._pace.committed(now, 0.0)
        self._backoff.claimed(now)

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
            in_doubt = self._input.in_doubt
            if now >= self._pace.due_at and not in_doubt:
                self._commit(everything=now >= self._refresh_at)
            if now >= (self._doubt_at if in_doubt else self._discover_at):
                self._discover(in_doubt)
            if self._reporter.due():
                self._reporter.lag = self._input.lag(self._committed)
            self._heartbeat()

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
            offsets = [self._claimer.position(key, offset) for key, offset in positions.items()]
            self._producer.commit(offsets, self._input.group_metadata())
            self._committed |= positions
            self._count_committed()
        now = time.monotonic()
        if everything:
            self._refresh_at = now + self._refresh_interval_s
        self.counters.stage_seconds["commit"] += now - started
        self._pace.committed(now, now - started)

    def _count_committed(self) -> None:
        done, self._uncommitted = self._uncommitted, _Uncommitted()
        counters = self.counters
        counters.commits += 1
        counters.events_out += done.rows
        counters.bytes_out += done.bytes
        counters.dead_letters.update(done.dead_letters)
        self._reporter.newest_timestamp_ms = done.newest_timestamp_ms or self._reporter.newest_timestamp_ms

    def _discover(self, in_doubt: bool) -> None:
        """Claim partitions that appeared since.

        The transaction is committed first, for nobody waits inside one; where the input gave reason to doubt that the
        topics are the same, what is open may come from another topic, and is aborted if so.
        """
        now = time.monotonic()
        self._discover_at, self._doubt_at = now + self._discovery_interval_s, now + _RETRY_S
        if not in_doubt:
            self._commit()
        try:
            views = self._claimer.describe()
            new = [
                key
                for view in views
                for key in view.partition_keys()
                if key not in self._committed
                and shard_of(view.topic_id, key.partition, self._shards) == self.identity.shard
            ]
            offsets = (
                {} if self._claimer.is_recreated(views) else self._cluster.offsets(new, OffsetSpec.earliest())
            )
        except NotYet as missing:
            if in_doubt:
                raise TransactionLost(str(missing)) from missing
            self._reporter.error(missing.reason, str(missing))
            return
        except KafkaException as error:
            self._reporter.error("DISCOVERY_FAILED", str(error.args[0]))
            return
        if self._claimer.is_recreated(views):
            raise TransactionLost("an input topic was deleted and created again")
        self._input.in_doubt = False
        if new:
            self._written |= offsets
            self._commit()
            self._input.read_from(self._written)
        self._note_topics(views)
        self._input.report_health()

    def _heartbeat(self) -> None:
        """Called wherever time passes. Raises Ended when another session replaces this one."""
        self._reporter.tick()
        if self._replaced:
            raise Ended(End.REPLACED)

    def _end_if_told(self, *, commit: bool) -> None:
        """`commit` only where the transaction is whole: after a loss `_written` runs ahead of what it holds."""
        if self._replaced:
            raise Ended(End.REPLACED)
        if self._input.control.superseded_by is not None:
            raise Ended(End.SUPERSEDED)
        if self._input.control.stop:
            if commit and not self._input.in_doubt:
                self._commit()
            raise Ended(End.STOPPED)

    def _drop_producer(self) -> None:
        if self._producer is not None:
            self._producer.close()
            self._producer = None


def check_single_cluster(spec: job_spec_pb2.JobSpec) -> None:
    """Rows and positions commit as one, and Kafka commits on one cluster only. Raises ValueError."""
    topics = [*spec.source.topics, spec.dead_letters, *(output.sink for output in spec.outputs)]
    clusters = sorted({topic.bootstrap_servers for topic in topics})
    if len(clusters) != 1:
        raise ValueError(
            f"source, sink and dead letters must be on one cluster; they are on {', '.join(clusters)}"
        )
