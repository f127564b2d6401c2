"""WatchSubscriptions: nothing is missed between list and watch, and a gap is never hidden."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from sluice.subscription.v1 import subscription_pb2
from sluice.subscription.v1 import subscription_service_pb2 as pb
from tests.unit.subscription.conftest import Api
from tests.unit.subscription.subscriptions import NAME

STATE = subscription_pb2.SubscriptionState


async def changes(api: Api, parent: str, start: int) -> AsyncGenerator[pb.WatchSubscriptionsResponse, None]:
    """The changes from `start` on, without progress notifications; TimeoutError when none comes."""
    request = pb.WatchSubscriptionsRequest(parent=parent, start_revision=start)
    stream = api.stub.WatchSubscriptions(request)
    try:
        while True:
            async with asyncio.timeout(5):
                response = await anext(aiter(stream))
            if response.WhichOneof("change"):
                yield response
    except StopAsyncIteration:
        return
    finally:
        stream.cancel()


@pytest.mark.parametrize("parent", ["tenants/acme", "tenants/-"])
async def test_list_then_watch_misses_nothing_and_repeats_nothing(api: Api, parent: str) -> None:
    await api.create("s0")
    listed = await api.stub.ListSubscriptions(pb.ListSubscriptionsRequest(parent=parent))
    mirror = {found.name: found for found in listed.subscriptions}
    # Between list and watch.
    await api.create("s1")
    await api.service.converge("tenants/acme/subscriptions/s0")
    watch = changes(api, parent, listed.revision + 1)
    revisions = []
    async for response in watch:
        revisions.append(response.revision)
        subscription = response.subscription_changed.subscription
        mirror[subscription.name] = subscription
        if subscription.state == STATE.SUBSCRIPTION_STATE_ACTIVE:
            break
    await watch.aclose()
    assert revisions == sorted(set(revisions)) and revisions[0] == listed.revision + 1
    listed = await api.stub.ListSubscriptions(pb.ListSubscriptionsRequest(parent=parent))
    # What was mirrored is what is there, etags included.
    assert mirror == {found.name: found for found in listed.subscriptions}


async def test_a_watch_without_a_start_tells_of_what_comes_of_its_tenant_alone(api: Api) -> None:
    await api.create("s0")
    watch = changes(api, "tenants/acme", 0)
    first = asyncio.ensure_future(anext(watch))
    # The watch is on when a change made after it arrives; one made before it is answered must not.
    while not first.done():
        await api.create(f"t{len(await api.service.subscriptions.all())}", tenant="globex")
        await api.create(f"s{len(await api.service.subscriptions.all())}")
        await asyncio.wait({first}, timeout=0.05)
    name = (await first).subscription_changed.subscription.name
    assert name.startswith("tenants/acme/") and name != "tenants/acme/subscriptions/s0"
    await watch.aclose()


async def test_the_end_of_a_subscription_is_told(api: Api) -> None:
    created = await api.create()
    await api.service.delete()
    await api.service.converge()
    seen = []
    async for response in changes(api, "tenants/acme", 1):
        seen.append(response.subscription_changed)
        if seen[-1].deleted:
            break
    assert seen[0].subscription.uid == seen[-1].subscription.uid == created.uid
    assert [fact.deleted for fact in seen] == [False] * (len(seen) - 1) + [True]


async def test_a_watch_from_a_compacted_revision_says_where_to_go_on_and_ends(api: Api) -> None:
    await api.create()
    await api.service.converge()
    compact = await api.service.subscriptions.store.trim(1)
    assert compact > 0
    told = [response async for response in changes(api, "tenants/acme", 1)]
    assert [response.WhichOneof("change") for response in told] == ["compacted"]
    oldest = told[0].compacted.compact_revision
    assert oldest == compact + 1
    async for response in changes(api, "tenants/acme", oldest):
        assert response.subscription_changed.subscription.name == NAME
        break
