"""What a shard asks of a Kafka cluster besides reading and writing: topic ids, offsets, limits."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import TypeVar

from confluent_kafka import (
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # re-exported without __all__
    AdminClient,
    ConfigResource,
    OffsetSpec,
)

from libs.dataplane.positions import PartitionKey, TopicView

_TIMEOUT_S = 10.0
# The client ends a request by its own timeout; a future that is later than that is a bug of the client's.
_FUTURE_TIMEOUT_S = _TIMEOUT_S + 5.0

_UNBOUNDED = 2**63 - 1

_Answer = TypeVar("_Answer")


class TopicMissingError(RuntimeError):
    """A topic does not exist."""


@dataclass(frozen=True, slots=True)
class TopicLimits:
    """What the brokers take into a topic.

    max_bytes: `max.message.bytes`, of a batch of records as a whole.
    needs_key: a compacted topic refuses records without a key.
    oldest_ms, newest_ms: how far a record's timestamp may be before and after the broker's clock.
    """

    topic: str
    max_bytes: int
    needs_key: bool = False
    oldest_ms: int = _UNBOUNDED
    newest_ms: int = _UNBOUNDED


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
                description = _answer(future)
            except KafkaException as error:
                _raise_if_missing(error, name)
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
            PartitionKey(tp.topic, tp.partition): _answer(future).offset for tp, future in futures.items()
        }

    def topic_limits(self, topic: str) -> TopicLimits:
        """What the brokers take into a topic. Raises TopicMissingError."""
        try:
            config = self._config("topic", topic)
        except KafkaException as error:
            _raise_if_missing(error, topic)
            raise
        by_producer = config["message.timestamp.type"] == "CreateTime"
        return TopicLimits(
            topic=topic,
            max_bytes=int(config["max.message.bytes"]),
            needs_key="compact" in config["cleanup.policy"],
            oldest_ms=int(config.get("message.timestamp.before.max.ms", _UNBOUNDED))
            if by_producer
            else _UNBOUNDED,
            newest_ms=int(config.get("message.timestamp.after.max.ms", _UNBOUNDED))
            if by_producer
            else _UNBOUNDED,
        )

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
        return {key: entry.value for key, entry in _answer(future).items()}


def _answer(future: "Future[_Answer]") -> _Answer:
    try:
        return future.result(_FUTURE_TIMEOUT_S)
    except FutureTimeoutError as error:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer from the client")) from error


def _raise_if_missing(error: KafkaException, topic: str) -> None:
    if error.args[0].code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
        raise TopicMissingError(f"topic {topic} does not exist") from error
