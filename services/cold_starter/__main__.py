"""`python -m services.cold_starter`."""

import contextlib

from libs.bus import Consumer, ConsumerSettings, RedisBus
from libs.service_kit.background import BackgroundTask
from libs.service_kit.run import run
from libs.service_kit.server import Servicer, Stopping, serve
from libs.store import RedisStore, connect
from services.cold_starter.activities import Activities
from services.cold_starter.model import DEPLOYER, SOURCE
from services.cold_starter.policies import Policies
from services.cold_starter.servicer import ColdStarterServicer
from services.cold_starter.settings import ColdStarterSettings
from sluice.cold_starter.v1 import cold_starter_pb2_grpc as pb_grpc


async def main(settings: ColdStarterSettings, stopping: Stopping) -> None:
    async with contextlib.AsyncExitStack() as resources:
        redis = connect(settings.redis_url)
        resources.push_async_callback(redis.aclose)
        store = RedisStore(SOURCE, redis)
        resources.push_async_callback(store.close)
        activities = Activities(store)
        consumer = Consumer(
            RedisBus(redis),
            group=SOURCE,
            sources=[DEPLOYER],
            handler=activities.handle,
            settings=ConsumerSettings(min_idle_seconds=settings.dead_consumer_seconds),
        )
        servicer = ColdStarterServicer(activities, Policies(store))
        await serve(
            settings,
            stopping,
            servicers=[Servicer(pb_grpc.add_ColdStarterServiceServicer_to_server, servicer)],
            background=[BackgroundTask("deployer-events", consumer.run)],
        )


if __name__ == "__main__":
    run(SOURCE, ColdStarterSettings, main)
