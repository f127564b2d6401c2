"""How self healing is configured; see libs/service_kit/settings.py for what all services share."""

from pydantic import Field

from libs.service_kit.settings import Address, Settings


class SelfHealingSettings(Settings):
    listen_address: Address = Field("127.0.0.1:7003", description="HOST:PORT the gRPC server listens on")
    kafka_timeout_seconds: float = Field(
        5.0, gt=0, le=60, description="Longest wait for one answer of a Kafka cluster"
    )
    topic_creation_timeout_seconds: float = Field(
        15.0, gt=0, le=120, description="Longest wait for Kafka to create a topic and elect its leaders, each"
    )
