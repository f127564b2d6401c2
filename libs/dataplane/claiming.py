"""How a shard takes its partitions: look, fence, look again, commit the claim (docs/adr/0002-exactly-once.md)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from confluent_kafka import TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # re-exported without __all__

from libs.dataplane.batches import ShardIdentity
from libs.dataplane.cluster import Cluster, TopicMissingError
from libs.dataplane.input import ShardInput
from libs.dataplane.messages import OutputWriter
from libs.dataplane.naming import consumer_group, transactional_id
from libs.dataplane.positions import (
    ClaimPlan,
    Committed,
    Origin,
    PartitionKey,
    TopicView,
    encode_metadata,
    plan_claim,
)
from libs.dataplane.transactions import TransactionalProducer
from sluice.dataplane.v1 import job_spec_pb2


class End(Enum):
    """Why a session ended for good.

    STOPPED: the deployer said so. SUPERSEDED: a newer incarnation runs. REPLACED: the runner started the same shard of
    the same incarnation once more, here or elsewhere.
    """

    STOPPED = auto()
    SUPERSEDED = auto()
    REPLACED = auto()


class Ended(Exception):
    """The session is over."""

    def __init__(self, end: End) -> None:
        super().__init__(end.name)
        self.end = end


class NotYet(Exception):
    """Claiming cannot go on now; `reason` is reported (an empty one is not) and the claim tried again."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the shard owns now: a producer that fenced its predecessors, and positions that are committed."""

    producer: TransactionalProducer
    positions: dict[PartitionKey, int]
    topics: tuple[TopicView, ...]


class Claimer:
    """Claims for one session; remembers which attempt of its incarnation the session is."""

    def __init__(
        self,
        identity: ShardIdentity,
        spec: job_spec_pb2.JobSpec,
        cluster: Cluster,
        shard_input: ShardInput,
        writer: OutputWriter,
        heartbeat: Callable[[], None],
    ) -> None:
        self._identity = identity
        self._spec = spec
        self._cluster = cluster
        self._input = shard_input
        self._writer = writer
        self._heartbeat = heartbeat
        self._group = consumer_group(identity.job)
        self._topics = sorted({topic.topic for topic in spec.source.topics})
        self._attempt: int | None = None
        self._topic_ids: dict[str, str] = {}

    def describe(self) -> list[TopicView]:
        """The input topics as they are now. Raises NotYet and KafkaException."""
        try:
            return self._cluster.topics(self._topics)
        except TopicMissingError as missing:
            raise NotYet("INPUT_TOPIC_MISSING", str(missing)) from missing

    def claim(self) -> Claimed:
        """Take the shard's partitions. Raises Ended, NotYet, TransactionLost and KafkaException."""
        views = self.describe()
        keys = [key for view in views for key in view.partition_keys()]
        # Looked at before anything is fenced: a shard that is superseded must not disturb its successor, and one that
        # cannot write need not disturb its predecessor.
        expected = self._plan(views, self._input.committed(keys))
        self._learn_limits()
        self._input.read_from(
            {
                claim.key: claim.offset
                for claim in expected.claims
                if claim.offset is not None and claim.key in expected.own
            }
        )
        producer = TransactionalProducer(
            bootstrap_servers=self._spec.source.topics[0].bootstrap_servers,
            transactional_id=transactional_id(self._identity.job, self._identity.shard),
            transaction_timeout_ms=self._spec.limits.transaction_timeout_ms,
            message_max_bytes=self._writer.largest_message_bytes,
            batch_max_bytes=self._writer.largest_batch_bytes,
            heartbeat=self._heartbeat,
        )
        try:
            plan = self._plan(views, self._input.committed(keys))
            positions = self._resolve(plan)
            self._topic_ids = {view.topic: view.topic_id for view in views}
            self._attempt = plan.attempt
            claims = [self.position(claim.key, positions[claim.key]) for claim in plan.claims]
            producer.commit(claims, self._input.group_metadata())
        except BaseException:
            producer.close()
            raise
        own = {key: positions[key] for key in plan.own}
        self._input.read_from(own)
        return Claimed(producer, own, tuple(views))

    def is_recreated(self, views: Sequence[TopicView]) -> bool:
        """True when a topic is not the one whose partitions were claimed."""
        return any(self._topic_ids[view.topic] != view.topic_id for view in views)

    def position(self, key: PartitionKey, offset: int) -> TopicPartition:
        """A position as it is committed."""
        metadata = encode_metadata(self._identity.incarnation, self._attempt or 0, self._topic_ids[key.topic])
        return TopicPartition(key.topic, key.partition, offset, metadata)

    def _learn_limits(self) -> None:
        try:
            self._writer.learn_limits(self._cluster)
        except TopicMissingError as missing:
            raise NotYet("SINK_UNAVAILABLE", str(missing)) from missing

    def _plan(self, views: Sequence[TopicView], committed: dict[PartitionKey, Committed]) -> ClaimPlan:
        plan = plan_claim(
            shard=self._identity.shard,
            shards=self._spec.shards,
            incarnation=self._identity.incarnation,
            attempt=self._attempt,
            topics=views,
            committed=committed,
            known=self._input.control.known_partitions,
        )
        if plan.superseded_by is not None:
            raise Ended(End.SUPERSEDED)
        if plan.replaced:
            raise Ended(End.REPLACED)
        if plan.lost:
            names = ", ".join(str(key) for key in plan.lost[:10])
            raise NotYet(
                "OFFSETS_LOST",
                f"the committed offsets of {names} are gone from group {self._group}; nothing is read until an "
                "operator sets them again (kafka-consumer-groups --reset-offsets)",
            )
        if plan.waiting:
            raise NotYet("", "shard 0 has not resolved the start position yet")
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
