"""Activity records, kept from the deployer's events over the memory bus."""

import asyncio

import pytest

from libs.bus import PermanentError, TemporaryError
from libs.store import new_event, utc_now
from sluice.cold_starter.v1 import cold_starter_pb2 as pb
from sluice.deployer.v1 import job_pb2
from sluice.event.v1 import event_pb2
from sluice.self_healing.v1 import topology_pb2
from tests.unit.cold_starter.conftest import Service, eventually, job_changed


async def test_every_job_the_deployer_tells_of_is_awake(consuming: Service) -> None:
    await consuming.publish(job_changed("b"), job_changed("a", state=job_pb2.JOB_STATE_STOPPED))

    async def both() -> bool:
        return len(await consuming.listed()) == 2

    await eventually(both)
    first, second = await consuming.listed()
    assert (first.name, first.job, first.subscription) == (
        "activities/a",
        "jobs/a",
        "tenants/acme/subscriptions/blocked",
    )
    assert {first.state, second.state} == {pb.ACTIVITY_STATE_AWAKE}
    assert (first.job_revision, second.job_revision) == (2, 1)
    shown = await consuming.stub.GetActivity(pb.GetActivityRequest(name="activities/a"))
    assert shown.activity == first and first.update_time.seconds


async def test_events_from_before_the_service_existed_or_while_it_was_down_are_caught_up_with(
    service: Service,
) -> None:
    expected = 0
    for start in ("first", "second"):
        for number in range(50):
            await service.publish(job_changed(f"{start}-{number}"))
        expected += 50
        consumer = service.consumer()
        running = asyncio.create_task(consumer.run())

        async def all_there(count: int = expected) -> bool:
            request = pb.ListActivitiesRequest(page_size=1000)
            return len((await service.stub.ListActivities(request)).activities) == count

        await eventually(all_there)
        await consumer.stop()
        await running


async def test_activities_come_in_pages(service: Service) -> None:
    for revision, job in enumerate("cab", start=1):
        event = job_changed(job)
        event.revision = revision
        await service.activities.handle(event)
    first = await service.stub.ListActivities(pb.ListActivitiesRequest(page_size=2))
    rest = await service.stub.ListActivities(
        pb.ListActivitiesRequest(page_size=2, page_token=first.next_page_token)
    )
    names = [activity.name for activity in [*first.activities, *rest.activities]]
    assert names == ["activities/a", "activities/b", "activities/c"] and not rest.next_page_token


@pytest.mark.parametrize(
    "end",
    [
        job_changed(state=job_pb2.JOB_STATE_DRAINED),
        job_changed(state=job_pb2.JOB_STATE_CANCELLED),
        job_changed(deleted=True),
    ],
)
async def test_the_record_of_an_ended_job_goes_and_old_news_does_not_bring_it_back(
    service: Service, end: event_pb2.Event
) -> None:
    started = job_changed()
    started.revision = 3
    await service.activities.handle(started)
    assert len(await service.listed()) == 1
    end.revision = 5
    await service.activities.handle(end)
    for revision in (3, 4):
        started.revision = revision
        await service.activities.handle(started)
    assert await service.listed() == []


async def test_an_older_or_repeated_event_changes_nothing(service: Service) -> None:
    newer = job_changed(subscription="tenants/acme/subscriptions/new")
    newer.revision = 7
    await service.activities.handle(newer)
    before = await service.listed()
    older = job_changed(subscription="tenants/acme/subscriptions/old")
    older.revision = 6
    for event in (older, newer):
        await service.activities.handle(event)
    assert await service.listed() == before


async def test_two_processes_that_take_in_events_of_one_job_end_with_the_newest(service: Service) -> None:
    events = [job_changed() for _ in range(12)]
    for revision, event in enumerate(events, start=1):
        event.revision = revision
    await asyncio.gather(*(service.activities.handle(event) for event in reversed(events)))
    (activity,) = await service.listed()
    assert activity.job_revision == 12


async def test_other_events_are_ignored_and_unreadable_ones_are_hopeless(service: Service) -> None:
    other = new_event(source="deployer", subject="x", data=topology_pb2.TopologyChanged(), time=utc_now())
    await service.activities.handle(other)
    nameless = new_event(source="deployer", subject="x", data=job_pb2.JobStateChanged(), time=utc_now())
    with pytest.raises(PermanentError):
        await service.activities.handle(nameless)
    assert await service.listed() == []


async def test_with_the_store_away_an_event_is_tried_again_and_not_lost(consuming: Service) -> None:
    await consuming.publish(job_changed("a"))

    async def one() -> bool:
        return len(await consuming.listed()) == 1

    await eventually(one)
    consuming.server.available = False
    with pytest.raises(TemporaryError):
        await consuming.activities.handle(job_changed("b"))
    consuming.server.available = True
    await consuming.publish(job_changed("b"))

    async def two() -> bool:
        return len(await consuming.listed()) == 2

    await eventually(two)
