"""The process dies, or a service breaks, at every call of a subscription's life; nothing is done twice."""

import pytest

from libs.store import StoreUnavailable
from services.subscription.compile import spec_digest
from services.subscription.ports import Unavailable
from sluice.deployer.v1 import job_pb2
from sluice.subscription.v1 import subscription_pb2
from tests.unit.subscription.fake_world import FakeWorld, ProcessDied
from tests.unit.subscription.process import Service
from tests.unit.subscription.subscriptions import NAME


async def a_whole_life(service: Service) -> None:
    """Create, update, pause, resume, delete. What the tenant sees is checked after each."""
    states = subscription_pb2.SubscriptionState
    await service.create()
    await service.converge()
    assert (await service.shown()).state == states.SUBSCRIPTION_STATE_ACTIVE
    await service.update("SELECT number FROM events")
    await service.converge()
    job = await service.job_of()
    assert job.spec.outputs[0].sql == "SELECT number FROM events"
    shown = await service.shown()
    assert (shown.state, shown.generation, shown.observed_generation) == (
        states.SUBSCRIPTION_STATE_ACTIVE,
        2,
        2,
    )
    await service.pause()
    await service.converge()
    assert (await service.shown()).state == states.SUBSCRIPTION_STATE_PAUSED
    assert (await service.job_of()).state == job_pb2.JOB_STATE_STOPPED
    await service.resume()
    await service.converge()
    shown = await service.shown()
    assert (shown.state, shown.reconciling) == (states.SUBSCRIPTION_STATE_ACTIVE, False)
    assert (await service.job_of()).running_spec_digest == spec_digest((await service.stored()).message.spec)
    await service.delete()
    await service.converge()
    assert await service.subscriptions.get(NAME) is None


def check_effects(service: Service) -> None:
    [job] = service.world.jobs.values()
    assert job.state == job_pb2.JOB_STATE_DRAINED
    # One change each for create, update, pause, resume and delete: every repetition changed nothing.
    assert service.world.generations[job.name] == 5
    assert service.world.topics == {"sluice.out.acme.blocked": 4, "sluice.dead-letters.acme": 1}
    assert len(service.world.schemas) == 2


async def _calls_of_a_life() -> list[str]:
    service = Service()
    await a_whole_life(service)
    check_effects(service)
    return service.world.calls


@pytest.mark.parametrize(
    "error", [ProcessDied("kill -9"), Unavailable("deployer", "struck"), StoreUnavailable("x")]
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_struck_at_any_call_it_converges_with_each_effect_once(
    error: BaseException, after: bool
) -> None:
    calls = await _calls_of_a_life()
    compilations = [number for number, call in enumerate(calls) if call == "surroundings"]
    struck = 0
    for number in range(len(calls)):
        # The tenant's own compilations answer the tenant, who repeats the call.
        if number == 0 or (number in compilations and calls[number + 1 : number + 2] != ["commit"]):
            continue
        service = Service(FakeWorld(strike=(number, after, error)))
        await a_whole_life(service)
        check_effects(service)
        assert service.world.strike is None
        struck += 1
        assert service.deaths == isinstance(error, ProcessDied), calls[number]
    assert struck > 15


async def test_a_job_that_was_applied_without_an_answer_does_not_outlive_its_subscription() -> None:
    service = Service()
    await service.create()
    service.world.away("apply_job")
    with pytest.raises(Unavailable):
        await service.loop.reconcile(NAME)
    # The deployer got it, the answer was lost, and the tenant deletes before the next attempt.
    service.world.back()
    stored = await service.stored()
    await service.world.apply_job(
        stored.message.subscription.job, stored.message.spec, paused=False, reason="late"
    )
    await service.delete()
    await service.converge()
    assert await service.subscriptions.get(NAME) is None
    assert [job.state for job in service.world.jobs.values()] == [job_pb2.JOB_STATE_DRAINED]


async def test_a_late_apply_finds_the_job_ended_though_the_deployer_had_never_heard_of_it() -> None:
    service = Service()
    created = await service.create()
    service.world.away("apply_job")
    with pytest.raises(Unavailable):
        await service.loop.reconcile(NAME)
    service.world.back()
    await service.delete()
    await service.converge()
    assert await service.subscriptions.get(NAME) is None
    assert service.world.jobs[created.job].state == job_pb2.JOB_STATE_DRAINED


async def test_a_subscription_deleted_before_anything_was_prepared_is_just_forgotten() -> None:
    service = Service()
    await service.create()
    await service.delete()
    calls = len(service.world.calls)
    await service.reconcile()
    assert await service.subscriptions.get(NAME) is None
    assert service.world.calls[calls:] == ["commit"] and not service.world.jobs
