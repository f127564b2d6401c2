"""The process `python -m services.subscription` on a real Redis, killed and restarted in the middle."""

import asyncio
import contextlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import grpc
import pytest
import tenacity

from deploy.local import LocalStack
from deploy.local.errors import StackError
from libs.store import Changed, RedisStore, connect
from sluice.deployer.v1 import job_pb2
from sluice.subscription.v1 import subscription_pb2
from sluice.subscription.v1 import subscription_service_pb2 as pb
from sluice.subscription.v1 import subscription_service_pb2_grpc as pb_grpc
from tests.integration.subscription.fake_services import serve_fakes
from tests.support.stack import local_stack
from tests.unit.subscription.fake_world import FakeWorld
from tests.unit.subscription.process import until
from tests.unit.subscription.subscriptions import wish

pytestmark = pytest.mark.integration

T = TypeVar("T")
STATE = subscription_pb2.SubscriptionState
OTHERS = ("schema_registry", "self_healing", "deployer")


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    environment = {"SLUICE_RESYNC_SECONDS": "1"}
    folder = tmp_path_factory.mktemp("subscription")
    with local_stack(folder, parts=("redis",), service_environment=environment) as stack:
        yield stack


@dataclass
class Running:
    """The service as a process, and the others as fakes in this one."""

    stub: "pb_grpc.SubscriptionServiceAsyncStub"
    world: FakeWorld
    stack: LocalStack
    tenant: str

    async def kill_and_restart(self) -> None:
        """The threads of a killed process hold its ports for a moment longer than the process is alive."""
        self.stack.kill("subscription")
        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(StackError),
            stop=tenacity.stop_after_delay(10),
            wait=tenacity.wait_fixed(0.05),
            reraise=True,
        ):
            with attempt:
                await asyncio.to_thread(self.stack.start, "subscription")

    async def all(self) -> list[subscription_pb2.Subscription]:
        request = pb.ListSubscriptionsRequest(parent=self.tenant, page_size=1000)
        return list((await patiently(lambda: self.stub.ListSubscriptions(request))).subscriptions)

    async def reach(self, state: "subscription_pb2.SubscriptionState", generation: int) -> None:
        async def reached() -> bool:
            return all(
                (found.state, found.observed_generation) == (state, generation) for found in await self.all()
            )

        await until(reached, STATE.Name(state), seconds=60)


@pytest.fixture
async def running(servers: LocalStack) -> AsyncIterator[Running]:
    await asyncio.to_thread(servers.start, "redis")
    redis = connect(servers.redis_url)
    store = RedisStore("deployer", redis)
    world = FakeWorld()
    fakes = await serve_fakes(world, store, {name: servers.ports.address(name) for name in OTHERS})
    await asyncio.to_thread(servers.start, "subscription")
    options = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200)]
    async with grpc.aio.insecure_channel(servers.ports.address("subscription"), options) as channel:
        tenant = f"tenants/t{uuid.uuid4().hex[:10]}"
        yield Running(pb_grpc.SubscriptionServiceStub(channel), world, servers, tenant)
    await asyncio.to_thread(servers.stop, "subscription")
    for fake in fakes:
        await fake.stop(0)
    await store.close()
    await redis.aclose()


def _is_away(error: BaseException) -> bool:
    return isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.UNAVAILABLE


@tenacity.retry(
    retry=tenacity.retry_if_exception(_is_away),
    stop=tenacity.stop_after_delay(60),
    wait=tenacity.wait_fixed(0.05),
    reraise=True,
)
async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """The same call again until it is not UNAVAILABLE any more, as a client does it; for a minute."""
    return await call()


async def for_each(names: list[str], call: Callable[[str], Awaitable[T]], during: Awaitable[None]) -> None:
    """The call for every name, each repeated until it is answered, while `during` happens."""

    async def repeat(name: str) -> None:
        await patiently(lambda: call(name))

    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        for name in names:
            group.create_task(repeat(name))
        await during


async def test_killed_at_every_stage_each_job_is_applied_changed_and_drained_once(running: Running) -> None:
    names = [f"{running.tenant}/subscriptions/s{number}" for number in range(20)]
    ids = {(name, step): str(uuid.uuid4()) for name in names for step in range(4)}

    async def create(name: str) -> object:
        request = pb.CreateSubscriptionRequest(
            parent=running.tenant,
            subscription_id=name.split("/")[-1],
            subscription=wish(),
            request_id=ids[name, 0],
        )
        return await running.stub.CreateSubscription(request)

    async def update(name: str) -> object:
        changed = subscription_pb2.Subscription(name=name, sql="SELECT number FROM events")
        return await running.stub.UpdateSubscription(
            pb.UpdateSubscriptionRequest(subscription=changed, request_id=ids[name, 1])
        )

    async def pause(name: str) -> object:
        return await running.stub.PauseSubscription(
            pb.PauseSubscriptionRequest(name=name, request_id=ids[name, 2])
        )

    async def delete(name: str) -> object:
        return await running.stub.DeleteSubscription(
            pb.DeleteSubscriptionRequest(name=name, request_id=ids[name, 3])
        )

    await for_each(names, create, running.kill_and_restart())
    assert sorted(found.name for found in await running.all()) == sorted(names)
    await running.reach(STATE.SUBSCRIPTION_STATE_ACTIVE, generation=1)
    await for_each(names, update, running.kill_and_restart())
    await running.reach(STATE.SUBSCRIPTION_STATE_ACTIVE, generation=2)
    await for_each(names, pause, running.kill_and_restart())
    await running.reach(STATE.SUBSCRIPTION_STATE_PAUSED, generation=3)
    await for_each(names, delete, running.kill_and_restart())

    async def all_gone() -> bool:
        return not await running.all()

    await until(all_gone, "all gone", seconds=60)
    assert len(running.world.jobs) == len(names)
    assert {job.state for job in running.world.jobs.values()} == {job_pb2.JOB_STATE_DRAINED}
    # Create, update, pause, delete: every repetition changed nothing.
    assert set(running.world.generations.values()) == {4}
    assert await _ends_told(running) == Counter(names)


async def _ends_told(running: Running) -> Counter[str]:
    """How often the end of each subscription was told."""
    redis = connect(running.stack.redis_url)
    store = RedisStore("subscription", redis)
    told: Counter[str] = Counter()
    async with contextlib.aclosing(store.watch(0, f"{running.tenant}/")) as changes:
        async for change in changes:
            if not isinstance(change, Changed):
                break
            fact = subscription_pb2.SubscriptionChanged()
            assert change.event.data.Unpack(fact)
            told[change.event.subject] += fact.deleted
    await store.close()
    await redis.aclose()
    return told


async def test_with_redis_away_calls_are_unavailable_and_everything_goes_on_when_it_is_back(
    running: Running,
) -> None:
    request = pb.CreateSubscriptionRequest(
        parent=running.tenant, subscription_id="s", subscription=wish(), request_id=str(uuid.uuid4())
    )
    running.stack.kill("redis")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await running.stub.CreateSubscription(request, timeout=20)
    assert error.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    await asyncio.to_thread(running.stack.start, "redis")
    await patiently(lambda: running.stub.CreateSubscription(request))
    await running.reach(STATE.SUBSCRIPTION_STATE_ACTIVE, generation=1)
