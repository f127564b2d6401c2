"""How the subscription service is configured; see libs/service_kit/settings.py for what all services share."""

from pydantic import Field

from libs.service_kit.settings import Address, Settings


class SubscriptionSettings(Settings):
    listen_address: Address = Field("127.0.0.1:7001", description="HOST:PORT the gRPC server listens on")
    schema_registry_address: Address = Field("127.0.0.1:7002", description="HOST:PORT of the schema registry")
    self_healing_address: Address = Field("127.0.0.1:7003", description="HOST:PORT of self healing")
    deployer_address: Address = Field("127.0.0.1:7005", description="HOST:PORT of the deployer")
    worker_schema_registry_address: str = Field(
        "",
        description="HOST:PORT of the schema registry as the jobs' workers reach it; empty: as this service does",
    )
    shards: int = Field(1, ge=1, le=256, description="Shards of a new job: each reads and commits on its own")
    managed_topic_partitions: int = Field(
        4, ge=1, le=1000, description="Partitions of a managed output topic"
    )
    dead_letter_partitions: int = Field(1, ge=1, le=1000, description="Partitions of a dead-letter topic")
    commit_interval_min_ms: int = Field(
        100, ge=10, le=10_000, description="Time between commits of a quiet job"
    )
    commit_interval_max_ms: int = Field(1000, ge=10, le=10_000, description="Time between commits under load")
    transaction_timeout_ms: int = Field(
        10_000, ge=1000, le=15_000, description="How long a dead worker's transaction can hold back readers"
    )
    message_max_bytes: int = Field(
        1_000_000, ge=1024, le=104_857_600, description="Largest output message; the topic may allow less"
    )
    resync_seconds: float = Field(
        30.0, gt=0, le=3600, description="Time between two looks at every subscription"
    )
