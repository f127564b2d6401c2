"""`python -m services.schema_registry`."""

import contextlib

from libs.service_kit.background import BackgroundTask
from libs.service_kit.run import run
from libs.service_kit.server import Servicer, Stopping, serve
from libs.store import RedisStore, connect
from services.schema_registry.adapters.store_repository import SOURCE, StoreRepository
from services.schema_registry.registry import Registry
from services.schema_registry.servicer import SchemaRegistryServicer
from services.schema_registry.settings import SchemaRegistrySettings
from services.schema_registry.trimming import Trimming
from sluice.schema_registry.v1 import schema_registry_pb2_grpc as pb_grpc


async def main(settings: SchemaRegistrySettings, stopping: Stopping) -> None:
    async with contextlib.AsyncExitStack() as resources:
        redis = connect(settings.redis_url)
        resources.push_async_callback(redis.aclose)
        store = RedisStore(SOURCE, redis)
        resources.push_async_callback(store.close)
        servicer = SchemaRegistryServicer(Registry(StoreRepository(store)))
        await serve(
            settings,
            stopping,
            servicers=[Servicer(pb_grpc.add_SchemaRegistryServiceServicer_to_server, servicer)],
            background=[BackgroundTask("trim-events", Trimming(store).run)],
        )


if __name__ == "__main__":
    run(SOURCE, SchemaRegistrySettings, main)
