"""Which shard owns a partition, and from which offset it goes on: pure decisions (docs/adr/0002-exactly-once.md).

The job's consumer group is the only memory of a stateless job. Every committed offset carries, in its metadata, the
incarnation that committed it, the attempt (which start of the shard within the incarnation), and the id of the topic
it counts in.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

_METADATA = re.compile(r"sluice/1 i=(\d{1,18}) (?:a=(\d{1,18}) )?t=(\S*)", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class PartitionKey:
    """A partition of an input topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


@dataclass(frozen=True, slots=True)
class Committed:
    """A committed position: the offset of the next record, and who committed it."""

    offset: int
    incarnation: int
    topic_id: str
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class TopicView:
    """An input topic as the cluster describes it now."""

    topic: str
    topic_id: str
    partitions: int

    def partition_keys(self) -> list[PartitionKey]:
        return [PartitionKey(self.topic, partition) for partition in range(self.partitions)]


def encode_metadata(incarnation: int, attempt: int, topic_id: str) -> str:
    """The offset metadata of a commit."""
    return f"sluice/1 i={incarnation} a={attempt} t={topic_id}"


def parse_metadata(offset: int, metadata: str | None) -> Committed:
    """A committed position; metadata of other origin (an operator's tool) counts as incarnation 0 of any topic."""
    match = _METADATA.fullmatch(metadata or "")
    if match is None:
        return Committed(offset, incarnation=0, topic_id="")
    return Committed(offset, incarnation=int(match[1]), topic_id=match[3], attempt=int(match[2] or 0))


def shard_of(topic_id: str, partition: int, shards: int) -> int:
    """The shard, 0 ... shards-1, that owns a partition: stable while `shards` is."""
    return zlib.crc32(f"{topic_id}/{partition}".encode()) % shards


class Origin(Enum):
    """Where the offset of a claimed partition comes from."""

    COMMITTED = "committed"
    EARLIEST = "earliest"
    START_POSITION = "start position"


@dataclass(frozen=True, slots=True)
class Claim:
    """One partition to claim: from a committed offset, or from one that has still to be resolved."""

    key: PartitionKey
    topic_id: str
    origin: Origin
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class ClaimPlan:
    """What a shard does before its first read. Exactly one of the five is the case, in this order of precedence.

    superseded_by: a newer incarnation owns the partitions; stop for good.
    replaced: the runner started this shard once more, later; this start of it stops for good.
    lost: partitions whose recorded offsets are gone; nothing may be read.
    waiting: shard 0 has not resolved the start position yet.
    claims: commit these as `attempt` (own ones, and at the very first start everybody's), then read the `own` ones.
    """

    superseded_by: int | None = None
    replaced: bool = False
    lost: tuple[PartitionKey, ...] = ()
    waiting: bool = False
    claims: tuple[Claim, ...] = ()
    own: frozenset[PartitionKey] = field(default_factory=frozenset)
    attempt: int = 0


def plan_claim(
    *,
    shard: int,
    shards: int,
    incarnation: int,
    attempt: int | None,
    topics: Sequence[TopicView],
    committed: Mapping[PartitionKey, Committed],
    known: Mapping[str, int],
) -> ClaimPlan:
    """Decide how a shard takes its partitions.

    `attempt` is the one that this start of the shard claimed as before, None when it has not claimed yet: then it takes
    the number after the last one, so that of two processes that a runner made run the same shard the later one stays.
    `known` maps a topic id to the number of its partitions whose positions were reported as committed. The start
    position is resolved once, by shard 0 and for all partitions in one transaction; the rest starts at earliest.
    """
    ids = {view.topic: view.topic_id for view in topics}
    everything = [key for view in topics for key in view.partition_keys()]
    own = frozenset(key for key in everything if shard_of(ids[key.topic], key.partition, shards) == shard)

    newest = max((committed[key].incarnation for key in (own or everything) if key in committed), default=0)
    if newest > incarnation:
        return ClaimPlan(superseded_by=newest, own=own)
    last = max(
        (
            committed[key].attempt
            for key in own
            if key in committed and committed[key].incarnation == incarnation
        ),
        default=0,
    )
    if attempt is not None and last > attempt:
        return ClaimPlan(replaced=True, own=own)
    attempt = last + 1 if attempt is None else attempt

    begun = bool(known) or any(key in committed for key in everything)
    if not begun:
        if shard != 0:
            return ClaimPlan(waiting=True, own=own)
        claims = tuple(Claim(key, ids[key.topic], Origin.START_POSITION) for key in everything)
        return ClaimPlan(claims=claims, own=own, attempt=attempt)

    claimed: list[Claim] = []
    lost: list[PartitionKey] = []
    for key in sorted(own):
        topic_id = ids[key.topic]
        position = committed.get(key)
        if position is not None and position.topic_id in ("", topic_id):
            claimed.append(Claim(key, topic_id, Origin.COMMITTED, position.offset))
        elif position is None and key.partition < known.get(topic_id, 0):
            lost.append(key)
        else:
            claimed.append(Claim(key, topic_id, Origin.EARLIEST))
    if lost:
        return ClaimPlan(lost=tuple(lost), own=own)
    return ClaimPlan(claims=tuple(claimed), own=own, attempt=attempt)
