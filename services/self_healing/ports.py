"""What self healing needs of Kafka. `adapters.kafka_admin` keeps this contract; tests bring a fake."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from services.self_healing.model import NewTopic, OffsetRange, TopicState


class KafkaUnavailable(Exception):
    """No broker answered in time, or the connection failed. What was asked may or may not have happened."""

    def __init__(self, address: str, cause: str) -> None:
        super().__init__(f"Kafka at {address}: {cause}")
        self.address = address
        self.cause = cause


class PartitionNotReady(KafkaUnavailable):
    """The broker that metadata names as a partition's leader does not lead it: yet, or any more."""


class KafkaRefused(Exception):
    """Kafka judged the request wrong; `code` is Kafka's name of the error, `explanation` its own text."""

    def __init__(self, address: str, code: str, explanation: str) -> None:
        super().__init__(f"Kafka at {address}: {code}: {explanation}")
        self.address = address
        self.code = code
        self.explanation = explanation


class KafkaAdmin(Protocol):
    """Admin calls to any number of clusters, each bounded in time.

    `address` is the cluster's `host:port[,host:port...]`. All methods raise KafkaUnavailable or KafkaRefused.
    """

    async def cluster_id(self, address: str) -> str:
        """Kafka's own id of the cluster that answers at `address` now."""
        ...

    async def topic_names(self, address: str) -> Sequence[str]:
        """Names of all topics, internal ones too, sorted."""
        ...

    async def describe(self, address: str, names: Sequence[str]) -> Mapping[str, TopicState]:
        """The topics by name, asked in one batch; those that do not exist are left out."""
        ...

    async def offsets(self, address: str, topic: TopicState) -> Mapping[int, OffsetRange]:
        """Both ends of every partition with a leader, by number; asked in one batch per end.

        Raises PartitionNotReady when a leader declines, as for a moment after a topic's creation.
        """
        ...

    async def create(self, address: str, topic: NewTopic) -> bool:
        """Create the topic; False if there was one of that name. Its leaders may not be elected yet."""
        ...

    async def release(self, address: str) -> None:
        """Close the connections to `address`, if there are any; the next call opens them again."""
        ...
