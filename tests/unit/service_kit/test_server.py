"""A real grpc.aio server on a loopback port: what a client sees."""

import asyncio
import urllib.request
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from libs.service_kit.background import BackgroundTask
from libs.service_kit.client import RemoteError, open_channel, remote_error
from libs.service_kit.server import Servicer, Stopping, serve
from libs.service_kit.settings import Settings
from libs.service_kit.startup import StartupError
from libs.service_kit.tracing import trace_id, traced
from libs.service_kit.validation import UnsupportedRule
from tests.unit.service_kit.thing_service import serving, thing_servicer

SERVICE = "sluice.kittest.v1.ThingService"
BOUND_SECONDS = 5


class Client:
    """Stubs for one running ThingService."""

    def __init__(self, kit_test: ModuleType, kit_test_grpc: ModuleType, channel: grpc.aio.Channel) -> None:
        self.protos = kit_test
        self.stub = kit_test_grpc.ThingServiceStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)
        self.reflection = reflection_pb2_grpc.ServerReflectionStub(channel)

    async def get(self, kind: str, **options: Any) -> Any:
        return await self.stub.GetThing(
            self.protos.GetThingRequest(name=f"tenants/acme/things/{kind}"), **options
        )

    async def failure(self, kind: str, **options: Any) -> RemoteError:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await self.get(kind, **options)
        return remote_error(raised.value)

    async def health_of(self, service: str) -> int:
        answer = await self.health.Check(health_pb2.HealthCheckRequest(service=service))
        return int(answer.status)


@pytest.fixture
def servicer(kit_test: ModuleType, kit_test_grpc: ModuleType) -> Any:
    return thing_servicer(kit_test, kit_test_grpc)


@pytest.fixture
async def client(kit_test: ModuleType, kit_test_grpc: ModuleType, servicer: Any) -> AsyncIterator[Client]:
    async with (
        serving(kit_test_grpc, servicer, request_timeout_seconds=0.2) as (address, _, _),
        grpc.aio.insecure_channel(address) as channel,
    ):
        yield Client(kit_test, kit_test_grpc, channel)


async def test_reflection_lists_the_service_and_its_file(client: Client) -> None:
    calls = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
    ]
    answers = [answer async for answer in client.reflection.ServerReflectionInfo(iter(calls))]
    names = {service.name for service in answers[0].list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= names
    assert answers[1].file_descriptor_response.file_descriptor_proto


async def test_health_answers_for_the_server_and_for_each_service(client: Client) -> None:
    serving_status = health_pb2.HealthCheckResponse.SERVING
    assert await client.health_of("") == serving_status
    assert await client.health_of(SERVICE) == serving_status


async def test_a_domain_error_carries_error_info_and_its_details(client: Client) -> None:
    error = await client.failure("missing")
    assert (error.code, error.reason, error.domain) == (
        grpc.StatusCode.NOT_FOUND,
        "RESOURCE_NOT_FOUND",
        "sluice",
    )
    assert error.metadata == (("resource", "tenants/acme/things/missing"),)


async def test_a_failed_precondition_says_why_and_what_to_do(client: Client) -> None:
    error = await client.failure("forbidden")
    assert error.reason == "THING_PAUSED"
    assert error.precondition_violations[0].description == "is paused: resume it first"


async def test_a_bad_request_names_the_field_and_never_reaches_the_servicer(
    client: Client, servicer: Any
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await client.stub.GetThing(client.protos.GetThingRequest(name="nonsense"))
    error = remote_error(raised.value)
    assert error.code == grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in error.field_violations] == ["name"]
    assert "'nonsense' must match" in error.field_violations[0].description
    assert servicer.attempts == 0


async def test_a_stream_request_is_validated_too(client: Client) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await client.stub.WatchThings(client.protos.ListThingsRequest(page_size=-1)).read()
    assert remote_error(raised.value).field_violations[0].field == "page_size"


async def test_an_unknown_exception_gives_an_id_that_is_in_the_log_and_no_internals(
    client: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    error = await client.failure("broken")
    (error_id,) = [value for key, value in error.metadata if key == "error_id"]
    assert error.code == grpc.StatusCode.INTERNAL
    assert "hunter" not in error.message
    captured = capfd.readouterr()
    log = captured.out + captured.err
    assert error_id in log
    assert "hunter" in log


async def test_a_timeout_inside_a_handler_is_not_taken_for_the_deadline(client: Client) -> None:
    assert (await client.failure("timeout")).code == grpc.StatusCode.INTERNAL


async def test_an_error_with_more_details_than_trailers_hold_still_arrives(client: Client) -> None:
    error = await client.failure("huge")
    assert error.code == grpc.StatusCode.INVALID_ARGUMENT
    assert error.field_violations[0].field == "field0"
    assert "more violations are left out" in error.field_violations[-1].description


async def test_a_call_without_a_deadline_ends_at_the_servers_limit(client: Client, servicer: Any) -> None:
    error = await client.failure("slow")
    assert (error.code, error.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    assert servicer.cancelled.is_set()


async def test_a_call_with_a_longer_deadline_may_take_longer(client: Client, servicer: Any) -> None:
    call = asyncio.create_task(client.get("slow", timeout=BOUND_SECONDS))
    await asyncio.wait_for(servicer.entered.wait(), BOUND_SECONDS)
    await asyncio.wait({call}, timeout=0.4)
    servicer.release.set()
    assert (await call).name.endswith("slow")


async def test_a_stream_has_no_deadline(client: Client) -> None:
    call = client.stub.WatchThings(client.protos.ListThingsRequest())
    assert (await call.read()).name == "None"
    call.cancel()


async def test_a_client_that_goes_away_cancels_the_handler(client: Client, servicer: Any) -> None:
    call = client.stub.WatchThings(client.protos.ListThingsRequest())
    await call.read()
    call.cancel()
    await asyncio.wait_for(servicer.cancelled.wait(), BOUND_SECONDS)


async def test_a_stream_that_fails_half_way_has_error_info(client: Client) -> None:
    call = client.stub.WatchThings(client.protos.ListThingsRequest(filter="broken"))
    assert (await call.read()).name == "first"
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call.read()
    assert remote_error(raised.value).reason == "REVISION_COMPACTED"


async def test_a_handler_that_writes_by_itself_works(client: Client) -> None:
    call = client.stub.FetchThings(client.protos.ListThingsRequest())
    assert [thing.name async for thing in call] == ["written"]


async def test_a_method_that_is_not_implemented_says_so(client: Client) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await client.stub.PruneThings(client.protos.ListThingsRequest())
    assert remote_error(raised.value).reason == "METHOD_NOT_IMPLEMENTED"


async def test_handlers_see_the_callers_trace(client: Client, servicer: Any) -> None:
    given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await client.get("fine", metadata=(("traceparent", given),))
    assert trace_id(servicer.traceparents[0]) == trace_id(given)
    assert servicer.traceparents[0] != given
    await client.get("fine", metadata=(("traceparent", "nonsense"),))
    assert len(trace_id(servicer.traceparents[1])) == 32


async def test_our_client_passes_the_trace_on_and_repeats_what_is_unavailable(
    kit_test: ModuleType, kit_test_grpc: ModuleType, servicer: Any
) -> None:
    service = kit_test.DESCRIPTOR.services_by_name["ThingService"]
    async with (
        serving(kit_test_grpc, servicer) as (address, _, _),
        open_channel(address, [service]) as channel,
    ):
        stub = kit_test_grpc.ThingServiceStub(channel)
        with traced("") as traceparent:
            await stub.GetThing(kit_test.GetThingRequest(name="tenants/acme/things/flaky"))
        assert servicer.attempts == 3
        assert {trace_id(seen) for seen in servicer.traceparents} == {trace_id(traceparent)}


async def test_a_repeated_mutation_keeps_its_request_id(
    kit_test: ModuleType, kit_test_grpc: ModuleType, servicer: Any
) -> None:
    service = kit_test.DESCRIPTOR.services_by_name["ThingService"]
    async with (
        serving(kit_test_grpc, servicer) as (address, _, _),
        open_channel(address, [service]) as channel,
    ):
        payload = kit_test.Payload(sql="select 1", format=1)
        request = kit_test.CreateThingRequest(parent="tenants/acme", thing=kit_test.Thing(payload=payload))
        await kit_test_grpc.ThingServiceStub(channel).CreateThing(request)
        assert len(servicer.request_ids) == 2
        assert len(set(servicer.request_ids)) == 1
        assert servicer.request_ids[0]


async def test_a_stream_ends_at_shutdown_with_unavailable_and_does_not_use_up_the_grace(
    kit_test: ModuleType, kit_test_grpc: ModuleType, servicer: Any
) -> None:
    async with (
        serving(kit_test_grpc, servicer, shutdown_grace_seconds=30) as (address, stopping, task),
        grpc.aio.insecure_channel(address) as channel,
    ):
        call = kit_test_grpc.ThingServiceStub(channel).WatchThings(kit_test.ListThingsRequest())
        await call.read()
        stopping.request()
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call.read()
        assert remote_error(raised.value).reason == "SERVER_SHUTTING_DOWN"
        await asyncio.wait_for(asyncio.shield(task), BOUND_SECONDS)


async def test_a_unary_call_in_flight_finishes_during_the_grace(
    kit_test: ModuleType, kit_test_grpc: ModuleType, servicer: Any
) -> None:
    async with (
        serving(kit_test_grpc, servicer, shutdown_grace_seconds=30) as (address, stopping, task),
        grpc.aio.insecure_channel(address) as channel,
    ):
        client = Client(kit_test, kit_test_grpc, channel)
        call = asyncio.create_task(client.get("slow"))
        await asyncio.wait_for(servicer.entered.wait(), BOUND_SECONDS)
        stopping.request()
        await asyncio.wait({call}, timeout=0.1)
        servicer.release.set()
        assert (await call).name.endswith("slow")
        await asyncio.wait_for(asyncio.shield(task), BOUND_SECONDS)


async def test_health_says_not_serving_before_the_last_call_is_done(
    kit_test: ModuleType, kit_test_grpc: ModuleType, servicer: Any
) -> None:
    async with (
        serving(kit_test_grpc, servicer, shutdown_grace_seconds=30) as (address, stopping, _),
        grpc.aio.insecure_channel(address) as channel,
    ):
        client = Client(kit_test, kit_test_grpc, channel)
        statuses = client.health.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        assert (await statuses.read()).status == health_pb2.HealthCheckResponse.SERVING
        stopping.request()
        assert (await statuses.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_task_that_keeps_crashing_is_restarted_and_shown_in_health(
    kit_test: ModuleType, kit_test_grpc: ModuleType, servicer: Any
) -> None:
    runs = 0
    steady = asyncio.Event()

    async def crash_five_times() -> None:
        nonlocal runs
        runs += 1
        if runs <= 5:
            raise ConnectionError("redis is away")
        await steady.wait()

    task = BackgroundTask(
        "reconcile",
        crash_five_times,
        first_delay_seconds=0.05,
        longest_delay_seconds=0.05,
        healthy_after_seconds=0.2,
    )
    async with (
        serving(kit_test_grpc, servicer, background=(task,)) as (address, _, _),
        grpc.aio.insecure_channel(address) as channel,
    ):
        statuses = Client(kit_test, kit_test_grpc, channel).health.Watch(
            health_pb2.HealthCheckRequest(service=SERVICE)
        )
        seen: list[int] = []
        async with asyncio.timeout(BOUND_SECONDS):
            while not seen or runs < 6 or seen[-1] != health_pb2.HealthCheckResponse.SERVING:
                seen.append((await statuses.read()).status)
    assert health_pb2.HealthCheckResponse.NOT_SERVING in seen


async def test_a_service_with_a_rule_that_is_not_known_does_not_start(kit_test_grpc: ModuleType) -> None:
    refused = Servicer(
        kit_test_grpc.add_RefusedServiceServicer_to_server, kit_test_grpc.RefusedServiceServicer()
    )
    with pytest.raises(UnsupportedRule, match=r"UnknownRule\.host: rule string\.hostname"):
        await serve(Settings(listen_address="127.0.0.1:0"), Stopping(), servicers=[refused])


async def test_a_taken_port_is_one_clear_line(
    kit_test: ModuleType, kit_test_grpc: ModuleType, servicer: Any
) -> None:
    async with serving(kit_test_grpc, servicer) as (address, _, _):
        second = Servicer(kit_test_grpc.add_ThingServiceServicer_to_server, servicer)
        with pytest.raises(StartupError, match=f"SLUICE_LISTEN_ADDRESS={address}: cannot listen there"):
            await serve(Settings(listen_address=address), Stopping(), servicers=[second])


async def test_calls_are_counted_by_method_and_code(
    kit_test: ModuleType, kit_test_grpc: ModuleType, servicer: Any, unused_tcp_port: int
) -> None:
    metrics = f"127.0.0.1:{unused_tcp_port}"
    async with (
        serving(kit_test_grpc, servicer, metrics_address=metrics) as (address, _, _),
        grpc.aio.insecure_channel(address) as channel,
    ):
        await Client(kit_test, kit_test_grpc, channel).failure("missing")

        def scrape() -> str:
            with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=BOUND_SECONDS) as answer:
                return str(answer.read().decode())

        text = await asyncio.to_thread(scrape)
    assert f'sluice_grpc_calls_total{{code="NOT_FOUND",method="/{SERVICE}/GetThing"}}' in text
    assert "sluice_grpc_call_seconds_bucket" in text
