"""The gRPC face of the cold starter: requests in, responses out."""

from typing import Any

from libs.service_kit.pagination import read_page
from services.cold_starter.activities import Activities
from services.cold_starter.policies import Policies
from sluice.cold_starter.v1 import cold_starter_pb2 as pb
from sluice.cold_starter.v1 import cold_starter_pb2_grpc as pb_grpc

Context = Any  # grpc.aio.ServicerContext: generic in both message types, which differ by method
DEFAULT_PAGE_SIZE = 50


class ColdStarterServicer(pb_grpc.ColdStarterServiceServicer):
    """Shows activities, each with the policy that is in force for it, and serves the policies."""

    def __init__(self, activities: Activities, policies: Policies) -> None:
        self._activities = activities
        self._policies = policies

    async def GetActivity(self, request: pb.GetActivityRequest, context: Context) -> pb.GetActivityResponse:
        activity = await self._activities.get(request.name)
        await self._show_policies([activity])
        return pb.GetActivityResponse(activity=activity)

    async def ListActivities(
        self, request: pb.ListActivitiesRequest, context: Context
    ) -> pb.ListActivitiesResponse:
        page = read_page(request, default_size=DEFAULT_PAGE_SIZE, max_size=1000)
        activities, after = await self._activities.page(page.size, page.cursor)
        await self._show_policies(activities)
        token = page.token_after(after) if after else ""
        return pb.ListActivitiesResponse(activities=activities, next_page_token=token)

    async def CreateHibernationPolicy(
        self, request: pb.CreateHibernationPolicyRequest, context: Context
    ) -> pb.CreateHibernationPolicyResponse:
        policy = await self._policies.create(request)
        return pb.CreateHibernationPolicyResponse(hibernation_policy=policy)

    async def GetHibernationPolicy(
        self, request: pb.GetHibernationPolicyRequest, context: Context
    ) -> pb.GetHibernationPolicyResponse:
        return pb.GetHibernationPolicyResponse(hibernation_policy=await self._policies.get(request.name))

    async def ListHibernationPolicies(
        self, request: pb.ListHibernationPoliciesRequest, context: Context
    ) -> pb.ListHibernationPoliciesResponse:
        page = read_page(request, default_size=DEFAULT_PAGE_SIZE, max_size=1000)
        policies, after = await self._policies.page(page.size, page.cursor)
        token = page.token_after(after) if after else ""
        return pb.ListHibernationPoliciesResponse(hibernation_policies=policies, next_page_token=token)

    async def UpdateHibernationPolicy(
        self, request: pb.UpdateHibernationPolicyRequest, context: Context
    ) -> pb.UpdateHibernationPolicyResponse:
        policy = await self._policies.update(request)
        return pb.UpdateHibernationPolicyResponse(hibernation_policy=policy)

    async def DeleteHibernationPolicy(
        self, request: pb.DeleteHibernationPolicyRequest, context: Context
    ) -> pb.DeleteHibernationPolicyResponse:
        await self._policies.delete(request)
        return pb.DeleteHibernationPolicyResponse()

    async def _show_policies(self, activities: list[pb.Activity]) -> None:
        in_force = await self._policies.in_force(activity.subscription for activity in activities)
        for activity in activities:
            activity.hibernation_policy = in_force[activity.subscription]
