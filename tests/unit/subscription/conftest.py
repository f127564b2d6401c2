"""The subscription service in this process, over the memory store and a fake world, behind a real gRPC channel."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import pytest

from libs.service_kit.server import Servicer, Stopping, serve
from libs.service_kit.settings import Settings
from services.subscription.servicer import SubscriptionServicer
from sluice.subscription.v1 import subscription_pb2
from sluice.subscription.v1 import subscription_service_pb2 as pb
from sluice.subscription.v1 import subscription_service_pb2_grpc as pb_grpc
from tests.unit.subscription.process import Service
from tests.unit.subscription.subscriptions import wish


@dataclass
class Api:
    """The stub of a served service. Its loop does not run by itself: `service.converge` takes the steps."""

    stub: "pb_grpc.SubscriptionServiceAsyncStub"
    service: Service

    async def create(
        self,
        subscription_id: str = "blocked",
        tenant: str = "acme",
        *,
        subscription: subscription_pb2.Subscription | None = None,
        request_id: str = "",
        validate_only: bool = False,
    ) -> subscription_pb2.Subscription:
        request = pb.CreateSubscriptionRequest(
            parent=f"tenants/{tenant}",
            subscription_id=subscription_id,
            subscription=wish() if subscription is None else subscription,
            request_id=request_id,
            validate_only=validate_only,
        )
        return (await self.stub.CreateSubscription(request)).subscription

    async def get(self, name: str) -> subscription_pb2.Subscription:
        return (await self.stub.GetSubscription(pb.GetSubscriptionRequest(name=name))).subscription


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    service = Service()
    stopping = Stopping()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    servicer = SubscriptionServicer(service.subscriptions, service.commands)
    serving = asyncio.create_task(
        serve(
            Settings.model_validate({"listen_address": "127.0.0.1:0", "shutdown_grace_seconds": 0}),
            stopping,
            servicers=[Servicer(pb_grpc.add_SubscriptionServiceServicer_to_server, servicer)],
            on_start=address.set_result,
        )
    )
    async with grpc.aio.insecure_channel(await address) as channel:
        yield Api(pb_grpc.SubscriptionServiceStub(channel), service)
    stopping.request()
    await serving
    await service.subscriptions.store.close()
