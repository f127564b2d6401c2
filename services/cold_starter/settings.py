"""How the cold starter is configured; see libs/service_kit/settings.py for what all services share."""

from pydantic import Field

from libs.service_kit.settings import Address, Settings


class ColdStarterSettings(Settings):
    listen_address: Address = Field("127.0.0.1:7004", description="HOST:PORT the gRPC server listens on")
    dead_consumer_seconds: float = Field(
        30.0,
        ge=1,
        le=3600,
        description="After so long without a sign of life of a process, others take over the events it had begun",
    )
