"""What facts of other services do: just the touched are compiled again; late and doubled facts change nothing."""

import pytest
from google.protobuf.any_pb2 import Any

from libs.bus import PermanentError, TemporaryError
from services.subscription.model import Surroundings
from sluice.deployer.v1 import job_pb2
from sluice.event.v1 import event_pb2
from sluice.self_healing.v1 import topology_pb2
from sluice.subscription.v1 import subscription_pb2
from tests.support.jobs import EVENT_SCHEMA
from tests.unit.subscription.fake_world import GUID, place
from tests.unit.subscription.process import Service, event
from tests.unit.subscription.subscriptions import NAME

STATE = subscription_pb2.SubscriptionState
GLOBEX = "tenants/globex/subscriptions/blocked"


def binding(name: str, *, deleted: bool = False) -> topology_pb2.TopologyChanged:
    return topology_pb2.TopologyChanged(binding=topology_pb2.Binding(name=name), deleted=deleted)


async def two_tenants() -> Service:
    service = Service()
    await service.create()
    await service.create(tenant="globex")
    for name in (NAME, GLOBEX):
        await service.converge(name)
    return service


async def test_a_changed_binding_recompiles_that_tenants_subscriptions_and_no_other() -> None:
    service = await two_tenants()
    untouched = (await service.stored(GLOBEX)).revision
    moved = Surroundings((place("events"), place("events.2")), EVENT_SCHEMA, GUID)
    service.world.datasets["datasets/firewall"] = moved
    compilations, generation = service.world.count("surroundings"), (await service.shown()).generation
    await service.tell_topology(binding("datasets/firewall/bindings/acme"))
    assert (await service.shown()).state == STATE.SUBSCRIPTION_STATE_ACTIVE, "it runs until it is replaced"
    await service.converge()
    assert service.world.count("surroundings") == compilations + 1
    assert [topic.topic for topic in (await service.job_of()).spec.source.topics] == ["events", "events.2"]
    shown = await service.shown()
    assert (shown.state, shown.generation) == (STATE.SUBSCRIPTION_STATE_ACTIVE, generation)
    assert (await service.stored(GLOBEX)).revision == untouched


@pytest.mark.parametrize(
    ("changed", "touched"),
    [
        (binding("datasets/firewall/bindings/acme"), {NAME}),
        (binding("datasets/firewall/bindings/initech"), set()),
        (binding("datasets/other/bindings/acme"), set()),
        (
            topology_pb2.TopologyChanged(dataset=topology_pb2.Dataset(name="datasets/firewall")),
            {NAME, GLOBEX},
        ),
        (topology_pb2.TopologyChanged(dataset=topology_pb2.Dataset(name="datasets/fire")), set()),
        (topology_pb2.TopologyChanged(cluster=topology_pb2.Cluster(name="clusters/main")), {NAME, GLOBEX}),
        (topology_pb2.TopologyChanged(cluster=topology_pb2.Cluster(name="clusters/east")), set()),
    ],
    ids=lambda value: str(value).replace("\n", " ")[:40],
)
async def test_only_the_touched_are_touched(changed: topology_pb2.TopologyChanged, touched: set[str]) -> None:
    service = await two_tenants()
    before = {stored.name: stored.revision for stored in await service.subscriptions.all()}
    await service.tell_topology(changed)
    after = {stored.name: stored.revision for stored in await service.subscriptions.all()}
    assert {name for name in after if after[name] != before[name]} == touched


async def test_a_fact_that_changes_nothing_for_the_job_leaves_it_alone() -> None:
    service = await two_tenants()
    applied = service.world.count("apply_job")
    await service.tell_topology(binding("datasets/firewall/bindings/acme"))
    await service.converge()
    assert service.world.count("apply_job") == applied
    assert not (await service.stored()).message.compile_due


async def test_a_binding_that_goes_is_told_and_forgiven_when_it_comes_back() -> None:
    service = await two_tenants()
    service.world.bound = frozenset({"globex"})
    await service.tell_topology(binding("datasets/firewall/bindings/acme", deleted=True))
    with pytest.raises(Exception, match="not bound"):
        await service.loop.reconcile(NAME)
    shown = await service.shown()
    assert shown.state == STATE.SUBSCRIPTION_STATE_DEGRADED
    assert "not bound" in shown.state_reason and "as it was last accepted" in shown.state_reason
    assert (await service.job_of()).state == job_pb2.JOB_STATE_RUNNING
    await service.pause()
    with pytest.raises(Exception, match="not bound"):
        await service.loop.reconcile(NAME)
    assert (await service.job_of()).desire.pause, "a pause gets through"
    await service.resume()
    service.world.bound = None
    await service.tell_topology(binding("datasets/firewall/bindings/acme"))
    await service.converge()
    shown = await service.shown()
    assert (shown.state, (await service.stored()).message.problem) == (STATE.SUBSCRIPTION_STATE_ACTIVE, "")


async def test_a_fact_that_passes_between_compiling_and_commit_is_not_missed() -> None:
    service = Service()
    await service.create()
    # The binding changed after Create had read it, and the event went by before the record was there.
    service.world.datasets["datasets/firewall"] = Surroundings((place("events.2"),), EVENT_SCHEMA, GUID)
    await service.converge()
    assert [topic.topic for topic in (await service.job_of()).spec.source.topics] == ["events.2"]
    assert service.world.generations[(await service.shown()).job] == 1


async def test_a_fact_during_a_compilation_causes_another() -> None:
    service = await two_tenants()
    await service.tell_topology(binding("datasets/firewall/bindings/acme"))
    surroundings = service.world.surroundings

    async def changed_meanwhile(dataset: str, tenant: str) -> Surroundings:
        read = await surroundings(dataset, tenant)
        service.world.surroundings = surroundings  # type: ignore[method-assign]  # once
        service.world.datasets[dataset] = Surroundings((place("events.2"),), EVENT_SCHEMA, GUID)
        await service.tell_topology(binding("datasets/firewall/bindings/acme"))
        return read

    service.world.surroundings = changed_meanwhile  # type: ignore[method-assign]  # a race, made certain
    await service.converge()
    assert [topic.topic for topic in (await service.job_of()).spec.source.topics] == ["events.2"]


async def test_job_facts_out_of_order_and_doubled_end_at_the_newest() -> None:
    service = Service()
    created = await service.create()
    await service.reconcile()
    running = job_pb2.Job()
    running.CopyFrom(service.world.settle(created.job))
    starting = job_pb2.Job()
    starting.CopyFrom(running)
    starting.state, starting.running_spec_digest = job_pb2.JOB_STATE_STARTING, ""
    await service.tell_job(running, revision=8)
    revision = (await service.stored()).revision
    for late in (7, 8, 1):
        await service.tell_job(starting, revision=late)
    assert (await service.stored()).revision == revision
    assert (await service.shown()).state == STATE.SUBSCRIPTION_STATE_ACTIVE


async def test_a_recreated_subscription_ignores_the_facts_of_its_predecessors_job() -> None:
    service = Service()
    first = await service.create()
    await service.converge()
    await service.delete()
    await service.converge()
    second = await service.create()
    assert first.job != second.job and first.uid != second.uid
    await service.reconcile()
    await service.tell_job(service.world.jobs[first.job], revision=10_000)
    record = (await service.stored()).message
    assert record.job.state == job_pb2.JOB_STATE_PENDING and record.job.revision < 10_000
    assert (await service.shown()).state == STATE.SUBSCRIPTION_STATE_PROVISIONING


async def test_facts_of_jobs_that_are_nobodys_are_ignored() -> None:
    service = await two_tenants()
    before = len(await service.history())
    stranger = job_pb2.Job(name="jobs/stranger")
    await service.tell_job(stranger)
    stranger.spec.outputs.add(subscription="by hand")
    await service.tell_job(stranger)
    assert len(await service.history()) == before


async def test_unknown_facts_are_ignored_and_unreadable_ones_given_up() -> None:
    service = Service()
    unknown = event(binding("datasets/a/bindings/b"), "x", 1)
    unknown.data.CopyFrom(Any(type_url="type.googleapis.com/sluice.unknown.v1.Fact", value=b"\xff"))
    await service.facts.handle(unknown)
    broken = event_pb2.Event()
    broken.CopyFrom(unknown)
    broken.data.type_url = "type.googleapis.com/sluice.self_healing.v1.TopologyChanged"
    with pytest.raises(Exception, match=r".") as error:
        await service.facts.handle(broken)
    assert not isinstance(error.value, TemporaryError)
    with pytest.raises(PermanentError):
        await service.tell_topology(topology_pb2.TopologyChanged())


async def test_with_the_store_away_a_fact_comes_again() -> None:
    service = Service()
    service.server.available = False
    with pytest.raises(TemporaryError):
        await service.tell_topology(binding("datasets/firewall/bindings/acme"))
