"""The loop: who is looked at when, outages, races with tenants, and subscriptions that break."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from services.subscription.loop import Pace
from services.subscription.ports import Refused
from services.subscription.records import copy_of
from sluice.deployer.v1 import job_pb2
from sluice.subscription.v1 import subscription_pb2
from sluice.subscription.v1 import subscription_service_pb2 as pb
from tests.unit.subscription.fake_world import FakeWorld
from tests.unit.subscription.process import QUICK, Service, until
from tests.unit.subscription.subscriptions import NAME

STATE = subscription_pb2.SubscriptionState
OTHER = "tenants/acme/subscriptions/other"


@contextlib.asynccontextmanager
async def running(service: Service) -> AsyncIterator[None]:
    loop = asyncio.create_task(service.loop.run())
    yield
    assert not loop.done(), "the loop has ended by itself"
    loop.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await loop


async def test_what_a_process_left_behind_is_taken_up_at_the_start_of_the_next() -> None:
    service = Service(pace=Pace(resync_seconds=3600))
    await service.create()
    service.restart()
    async with running(service):
        await until(lambda: applied(service), "applied")


async def applied(service: Service, name: str = NAME) -> bool:
    return (await service.stored(name)).message.HasField("applied_spec")


async def test_a_store_that_is_away_at_the_start_is_asked_again_soon() -> None:
    service = Service()
    await service.create()
    service.restart()
    service.server.available = False
    async with running(service):

        async def asked() -> bool:
            return service.loops_store.lists > 0

        await until(asked, "asked in vain")
        service.server.available = True
        await until(lambda: applied(service), "applied")


async def test_with_the_deployer_away_the_tenant_is_told_and_it_catches_up() -> None:
    service = Service()
    service.world.away("apply_job")
    async with running(service):
        await service.create()

        async def is_degraded() -> bool:
            return (await service.shown()).state == STATE.SUBSCRIPTION_STATE_DEGRADED

        await until(is_degraded, "degraded")
        assert (await service.shown()).state_reason == "waiting for deployer: away"
        attempts = service.world.count("apply_job")
        await until(lambda: _more(service, "apply_job", attempts + 3), "tried again")
        service.world.back()
        await until(lambda: applied(service), "applied")
    assert not service.loop.waiting


async def _more(service: Service, method: str, than: int) -> bool:
    return service.world.count(method) > than


async def test_each_subscription_has_one_timer_however_often_it_is_looked_at() -> None:
    service = Service(pace=Pace(resync_seconds=0.005, first_retry_seconds=60, longest_retry_seconds=60))
    service.world.away("ensure_topic")
    async with running(service):
        await service.create()
        await until(lambda: _more(service, "ensure_topic", 0), "tried")
        looks = service.loops_store.lists

        async def looked_often() -> bool:
            return service.loops_store.lists > looks + 10

        await until(looked_often, "looked at all of them often")
        assert service.world.count("ensure_topic") == 1 and service.loop.waiting == {NAME}
        # A change of the tenant's does not wait for the timer.
        await service.update("SELECT number FROM events")
        await until(lambda: _more(service, "ensure_topic", 1), "tried again at once")


def test_delays_double_up_to_a_bound() -> None:
    assert [Pace().delay_after(failures, 15) for failures in (1, 2, 3, 6, 10_000)] == [0.5, 1, 2, 15, 15]


async def test_what_is_refused_is_told_and_succeeds_once_somebody_acted() -> None:
    service = Service()
    service.world.fail["register_output_schema"] = Refused("schema registry", "not BACKWARD compatible")
    async with running(service):
        await service.create()

        async def has_failed() -> bool:
            return (await service.shown()).state == STATE.SUBSCRIPTION_STATE_FAILED

        await until(has_failed, "failed")
        assert (await service.shown()).state_reason == "schema registry: not BACKWARD compatible"
        service.world.back()
        await until(lambda: applied(service), "applied by itself")
        assert not (await service.stored()).message.problem


async def test_a_pause_gets_through_while_a_changed_statement_is_refused() -> None:
    service = Service()
    await service.create()
    await service.converge()
    first = (await service.job_of()).spec.outputs[0].sql
    service.world.fail["register_output_schema"] = Refused("schema registry", "not BACKWARD compatible")
    await service.update("SELECT action FROM events")
    await service.converge()
    shown = await service.shown()
    assert (
        shown.state == STATE.SUBSCRIPTION_STATE_DEGRADED and "as it was last accepted" in shown.state_reason
    )
    await service.pause()
    await service.converge()
    job = await service.job_of()
    assert job.state == job_pb2.JOB_STATE_STOPPED and job.spec.outputs[0].sql == first
    await service.resume()
    await service.converge()
    assert (await service.job_of()).state == job_pb2.JOB_STATE_STOPPED, "the old statement must not come back"
    service.world.back()
    await service.converge()
    job = await service.job_of()
    assert job.state == job_pb2.JOB_STATE_RUNNING and job.spec.outputs[0].sql == "SELECT action FROM events"


async def test_paused_before_it_was_ever_prepared_the_job_never_starts() -> None:
    service = Service()
    await service.create()
    await service.pause()
    await service.converge()
    assert (await service.shown()).state == STATE.SUBSCRIPTION_STATE_PAUSED
    job = await service.job_of()
    assert job.desire.pause and service.world.generations[job.name] == 1


async def test_a_broken_subscription_says_so_and_the_others_go_on() -> None:
    service = Service()
    await service.create("blocked")
    await service.create("other")
    poisoned = (await service.stored()).message.subscription.job
    apply_job = service.world.apply_job

    async def apply_or_break(job: str, *arguments: object, **options: object) -> job_pb2.Job:
        if job == poisoned:
            raise ZeroDivisionError("a bug")
        return await apply_job(job, *arguments, **options)  # type: ignore[arg-type]  # handed through

    service.world.apply_job = apply_or_break  # type: ignore[method-assign]  # the fake breaks for one job
    async with running(service):

        async def is_told() -> bool:
            return (await service.shown()).state == STATE.SUBSCRIPTION_STATE_DEGRADED

        await until(is_told, "told")
        assert "internal error" in (await service.shown()).state_reason
        assert "a bug" not in (await service.shown()).state_reason
        await until(lambda: applied(service, OTHER), "the other is applied")
        service.world.apply_job = apply_job  # type: ignore[method-assign]  # repaired
        await until(lambda: applied(service), "applied after the repair")


async def test_a_fact_that_got_lost_is_asked_for() -> None:
    service = Service()
    async with running(service):
        await service.create()
        await until(lambda: applied(service), "applied")
        service.world.settle((await service.shown()).job)

        async def is_active() -> bool:
            return (await service.shown()).state == STATE.SUBSCRIPTION_STATE_ACTIVE

        await until(is_active, "active without an event")


async def test_a_job_that_the_deployer_lost_is_applied_again_under_its_name() -> None:
    service = Service()
    async with running(service):
        created = await service.create()
        await until(lambda: applied(service), "applied")
        service.world.jobs.clear()

        async def is_back() -> bool:
            return created.job in service.world.jobs

        await until(is_back, "applied again")


async def test_a_delete_waits_for_the_deployer_and_then_for_the_drain() -> None:
    service = Service()
    await service.create()
    await service.converge()
    service.world.away("drain_job", "find_job")
    async with running(service):
        await service.delete()

        async def waits() -> bool:
            return "waiting for deployer" in (await service.shown()).state_reason

        await until(waits, "waits")
        assert (await service.shown()).state == STATE.SUBSCRIPTION_STATE_DELETING
        service.world.back()
        await until(lambda: _more(service, "find_job", 0), "drain asked for")
        assert await service.subscriptions.get(NAME) is not None
        service.world.settle((await service.shown()).job)

        async def is_gone() -> bool:
            return await service.subscriptions.get(NAME) is None

        await until(is_gone, "gone")
    last = (await service.history())[-1]
    assert last.deleted and last.subscription.state == STATE.SUBSCRIPTION_STATE_DELETING


async def test_an_operator_who_drains_the_job_ends_the_subscription_for_good() -> None:
    service = Service()
    created = await service.create()
    await service.converge()
    await service.world.drain_job(created.job)
    await service.converge()
    assert (await service.shown()).state == STATE.SUBSCRIPTION_STATE_FAILED
    calls = service.world.count("apply_job")
    await service.update("SELECT number FROM events")
    await service.converge()
    assert service.world.count("apply_job") == calls
    assert "create it again" in (await service.shown()).state_reason
    await service.delete()
    await service.converge()
    assert await service.subscriptions.get(NAME) is None


async def test_tenants_and_loop_write_at_once_and_no_change_is_lost() -> None:
    service = Service()
    await service.create()
    async with running(service):
        for round_ in range(6):
            sql = f"SELECT number + {round_} AS n FROM events"
            mask = {"paths": ["description"]}
            describe = pb.UpdateSubscriptionRequest(
                subscription=subscription_pb2.Subscription(name=NAME, description=f"round {round_}"),
                update_mask=mask,
            )
            # None of these carries an etag: whoever comes second decides again.
            await asyncio.gather(
                service.update(sql),
                service.commands.update(describe),
                service.pause() if round_ % 2 else service.resume(),
                *(_status_write(service) for _ in range(3)),
            )
            shown = await service.shown()
            assert (shown.sql, shown.description, shown.paused) == (sql, f"round {round_}", bool(round_ % 2))

        async def is_applied() -> bool:
            stored = (await service.stored()).message
            return stored.applied_spec == stored.spec and stored.applied_paused == stored.subscription.paused

        await until(is_applied, "applied")
    assert (await service.job_of()).spec.outputs[0].sql == "SELECT number + 5 AS n FROM events"


async def _status_write(service: Service) -> None:
    stored = await service.stored()
    with contextlib.suppress(Exception):
        await service.subscriptions.write(stored, copy_of(stored.message))


@pytest.mark.parametrize("subscriptions", [40])
async def test_many_are_worked_on_side_by_side(subscriptions: int) -> None:
    service = Service(FakeWorld(), pace=QUICK)
    async with running(service):
        for number in range(subscriptions):
            await service.create(f"s{number}")

        async def all_applied() -> bool:
            return all(
                stored.message.HasField("applied_spec") for stored in await service.subscriptions.all()
            )

        await until(all_applied, "all applied")
    assert sum(service.world.generations.values()) == subscriptions
