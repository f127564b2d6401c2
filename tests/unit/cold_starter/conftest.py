"""The cold starter in this process, over memory store and bus, behind a real gRPC channel."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import grpc
import pytest
import tenacity

from libs.bus import Consumer, ConsumerSettings, MemoryBus
from libs.service_kit.server import Servicer, Stopping, serve
from libs.service_kit.settings import Settings
from libs.store import ANYTHING, MemoryServer, MemoryStore, Put, new_event, utc_now
from services.cold_starter.activities import Activities
from services.cold_starter.policies import Policies
from services.cold_starter.servicer import ColdStarterServicer
from sluice.cold_starter.v1 import cold_starter_pb2 as pb
from sluice.cold_starter.v1 import cold_starter_pb2_grpc as pb_grpc
from sluice.dataplane.v1 import job_spec_pb2
from sluice.deployer.v1 import job_pb2
from sluice.event.v1 import event_pb2


def job_changed(
    job: str = "a",
    *,
    subscription: str = "tenants/acme/subscriptions/blocked",
    state: job_pb2.JobState = job_pb2.JOB_STATE_RUNNING,
    deleted: bool = False,
) -> event_pb2.Event:
    """As the deployer would publish it."""
    output = job_spec_pb2.Output(subscription=subscription)
    told = job_pb2.Job(name=f"jobs/{job}", state=state, spec=job_spec_pb2.JobSpec(outputs=[output]))
    fact = job_pb2.JobStateChanged(job=told, deleted=deleted)
    return new_event(source="deployer", subject=told.name, data=fact, time=utc_now())


@dataclass
class Service:
    """The service under test and what it stands on."""

    stub: "pb_grpc.ColdStarterServiceAsyncStub"
    server: MemoryServer
    deployer: MemoryStore
    activities: Activities
    bus: MemoryBus

    async def publish(self, *events: event_pb2.Event) -> None:
        """As the deployer: one commit each."""
        for event in events:
            await self.deployer.commit([Put(event.subject, b"", ANYTHING)], [event])

    async def listed(self) -> list[pb.Activity]:
        return list((await self.stub.ListActivities(pb.ListActivitiesRequest())).activities)

    def consumer(self) -> Consumer:
        return Consumer(
            self.bus,
            group="cold_starter",
            sources=["deployer"],
            handler=self.activities.handle,
            settings=ConsumerSettings(
                block_seconds=0.02, outage_delay_seconds=0.02, first_delay_seconds=0.02
            ),
        )


async def eventually(holds: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    """Poll until the condition holds; RetryError after `seconds`."""
    retry = tenacity.retry_if_result(lambda held: not held)
    stop = tenacity.stop_after_delay(seconds)
    await tenacity.AsyncRetrying(retry=retry, stop=stop, wait=tenacity.wait_fixed(0.01))(holds)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    server = MemoryServer()
    store, deployer = MemoryStore("cold_starter", server), MemoryStore("deployer", server)
    activities = Activities(store)
    stopping = Stopping()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    servicer = ColdStarterServicer(activities, Policies(store))
    serving = asyncio.create_task(
        serve(
            Settings.model_validate({"listen_address": "127.0.0.1:0", "shutdown_grace_seconds": 0}),
            stopping,
            servicers=[Servicer(pb_grpc.add_ColdStarterServiceServicer_to_server, servicer)],
            on_start=address.set_result,
        )
    )
    async with grpc.aio.insecure_channel(await address) as channel:
        stub = pb_grpc.ColdStarterServiceStub(channel)
        yield Service(stub, server, deployer, activities, MemoryBus(server))
    stopping.request()
    await serving
    await store.close()
    await deployer.close()


@pytest.fixture
async def consuming(service: Service) -> AsyncIterator[Service]:
    """The service with its consumer running."""
    consumer = service.consumer()
    running = asyncio.create_task(consumer.run())
    yield service
    await consumer.stop()
    await running
