"""The process `python -m services.cold_starter` on real Redis, killed and restarted in the middle."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import grpc
import pytest

from deploy.local import LocalStack
from libs.store import ANYTHING, Put, RedisStore, connect, new_event, utc_now
from sluice.cold_starter.v1 import cold_starter_pb2 as pb
from sluice.cold_starter.v1 import cold_starter_pb2_grpc as pb_grpc
from sluice.dataplane.v1 import job_spec_pb2
from sluice.deployer.v1 import job_pb2
from tests.support.stack import local_stack

pytestmark = pytest.mark.integration

RUNNING, DRAINED = job_pb2.JOB_STATE_RUNNING, job_pb2.JOB_STATE_DRAINED


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    environment = {"SLUICE_DEAD_CONSUMER_SECONDS": "2"}
    folder = tmp_path_factory.mktemp("cold_starter")
    with local_stack(folder, parts=("redis",), service_environment=environment) as stack:
        yield stack


@pytest.fixture
async def deployer(servers: LocalStack) -> AsyncIterator[RedisStore]:
    """The deployer's store, for telling what it would tell; the deployer itself does not run."""
    redis = connect(servers.redis_url)
    store = RedisStore("deployer", redis)
    yield store
    await store.close()
    await redis.aclose()


async def _tell(deployer: RedisStore, job: str, state: job_pb2.JobState) -> None:
    output = job_spec_pb2.Output(subscription="tenants/acme/subscriptions/blocked")
    told = job_pb2.Job(name=f"jobs/{job}", state=state, spec=job_spec_pb2.JobSpec(outputs=[output]))
    fact = job_pb2.JobStateChanged(job=told)
    event = new_event(source="deployer", subject=told.name, data=fact, time=utc_now())
    await deployer.commit([Put(told.name, b"", ANYTHING)], [event])


async def _until_awake(servers: LocalStack, expected: set[str]) -> list[pb.Activity]:
    """The activities, as soon as they are those of the `expected` jobs; TimeoutError after 30 s."""
    async with (
        asyncio.timeout(30),
        grpc.aio.insecure_channel(servers.ports.address("cold_starter")) as channel,
    ):
        stub = pb_grpc.ColdStarterServiceStub(channel)
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                page = await stub.ListActivities(pb.ListActivitiesRequest(page_size=1000))
                if {activity.job for activity in page.activities} == expected:
                    return list(page.activities)
            await asyncio.sleep(0.05)


async def test_records_are_complete_after_a_kill_and_a_restart_without_the_deployer(
    servers: LocalStack, deployer: RedisStore
) -> None:
    before = {f"jobs/before-{number}" for number in range(100)}
    for job in sorted(before):
        await _tell(deployer, job.removeprefix("jobs/"), RUNNING)
    await asyncio.to_thread(servers.start, "cold_starter")
    await _until_awake(servers, before)

    killing = asyncio.create_task(asyncio.to_thread(servers.kill, "cold_starter"))
    while_killed = {f"jobs/during-{number}" for number in range(100)}
    for job in sorted(while_killed):
        await _tell(deployer, job.removeprefix("jobs/"), RUNNING)
    for job in sorted(before)[:50]:
        await _tell(deployer, job.removeprefix("jobs/"), DRAINED)
    await killing
    await asyncio.to_thread(servers.start, "cold_starter")
    left = await _until_awake(servers, while_killed | set(sorted(before)[50:]))
    assert {activity.state for activity in left} == {pb.ACTIVITY_STATE_AWAKE}
    assert {activity.subscription for activity in left} == {"tenants/acme/subscriptions/blocked"}


async def test_an_outage_of_redis_is_survived_without_a_restart(
    servers: LocalStack, deployer: RedisStore
) -> None:
    await asyncio.to_thread(servers.start, "cold_starter")
    async with grpc.aio.insecure_channel(servers.ports.address("cold_starter")) as channel:
        stub = pb_grpc.ColdStarterServiceStub(channel)
        known = (await stub.ListActivities(pb.ListActivitiesRequest(page_size=1000))).activities
        await asyncio.to_thread(servers.stop, "redis")
        try:
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await stub.ListActivities(pb.ListActivitiesRequest())
            assert error.value.code() is grpc.StatusCode.UNAVAILABLE
        finally:
            await asyncio.to_thread(servers.start, "redis")
    await _tell(deployer, "after-the-outage", RUNNING)
    await _until_awake(servers, {activity.job for activity in known} | {"jobs/after-the-outage"})
