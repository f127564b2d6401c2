"""What the subscription service knows of the world when it compiles, and the errors of a wrong subscription."""

from dataclasses import dataclass

SOURCE = "subscription"
"""The namespace of this service's store and its consumer group on the bus."""


@dataclass(frozen=True, slots=True)
class TopicPlace:
    """A Kafka topic and how to reach it."""

    cluster: str
    bootstrap_servers: str
    topic: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a subscription is compiled against: the dataset's binding for the tenant and the schema of its events."""

    topics: tuple[TopicPlace, ...]
    schema: str
    schema_guid: str


@dataclass(frozen=True, slots=True)
class JobDefaults:
    """What the operator decides for every job."""

    schema_registry: str
    shards: int
    batch_rows: int
    batch_wait_ms: int
    commit_interval_min_ms: int
    commit_interval_max_ms: int
    transaction_timeout_ms: int
    message_max_bytes: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a subscription: the field, what is wrong and allowed, and a reason for programs."""

    field: str
    description: str
    reason: str


class CannotCompile(Exception):
    """A subscription that cannot run; `problems` is never empty."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.description}" for problem in problems))
        self.problems = problems
