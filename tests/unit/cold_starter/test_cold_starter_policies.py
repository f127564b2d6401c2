"""Hibernation policies over a real gRPC channel, and what activities show of them."""

import asyncio
import uuid
from collections.abc import Awaitable

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from libs.service_kit.client import RemoteError, remote_error
from sluice.cold_starter.v1 import cold_starter_pb2 as pb
from tests.unit.cold_starter.conftest import Service, job_changed


def _create(policy_id: str, scope: str = "tenants/-", **given: object) -> pb.CreateHibernationPolicyRequest:
    policy = pb.HibernationPolicy(scope=scope, idle_window=Duration(seconds=600))
    request = pb.CreateHibernationPolicyRequest(hibernation_policy_id=policy_id, hibernation_policy=policy)
    for name, value in given.items():
        setattr(request, name, value)
    return request


async def _refused(call: Awaitable[object]) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return remote_error(error.value)


async def test_activities_show_the_most_specific_policy_as_policies_come_and_go(service: Service) -> None:
    await service.activities.handle(job_changed())

    async def shown() -> str:
        (listed,) = await service.listed()
        one = await service.stub.GetActivity(pb.GetActivityRequest(name="activities/a"))
        assert one.activity == listed
        return listed.hibernation_policy

    assert await shown() == ""
    for policy_id, scope in (
        ("all", "tenants/-"),
        ("acme", "tenants/acme"),
        ("one", "tenants/acme/subscriptions/blocked"),
        ("other", "tenants/acme/subscriptions/other"),
    ):
        await service.stub.CreateHibernationPolicy(_create(policy_id, scope))
    assert await shown() == "hibernationPolicies/one"
    one = pb.HibernationPolicy(name="hibernationPolicies/one", scope="tenants/globex")
    await service.stub.UpdateHibernationPolicy(pb.UpdateHibernationPolicyRequest(hibernation_policy=one))
    assert await shown() == "hibernationPolicies/acme"
    delete = pb.DeleteHibernationPolicyRequest(name="hibernationPolicies/acme")
    await service.stub.DeleteHibernationPolicy(delete)
    assert await shown() == "hibernationPolicies/all"


async def test_a_scope_has_one_policy_even_when_two_are_created_at_the_same_time(service: Service) -> None:
    results = await asyncio.gather(
        *(service.stub.CreateHibernationPolicy(_create(f"p{number}")) for number in range(8)),
        return_exceptions=True,
    )
    errors = [remote_error(result) for result in results if isinstance(result, grpc.aio.AioRpcError)]
    assert len(errors) == 7
    assert {(error.code, error.reason) for error in errors} == {
        (grpc.StatusCode.ALREADY_EXISTS, "SCOPE_HAS_POLICY")
    }
    (policy,) = (
        await service.stub.ListHibernationPolicies(pb.ListHibernationPoliciesRequest())
    ).hibernation_policies
    assert policy.name in errors[0].message


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (_create("P"), "hibernation_policy_id"),
        (_create("p", "tenants/UPPER"), "hibernation_policy.scope"),
        (_create("p", "jobs/a"), "hibernation_policy.scope"),
        (_create("p", request_id="1"), "request_id"),
    ],
)
async def test_a_wrong_request_is_refused_with_its_field(
    service: Service, request_: pb.CreateHibernationPolicyRequest, field: str
) -> None:
    error = await _refused(service.stub.CreateHibernationPolicy(request_))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in error.field_violations] == [field]


async def test_an_idle_window_below_a_minute_is_refused_at_creation_and_at_update(service: Service) -> None:
    short = _create("p")
    short.hibernation_policy.idle_window.seconds = 59
    error = await _refused(service.stub.CreateHibernationPolicy(short))
    assert [violation.field for violation in error.field_violations] == ["hibernation_policy.idle_window"]
    await service.stub.CreateHibernationPolicy(_create("p"))
    update = pb.UpdateHibernationPolicyRequest(
        hibernation_policy=pb.HibernationPolicy(
            name="hibernationPolicies/p", idle_window=Duration(seconds=1)
        ),
        update_mask=FieldMask(paths=["idle_window"]),
    )
    error = await _refused(service.stub.UpdateHibernationPolicy(update))
    assert [violation.field for violation in error.field_violations] == ["hibernation_policy.idle_window"]


async def test_etags_and_request_ids_make_changes_safe_to_repeat(service: Service) -> None:
    request = _create("p", request_id=str(uuid.uuid4()))
    created = (await service.stub.CreateHibernationPolicy(request)).hibernation_policy
    assert (await service.stub.CreateHibernationPolicy(request)).hibernation_policy == created
    changed = pb.HibernationPolicy(name=created.name, never=True, etag=created.etag)
    update = pb.UpdateHibernationPolicyRequest(hibernation_policy=changed)
    updated = (await service.stub.UpdateHibernationPolicy(update)).hibernation_policy
    assert updated.never and updated.idle_window.seconds == 600 and updated.etag != created.etag
    error = await _refused(service.stub.UpdateHibernationPolicy(update))
    assert (error.code, error.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    stale = pb.DeleteHibernationPolicyRequest(name=created.name, etag=created.etag)
    assert (await _refused(service.stub.DeleteHibernationPolicy(stale))).reason == "ETAG_MISMATCH"
    assert (
        await service.stub.GetHibernationPolicy(pb.GetHibernationPolicyRequest(name=created.name))
    ).hibernation_policy == updated


async def test_validate_only_changes_nothing(service: Service) -> None:
    await service.stub.CreateHibernationPolicy(_create("p", validate_only=True))
    error = await _refused(
        service.stub.GetHibernationPolicy(pb.GetHibernationPolicyRequest(name="hibernationPolicies/p"))
    )
    assert error.code is grpc.StatusCode.NOT_FOUND
