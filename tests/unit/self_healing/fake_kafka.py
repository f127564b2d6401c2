"""Kafka clusters in memory behind self healing's port: records what it was asked, fails when told to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.self_healing.model import NewTopic, OffsetRange, PartitionState, TopicState
from services.self_healing.ports import KafkaRefused, KafkaUnavailable


@dataclass
class FakeCluster:
    """One Kafka; `leaderless_looks` is how many descriptions of a new topic come before its leaders do."""

    cluster_id: str
    topics: dict[str, TopicState] = field(default_factory=dict)
    offsets: dict[str, OffsetRange] = field(default_factory=dict)
    configs: dict[str, Mapping[str, str]] = field(default_factory=dict)
    leaderless_looks: int = 0

    def add(self, name: str, partitions: int = 1, replicas: int = 1) -> None:
        states = tuple(
            PartitionState(number, 1, tuple(range(1, replicas + 1)), (1,)) for number in range(partitions)
        )
        self.topics[name] = TopicState(name, f"id-of-{name}", states)


class FakeKafka:
    """Clusters by address. `fail_next(method, error)` makes the next call of that method raise."""

    def __init__(self) -> None:
        self.clusters: dict[str, FakeCluster] = {}
        self.asked: list[tuple[str, str]] = []
        self.released: list[str] = []
        self.hidden_from_describe: set[str] = set()
        self._failures: dict[str, Exception] = {}

    def start(self, address: str, cluster_id: str) -> FakeCluster:
        return self.clusters.setdefault(address, FakeCluster(cluster_id))

    def fail_next(self, method: str, error: Exception) -> None:
        self._failures[method] = error

    async def cluster_id(self, address: str) -> str:
        return self._reach("cluster_id", address).cluster_id

    async def topic_names(self, address: str) -> Sequence[str]:
        return sorted(self._reach("topic_names", address).topics)

    async def describe(self, address: str, names: Sequence[str]) -> Mapping[str, TopicState]:
        cluster = self._reach("describe", address)
        hidden, self.hidden_from_describe = self.hidden_from_describe, set()
        found = {
            name: cluster.topics[name] for name in names if name in cluster.topics and name not in hidden
        }
        if found and cluster.leaderless_looks > 0:
            cluster.leaderless_looks -= 1
            return {name: _without_leaders(state) for name, state in found.items()}
        return found

    async def offsets(self, address: str, topic: TopicState) -> Mapping[int, OffsetRange]:
        cluster = self._reach("offsets", address)
        ends = cluster.offsets.get(topic.name, OffsetRange(0, 0))
        return {partition.partition: ends for partition in topic.partitions}

    async def create(self, address: str, topic: NewTopic) -> bool:
        cluster = self._reach("create", address)
        if topic.name in cluster.topics:
            return False
        if "no.such.setting" in topic.config:
            raise KafkaRefused(address, "INVALID_CONFIG", "Unknown topic config name: no.such.setting")
        cluster.add(topic.name, topic.partitions, topic.replication_factor or 1)
        cluster.configs[topic.name] = topic.config
        return True

    async def release(self, address: str) -> None:
        self.released.append(address)

    def count(self, method: str) -> int:
        return sum(1 for asked, _ in self.asked if asked == method)

    def _reach(self, method: str, address: str) -> FakeCluster:
        self.asked.append((method, address))
        failure = self._failures.pop(method, None)
        if failure is not None:
            raise failure
        cluster = self.clusters.get(address)
        if cluster is None:
            raise KafkaUnavailable(address, "no broker answered")
        return cluster


def _without_leaders(state: TopicState) -> TopicState:
    partitions = tuple(
        PartitionState(partition.partition, -1, partition.replicas, ()) for partition in state.partitions
    )
    return TopicState(state.name, state.topic_id, partitions)
