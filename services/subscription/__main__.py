"""`python -m services.subscription`: where everything is put together."""

import contextlib

from libs.bus import Consumer, ConsumerSettings, RedisBus
from libs.service_kit.background import BackgroundTask
from libs.service_kit.client import open_channel
from libs.service_kit.run import run
from libs.service_kit.server import Servicer, Stopping, serve
from libs.service_kit.trimming import Trimming
from libs.store import RedisStore, connect, utc_now
from services.subscription.adapters.grpc_world import GrpcWorld
from services.subscription.commands import Commands
from services.subscription.compiling import Compiler
from services.subscription.events import SOURCES, Facts
from services.subscription.loop import Pace, Reconciler
from services.subscription.model import SOURCE, JobDefaults
from services.subscription.records import Subscriptions
from services.subscription.servicer import SubscriptionServicer
from services.subscription.settings import SubscriptionSettings
from services.subscription.steps import Partitions, Steps
from sluice.deployer.v1 import deployer_pb2
from sluice.schema_registry.v1 import schema_registry_pb2
from sluice.self_healing.v1 import self_healing_pb2
from sluice.subscription.v1 import subscription_service_pb2_grpc as pb_grpc


def job_defaults(settings: SubscriptionSettings) -> JobDefaults:
    """What the operator decides for every job."""
    return JobDefaults(
        schema_registry=settings.worker_schema_registry_address or settings.schema_registry_address,
        shards=settings.shards,
        batch_rows=10_000,
        batch_wait_ms=50,
        commit_interval_min_ms=settings.commit_interval_min_ms,
        commit_interval_max_ms=settings.commit_interval_max_ms,
        transaction_timeout_ms=settings.transaction_timeout_ms,
        message_max_bytes=settings.message_max_bytes,
    )


async def main(settings: SubscriptionSettings, stopping: Stopping) -> None:
    async with contextlib.AsyncExitStack() as resources:
        redis = connect(settings.redis_url)
        resources.push_async_callback(redis.aclose)
        store = RedisStore(SOURCE, redis)
        resources.push_async_callback(store.close)
        channels = [
            await resources.enter_async_context(open_channel(address, [descriptor.services_by_name[name]]))
            for address, descriptor, name in (
                (settings.schema_registry_address, schema_registry_pb2.DESCRIPTOR, "SchemaRegistryService"),
                (settings.self_healing_address, self_healing_pb2.DESCRIPTOR, "SelfHealingService"),
                (settings.deployer_address, deployer_pb2.DESCRIPTOR, "DeployerService"),
            )
        ]
        world = GrpcWorld(*channels)
        subscriptions = Subscriptions(store, utc_now)
        compiler = Compiler(world, job_defaults(settings))
        partitions = Partitions(settings.managed_topic_partitions, settings.dead_letter_partitions)
        loop = Reconciler(
            subscriptions, Steps(subscriptions, world, compiler, partitions), Pace(settings.resync_seconds)
        )
        commands = Commands(subscriptions, compiler, loop.wake)
        facts = Facts(subscriptions, loop.wake)
        consumer = Consumer(
            RedisBus(redis), group=SOURCE, sources=SOURCES, handler=facts.handle, settings=ConsumerSettings()
        )
        await serve(
            settings,
            stopping,
            servicers=[
                Servicer(
                    pb_grpc.add_SubscriptionServiceServicer_to_server,
                    SubscriptionServicer(subscriptions, commands),
                )
            ],
            background=[
                BackgroundTask("reconcile", loop.run),
                BackgroundTask("events", consumer.run),
                BackgroundTask("trim-events", Trimming(store).run),
            ],
        )


if __name__ == "__main__":
    run(SOURCE, SubscriptionSettings, main)
