"""What a shard asks of a Kafka cluster besides reading and writing: topic ids, offsets, limits."""

from collections.abc import Iterable, Mapping

from confluent_kafka import IsolationLevel, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without __all__
    AdminClient,
    ConfigResource,
    OffsetSpec,
)

from libs.dataplane.positions import PartitionKey, TopicView

_TIMEOUT_S = 10.0


class TopicMissingError(RuntimeError):
    """An input topic does not exist."""


class Cluster:
    """Blocking questions, each bounded by ten seconds. KafkaException means: ask again later."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers})

    def topics(self, names: Iterable[str]) -> list[TopicView]:
        """Describe topics. Raises TopicMissingError."""
        futures = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=_TIMEOUT_S)
        views = []
        for name, future in futures.items():
            try:
                description = future.result(_TIMEOUT_S)
            except KafkaException as error:
                if error.args[0].name() in ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC"):
                    raise TopicMissingError(f"topic {name} does not exist") from error
                raise
            views.append(TopicView(name, str(description.topic_id), len(description.partitions)))
        return sorted(views, key=lambda view: view.topic)

    def offsets(self, keys: Iterable[PartitionKey], spec: OffsetSpec) -> dict[PartitionKey, int]:
        """Resolve a logical offset per partition, of committed records; -1 for a timestamp past the last one."""
        request = {TopicPartition(key.topic, key.partition): spec for key in keys}
        if not request:
            return {}
        futures = self._admin.list_offsets(
            request, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_TIMEOUT_S
        )
        return {
            PartitionKey(tp.topic, tp.partition): future.result(_TIMEOUT_S).offset
            for tp, future in futures.items()
        }

    def message_max_bytes(self, topic: str) -> int:
        """The topic's `max.message.bytes`."""
        return int(self._config("topic", topic)["max.message.bytes"])

    def offsets_retention_s(self) -> float:
        """How long the brokers keep the offset of a partition after its last commit."""
        broker = next(iter(self._admin.list_topics(timeout=_TIMEOUT_S).brokers))
        return float(self._config("broker", str(broker))["offsets.retention.minutes"]) * 60

    def partition_count(self, topic: str) -> int:
        """Number of partitions of a topic; 0 when it does not exist."""
        metadata = self._admin.list_topics(topic, timeout=_TIMEOUT_S).topics.get(topic)
        return 0 if metadata is None or metadata.error is not None else len(metadata.partitions)

    def _config(self, kind: str, name: str) -> Mapping[str, str]:
        (future,) = self._admin.describe_configs(
            [ConfigResource(kind, name)], request_timeout=_TIMEOUT_S
        ).values()
        return {key: entry.value for key, entry in future.result(_TIMEOUT_S).items()}
