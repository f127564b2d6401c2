"""How the cold starter is configured; see libs/service_kit/settings.py for what all services share."""

from pydantic import Field

from libs.service_kit.settings import Address, Settings


class ColdStarterSettings(Settings):
    listen_address: Address = Field("127.0.0.1:7004", description="HOST:PORT the gRPC server listens on")
