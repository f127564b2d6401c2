"""The API over a real channel: what is answered, what is refused and how."""

import asyncio
import uuid
from collections.abc import Awaitable

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from libs.service_kit.client import RemoteError, remote_error
from services.subscription.model import Surroundings
from services.subscription.ports import Refused, Unavailable
from sluice.dataplane.v1 import job_spec_pb2
from sluice.subscription.v1 import subscription_pb2
from sluice.subscription.v1 import subscription_service_pb2 as pb
from tests.unit.subscription.conftest import Api
from tests.unit.subscription.fake_world import GUID, place
from tests.unit.subscription.subscriptions import AVRO, JSON, NAME, wish

STATE = subscription_pb2.SubscriptionState


async def refused(call: Awaitable[object]) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return remote_error(error.value)


def update(
    paths: list[str] | None = None, request_id: str = "", *, validate_only: bool = False, **fields: object
) -> pb.UpdateSubscriptionRequest:
    return pb.UpdateSubscriptionRequest(
        subscription=subscription_pb2.Subscription(name=NAME, **fields),  # type: ignore[arg-type]  # as the test says
        update_mask=FieldMask(paths=paths) if paths else None,
        request_id=request_id,
        validate_only=validate_only,
    )


async def test_a_created_subscription_is_shown_with_all_that_follows_from_it(api: Api) -> None:
    created = await api.create()
    assert (created.name, created.generation, created.observed_generation) == (NAME, 1, 0)
    assert (created.state, created.reconciling) == (STATE.SUBSCRIPTION_STATE_PROVISIONING, True)
    assert created.effective_sink.topic == "sluice.out.acme.blocked"
    assert created.effective_dead_letters.topic == "sluice.dead-letters.acme"
    assert list(created.referenced_fields) == ["action", "number"]
    assert '"number"' in created.output_schema and created.schema_guid == GUID
    assert created.etag and created.uid and created.job.startswith("jobs/j-")
    assert created.create_time.seconds and created.state_time.seconds
    assert await api.get(NAME) == created
    await api.service.converge()
    active = await api.get(NAME)
    assert (active.state, active.reconciling) == (STATE.SUBSCRIPTION_STATE_ACTIVE, False)
    assert active.observed_generation == 1 and active.etag != created.etag


async def test_json_shows_the_schema_of_its_rows_too(api: Api) -> None:
    assert '"action"' in (await api.create(subscription=wish(output_format=JSON))).output_schema


async def test_output_only_fields_of_a_create_are_ignored(api: Api) -> None:
    given = wish(name="tenants/other/subscriptions/else")
    given.uid, given.generation, given.paused, given.job = "mine", 7, True, "jobs/mine"
    created = await api.create(subscription=given)
    assert (created.name, created.generation, created.paused) == (NAME, 1, False)
    assert created.uid != "mine" and created.job != "jobs/mine"


@pytest.mark.parametrize(
    ("request_", "field", "words"),
    [
        (pb.CreateSubscriptionRequest(parent="tenants/ACME", subscription_id="a"), "parent", "tenants/"),
        (pb.CreateSubscriptionRequest(parent="tenants/a/b", subscription_id="a"), "parent", ""),
        (pb.CreateSubscriptionRequest(parent="tenants/-", subscription_id="a"), "parent", ""),
        (pb.CreateSubscriptionRequest(parent="tenants/acme"), "subscription_id", ""),
        (pb.CreateSubscriptionRequest(parent="tenants/acme", subscription_id="-a"), "subscription_id", ""),
        (
            pb.CreateSubscriptionRequest(parent="tenants/acme", subscription_id="x" * 64),
            "subscription_id",
            "",
        ),
        (
            pb.CreateSubscriptionRequest(parent="tenants/acme", subscription_id="a", request_id="1"),
            "request_id",
            "UUID",
        ),
    ],
    ids=lambda value: str(value).replace("\n", " ")[:60],
)
async def test_malformed_names_and_ids_are_refused_by_field(
    api: Api, request_: pb.CreateSubscriptionRequest, field: str, words: str
) -> None:
    request_.subscription.CopyFrom(wish())
    error = await refused(api.stub.CreateSubscription(request_))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in error.field_violations] == [field]
    assert words.lower() in error.message.lower()


@pytest.mark.parametrize(
    ("subscription", "field"),
    [
        (wish(dataset="firewall"), "subscription.dataset"),
        (wish(dataset=""), "subscription.dataset"),
        (wish(""), "subscription.sql"),
        (wish("SELECT " + "x" * 2_000_000), "subscription.sql"),
        (wish(output_format=job_spec_pb2.OUTPUT_FORMAT_UNSPECIFIED), "subscription.output_format"),
        (wish(topic="no spaces"), "subscription.sink.kafka_topic.topic"),
        (wish(topic="a", cluster="main"), "subscription.sink.kafka_topic.cluster"),
        (wish(start=job_spec_pb2.StartPosition()), "subscription.start_position.position"),
    ],
    ids=lambda value: str(value).replace("\n", " ")[:60],
)
async def test_a_malformed_subscription_is_refused_by_field(
    api: Api, subscription: subscription_pb2.Subscription, field: str
) -> None:
    error = await refused(api.create(subscription=subscription))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in error.field_violations] == [field]
    assert not api.service.world.calls


async def test_an_unknown_column_is_named_with_its_place_and_the_nearest(api: Api) -> None:
    error = await refused(api.create(subscription=wish("SELECT number,\n  acton FROM events")))
    [violation] = error.field_violations
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SQL_UNKNOWN_COLUMN")
    assert (violation.field, violation.reason) == ("subscription.sql", "SQL_UNKNOWN_COLUMN")
    assert "line 2, column 3" in violation.description and "action" in violation.description


async def test_an_unknown_dataset_is_refused(api: Api) -> None:
    error = await refused(api.create(subscription=wish(dataset="datasets/nosuch")))
    assert (error.reason, error.field_violations[0].field) == ("UNKNOWN_DATASET", "subscription.dataset")
    assert "datasets/nosuch" in error.message


@pytest.mark.parametrize(
    ("service", "error"), [("schema registry", Unavailable("schema registry", "socket closed at 10.1.2.3"))]
)
async def test_a_service_that_is_away_is_named_with_when_to_come_again(
    api: Api, service: str, error: Unavailable
) -> None:
    api.service.world.fail["surroundings"] = error
    answer = await refused(api.create())
    assert answer.code is grpc.StatusCode.UNAVAILABLE
    assert dict(answer.metadata) == {"dependency": service}
    assert answer.retry_after is not None and service in answer.message
    assert "10.1.2.3" not in answer.message


async def test_a_service_that_refuses_is_named_with_its_reason(api: Api) -> None:
    api.service.world.fail["surroundings"] = Refused("self healing", "another Kafka answers at the address")
    error = await refused(api.create())
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "DEPENDENCY_REFUSED")
    assert "another Kafka" in error.message


async def test_with_the_store_away_nothing_is_answered_but_unavailable(api: Api) -> None:
    api.service.server.available = False
    error = await refused(api.create())
    assert error.code is grpc.StatusCode.UNAVAILABLE and error.retry_after is not None


@pytest.mark.parametrize(
    ("topic", "output_format", "reason"),
    [
        ("missing", JSON, "SINK_TOPIC_MISSING"),
        ("globex.in", JSON, "SINK_IS_INPUT"),
        ("described", AVRO, "SINK_SUBJECT_IN_USE"),
        ("described", JSON, ""),
        ("free", AVRO, ""),
    ],
)
async def test_a_named_sink_must_be_a_topic_of_the_tenants_own(
    api: Api, topic: str, output_format: job_spec_pb2.OutputFormat, reason: str
) -> None:
    api.service.world.own_topics = {"globex.in": "datasets/vpn", "described": "", "free": ""}
    api.service.world.subjects = {"subjects/described-value": "datasets/dns"}
    create = api.create(subscription=wish(topic=topic, output_format=output_format))
    if not reason:
        assert (await create).effective_sink.topic == topic
        return
    error = await refused(create)
    assert (error.reason, error.field_violations[0].field) == (reason, "subscription.sink.kafka_topic.topic")
    assert "globex" not in error.message.replace("globex.in", "")


async def test_of_two_creators_of_one_name_one_is_told_that_it_exists(api: Api) -> None:
    outcomes = await asyncio.gather(*(api.create() for _ in range(4)), return_exceptions=True)
    errors = [error for error in outcomes if isinstance(error, grpc.aio.AioRpcError)]
    assert len(errors) == 3
    assert {error.code() for error in errors} == {grpc.StatusCode.ALREADY_EXISTS}


async def test_a_repeated_request_is_answered_as_the_first_time(api: Api) -> None:
    request_id = str(uuid.uuid4())
    first = await api.create(request_id=request_id)
    await api.service.converge()
    assert await api.create(request_id=request_id) == first
    error = await refused(api.create("other", request_id=request_id))
    assert (error.code, error.field_violations[0].field) == (grpc.StatusCode.INVALID_ARGUMENT, "request_id")
    assert len(await api.service.subscriptions.all()) == 1


async def test_validate_only_compiles_and_leaves_no_trace(api: Api) -> None:
    dry = await api.create(validate_only=True, request_id=str(uuid.uuid4()))
    assert dry.output_schema and not (dry.uid or dry.job or dry.etag)
    assert (await refused(api.get(NAME))).code is grpc.StatusCode.NOT_FOUND
    assert not await api.service.history()
    error = await refused(api.create(validate_only=True, subscription=wish("SELECT nope FROM events")))
    assert error.reason == "SQL_UNKNOWN_COLUMN"
    created = await api.create()
    dry = (
        await api.stub.UpdateSubscription(update(validate_only=True, sql="SELECT number FROM events"))
    ).subscription
    assert list(dry.referenced_fields) == ["number"] and dry.generation == 2
    assert await api.get(NAME) == created


async def test_an_update_changes_what_the_mask_names(api: Api) -> None:
    await api.create()
    answer = await api.stub.UpdateSubscription(
        update(["sql"], sql="SELECT number FROM events", description="no")
    )
    changed = answer.subscription
    assert (changed.sql, changed.description, changed.generation) == ("SELECT number FROM events", "", 2)
    assert changed.reconciling and changed.etag == (await api.get(NAME)).etag
    answer = await api.stub.UpdateSubscription(update(description="for people"))
    assert (answer.subscription.description, answer.subscription.sql) == ("for people", changed.sql)


@pytest.mark.parametrize("request_id", ["", str(uuid.uuid4())])
async def test_what_changes_nothing_is_answered_and_told_to_nobody(api: Api, request_id: str) -> None:
    created = await api.create()
    facts = len(await api.service.history())
    answer = await api.stub.UpdateSubscription(update(request_id=request_id, sql=created.sql))
    assert answer.subscription == created
    resume = pb.ResumeSubscriptionRequest(name=NAME, request_id=str(uuid.uuid4()) if request_id else "")
    assert (await api.stub.ResumeSubscription(resume)).subscription == created
    assert len(await api.service.history()) == facts


@pytest.mark.parametrize(
    ("request_", "field", "words"),
    [
        (update(["nosuch"]), "update_mask", "its fields are"),
        (update(["state"]), "update_mask", "set by the server"),
        (update(["*", "sql"]), "update_mask", "only path"),
        (update(dataset="datasets/other"), "subscription.dataset", "create another subscription"),
        (
            update(start_position=job_spec_pb2.StartPosition(latest=job_spec_pb2.StartPosition.Latest())),
            "subscription.start_position",
            "create another subscription",
        ),
        (update(["sql"]), "subscription.sql", ""),
        (update(sql="SELECT nope FROM events"), "subscription.sql", "line 1, column 8"),
        (pb.UpdateSubscriptionRequest(), "subscription.name", "tenants/"),
    ],
    ids=lambda value: str(value).replace("\n", " ")[:60],
)
async def test_a_wrong_update_is_refused_by_field_and_changes_nothing(
    api: Api, request_: pb.UpdateSubscriptionRequest, field: str, words: str
) -> None:
    created = await api.create()
    error = await refused(api.stub.UpdateSubscription(request_))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.field_violations[0].field == field
    assert words in error.field_violations[0].description
    assert await api.get(NAME) == created


async def test_an_etag_that_is_not_the_present_one_stops_every_change(api: Api) -> None:
    old = (await api.create()).etag
    await api.service.converge()
    for call in (
        api.stub.UpdateSubscription(update(etag=old, sql="SELECT number FROM events")),
        api.stub.PauseSubscription(pb.PauseSubscriptionRequest(name=NAME, etag=old)),
        api.stub.ResumeSubscription(pb.ResumeSubscriptionRequest(name=NAME, etag=old)),
        api.stub.DeleteSubscription(pb.DeleteSubscriptionRequest(name=NAME, etag=old)),
    ):
        error = await refused(call)
        assert (error.code, error.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    present = (await api.get(NAME)).etag
    paused = await api.stub.PauseSubscription(pb.PauseSubscriptionRequest(name=NAME, etag=present))
    assert paused.subscription.paused


async def test_pause_and_resume_say_what_is_the_case(api: Api) -> None:
    await api.create()
    await api.service.converge()
    answer = await api.stub.PauseSubscription(pb.PauseSubscriptionRequest(name=NAME))
    assert (answer.subscription.paused, answer.subscription.generation) == (True, 2)
    assert answer.subscription.state == STATE.SUBSCRIPTION_STATE_PROVISIONING
    await api.service.converge()
    assert (await api.get(NAME)).state == STATE.SUBSCRIPTION_STATE_PAUSED
    resumed = (await api.stub.ResumeSubscription(pb.ResumeSubscriptionRequest(name=NAME))).subscription
    assert (resumed.paused, resumed.reconciling) == (False, True)
    await api.service.converge()
    assert (await api.get(NAME)).state == STATE.SUBSCRIPTION_STATE_ACTIVE


async def test_a_subscription_that_is_being_deleted_can_only_be_read_and_deleted(api: Api) -> None:
    await api.create()
    await api.service.converge()
    active = await api.get(NAME)
    request = pb.DeleteSubscriptionRequest(name=NAME, request_id=str(uuid.uuid4()))
    first = (await api.stub.DeleteSubscription(request)).subscription
    assert first.state == STATE.SUBSCRIPTION_STATE_DELETING
    assert first.state_time.ToDatetime() > active.state_time.ToDatetime()
    for call in (
        api.stub.UpdateSubscription(update(sql="SELECT number FROM events")),
        api.stub.PauseSubscription(pb.PauseSubscriptionRequest(name=NAME)),
    ):
        error = await refused(call)
        assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SUBSCRIPTION_DELETING")
    assert (await refused(api.create())).code is grpc.StatusCode.ALREADY_EXISTS
    again = await api.stub.DeleteSubscription(pb.DeleteSubscriptionRequest(name=NAME))
    assert again.subscription.state == STATE.SUBSCRIPTION_STATE_DELETING
    await api.service.converge()
    assert (await refused(api.get(NAME))).code is grpc.StatusCode.NOT_FOUND
    assert (await api.stub.DeleteSubscription(request)).subscription == first


async def test_deleting_what_is_not_there_is_an_error_unless_allowed(api: Api) -> None:
    error = await refused(api.stub.DeleteSubscription(pb.DeleteSubscriptionRequest(name=NAME)))
    assert error.code is grpc.StatusCode.NOT_FOUND
    answer = await api.stub.DeleteSubscription(pb.DeleteSubscriptionRequest(name=NAME, allow_missing=True))
    assert not answer.HasField("subscription")


async def test_lists_go_by_tenant_page_by_page_or_over_all_tenants(api: Api) -> None:
    for number in range(5):
        await api.create(f"s{number}")
    await api.create("s0", tenant="acme-2")
    names, token = [], ""
    while True:
        request = pb.ListSubscriptionsRequest(parent="tenants/acme", page_size=2, page_token=token)
        answer = await api.stub.ListSubscriptions(request)
        assert len(answer.subscriptions) <= 2 and all(found.etag for found in answer.subscriptions)
        names += [found.name for found in answer.subscriptions]
        token = answer.next_page_token
        if not token:
            break
    assert names == [f"tenants/acme/subscriptions/s{number}" for number in range(5)]
    everyone = await api.stub.ListSubscriptions(pb.ListSubscriptionsRequest(parent="tenants/-"))
    assert len(everyone.subscriptions) == 6
    request = pb.ListSubscriptionsRequest(parent="tenants/acme", page_size=2)
    foreign = (await api.stub.ListSubscriptions(request)).next_page_token
    for wrong in (
        pb.ListSubscriptionsRequest(parent="tenants/-", page_token=foreign),
        pb.ListSubscriptionsRequest(parent="tenants/acme", page_token="garbage"),
        pb.ListSubscriptionsRequest(parent="tenants/acme", page_size=1001),
    ):
        assert (await refused(api.stub.ListSubscriptions(wrong))).code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_long_compilation_does_not_hold_up_other_calls(api: Api) -> None:
    columns = ", ".join(f"number + {number} AS c{number}" for number in range(190))
    slow = asyncio.create_task(api.create(subscription=wish(f"SELECT {columns} FROM events")))
    answered = 0
    while not slow.done():
        await api.stub.ListSubscriptions(pb.ListSubscriptionsRequest(parent="tenants/acme"))
        answered += 1
    assert (await slow).state and answered > 1


async def test_an_unsupported_schema_names_its_fields(api: Api) -> None:
    schema = '{"type": "record", "name": "E", "fields": [{"name": "odd", "type": ["int", "string"]}]}'
    api.service.world.datasets["datasets/firewall"] = Surroundings((place("events"),), schema, GUID)
    error = await refused(api.create(subscription=wish("SELECT 1 AS one FROM events")))
    assert error.reason == "UNSUPPORTED_SCHEMA" and "odd: a union" in error.message
