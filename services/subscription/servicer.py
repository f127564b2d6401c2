"""The gRPC face of the subscription service: requests in, responses out; everything else is in the commands."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from libs.service_kit.errors import NotFound
from libs.service_kit.pagination import read_page
from libs.store import Changed, Compacted, etag_of
from services.subscription.commands import Commands
from services.subscription.records import PREFIX, Subscriptions, shown, within
from sluice.subscription.v1 import subscription_pb2
from sluice.subscription.v1 import subscription_service_pb2 as pb
from sluice.subscription.v1 import subscription_service_pb2_grpc as pb_grpc

Context = Any  # grpc.aio.ServicerContext: generic in both message types, which differ by method


class SubscriptionServicer(pb_grpc.SubscriptionServiceServicer):
    """sluice.subscription.v1.SubscriptionService."""

    def __init__(self, subscriptions: Subscriptions, commands: Commands) -> None:
        self._subscriptions = subscriptions
        self._commands = commands

    async def CreateSubscription(
        self, request: pb.CreateSubscriptionRequest, context: Context
    ) -> pb.CreateSubscriptionResponse:
        return pb.CreateSubscriptionResponse(subscription=await self._commands.create(request))

    async def GetSubscription(
        self, request: pb.GetSubscriptionRequest, context: Context
    ) -> pb.GetSubscriptionResponse:
        stored = await self._subscriptions.get(request.name)
        if stored is None:
            raise NotFound(request.name, resource_type="sluice.dev/Subscription")
        return pb.GetSubscriptionResponse(subscription=shown(stored))

    async def ListSubscriptions(
        self, request: pb.ListSubscriptionsRequest, context: Context
    ) -> pb.ListSubscriptionsResponse:
        page = read_page(request, default_size=50, max_size=1000)
        found = await self._subscriptions.page(request.parent, page.size, page.cursor)
        return pb.ListSubscriptionsResponse(
            subscriptions=[shown(stored) for stored in found.items],
            next_page_token=page.token_after(found.next_after) if found.next_after else "",
            revision=found.revision,
        )

    async def UpdateSubscription(
        self, request: pb.UpdateSubscriptionRequest, context: Context
    ) -> pb.UpdateSubscriptionResponse:
        return pb.UpdateSubscriptionResponse(subscription=await self._commands.update(request))

    async def DeleteSubscription(
        self, request: pb.DeleteSubscriptionRequest, context: Context
    ) -> pb.DeleteSubscriptionResponse:
        return pb.DeleteSubscriptionResponse(subscription=await self._commands.delete(request))

    async def PauseSubscription(
        self, request: pb.PauseSubscriptionRequest, context: Context
    ) -> pb.PauseSubscriptionResponse:
        return pb.PauseSubscriptionResponse(subscription=await self._commands.pause(request))

    async def ResumeSubscription(
        self, request: pb.ResumeSubscriptionRequest, context: Context
    ) -> pb.ResumeSubscriptionResponse:
        return pb.ResumeSubscriptionResponse(subscription=await self._commands.resume(request))

    async def WatchSubscriptions(
        self, request: pb.WatchSubscriptionsRequest, context: Context
    ) -> AsyncIterator[pb.WatchSubscriptionsResponse]:
        start = request.start_revision or (await self._subscriptions.page("tenants/-", 1, "")).revision + 1
        changes = self._subscriptions.store.watch(start, within(request.parent) or PREFIX)
        try:
            async with contextlib.aclosing(changes):
                async for change in changes:
                    if not isinstance(change, Changed):
                        yield pb.WatchSubscriptionsResponse(revision=change.revision)
                        continue
                    fact = subscription_pb2.SubscriptionChanged()
                    change.event.data.Unpack(fact)
                    fact.subscription.etag = etag_of(change.revision)
                    yield pb.WatchSubscriptionsResponse(revision=change.revision, subscription_changed=fact)
        except Compacted as gone:
            compacted = pb.WatchSubscriptionsResponse.Compacted(compact_revision=gone.compact_revision + 1)
            yield pb.WatchSubscriptionsResponse(revision=gone.compact_revision, compacted=compacted)
