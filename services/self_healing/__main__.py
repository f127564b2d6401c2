"""`python -m services.self_healing`."""

import contextlib

from libs.service_kit.background import BackgroundTask
from libs.service_kit.run import run
from libs.service_kit.server import Servicer, Stopping, serve
from libs.service_kit.trimming import Trimming
from libs.store import RedisStore, connect
from services.self_healing.adapters.kafka_admin import ConfluentKafkaAdmin
from services.self_healing.model import SOURCE
from services.self_healing.records import Records
from services.self_healing.servicer import SelfHealingServicer
from services.self_healing.settings import SelfHealingSettings
from sluice.self_healing.v1 import self_healing_pb2_grpc as pb_grpc

# The services that act on TopologyChanged: until each has begun to read, no event is dropped.
EVENT_CONSUMERS = ("subscription",)


async def main(settings: SelfHealingSettings, stopping: Stopping) -> None:
    async with contextlib.AsyncExitStack() as resources:
        redis = connect(settings.redis_url)
        resources.push_async_callback(redis.aclose)
        store = RedisStore(SOURCE, redis)
        resources.push_async_callback(store.close)
        kafka = ConfluentKafkaAdmin(settings.kafka_timeout_seconds, settings.topic_creation_timeout_seconds)
        resources.push_async_callback(kafka.close)
        servicer = SelfHealingServicer(Records(store), kafka, settings.topic_creation_timeout_seconds)
        await serve(
            settings,
            stopping,
            servicers=[Servicer(pb_grpc.add_SelfHealingServiceServicer_to_server, servicer)],
            background=[BackgroundTask("trim-events", Trimming(store, EVENT_CONSUMERS).run)],
        )


if __name__ == "__main__":
    run(SOURCE, SelfHealingSettings, main)
