"""What self healing sees on a Kafka cluster, and the names of the recorded topology.

The recorded resources (Cluster, Dataset, Binding) are the contract's messages: kept as they are shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

SOURCE = "self_healing"
"""The `source` of this service's events and the namespace of its store."""


@dataclass(frozen=True, slots=True)
class PartitionState:
    """A partition as the cluster describes it; `leader` is a broker id, -1 without one."""

    partition: int
    leader: int
    replicas: tuple[int, ...]
    in_sync_replicas: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the cluster describes it; partitions in the order of their numbers."""

    name: str
    topic_id: str
    partitions: tuple[PartitionState, ...]

    @property
    def has_leaders(self) -> bool:
        """Whether every partition can be produced to."""
        return bool(self.partitions) and all(partition.leader >= 0 for partition in self.partitions)


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """The oldest offset that is still held, and the high watermark: the offset of the next record."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class NewTopic:
    """A topic to create; `replication_factor` 0 means the broker's default."""

    name: str
    partitions: int
    replication_factor: int = 0
    config: Mapping[str, str] = field(default_factory=dict)


def topic_name(cluster: str, topic: str) -> str:
    """`clusters/{cluster}/topics/{topic}`."""
    return f"{cluster}/topics/{topic}"


def split_topic_name(name: str) -> tuple[str, str]:
    """The cluster's resource name and Kafka's name of the topic; `name` has been validated."""
    cluster, _, topic = name.partition("/topics/")
    return cluster, topic


def split_binding_name(name: str) -> tuple[str, str]:
    """The dataset's resource name and the tenant's id; `name` has been validated."""
    dataset, _, tenant = name.partition("/bindings/")
    return dataset, tenant
