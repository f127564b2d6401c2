"""How the schema registry is configured; see libs/service_kit/settings.py for what all services share."""

from pydantic import Field

from libs.service_kit.settings import Address, Settings


class SchemaRegistrySettings(Settings):
    listen_address: Address = Field("127.0.0.1:7002", description="HOST:PORT the gRPC server listens on")
