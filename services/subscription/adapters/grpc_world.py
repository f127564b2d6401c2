"""The other services, over gRPC."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from libs.service_kit.client import RemoteError, remote_error
from services.subscription.model import CannotCompile, Problem, Surroundings, TopicPlace
from services.subscription.ports import Refused, Unavailable
from sluice.dataplane.v1 import job_spec_pb2
from sluice.deployer.v1 import deployer_pb2, deployer_pb2_grpc, job_pb2
from sluice.schema_registry.v1 import schema_pb2, schema_registry_pb2, schema_registry_pb2_grpc
from sluice.self_healing.v1 import self_healing_pb2, self_healing_pb2_grpc, topology_pb2


@asynccontextmanager
async def _answering(service: str) -> AsyncIterator[None]:
    """Turn a call that got no answer into Unavailable; a real answer, also a bad one, passes as RemoteFailure."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        remote = remote_error(error)
        if remote.may_succeed_later:
            raise Unavailable(f"{service}: {remote.message}") from error
        raise _RemoteFailure(service, remote) from error


class _RemoteFailure(Exception):
    def __init__(self, service: str, remote: RemoteError) -> None:
        super().__init__(f"{service}: {remote.message}")
        self.remote = remote

    @property
    def not_found(self) -> bool:
        return self.remote.code is grpc.StatusCode.NOT_FOUND


class GrpcWorld:
    """services.subscription.ports.World over three channels."""

    def __init__(
        self, registry: grpc.aio.Channel, self_healing: grpc.aio.Channel, deployer: grpc.aio.Channel
    ) -> None:
        self._registry = schema_registry_pb2_grpc.SchemaRegistryServiceStub(registry)
        self._topology = self_healing_pb2_grpc.SelfHealingServiceStub(self_healing)
        self._deployer = deployer_pb2_grpc.DeployerServiceStub(deployer)

    async def surroundings(self, dataset: str, tenant: str) -> Surroundings:
        found = await self._dataset(dataset)
        binding = await self._binding(dataset, tenant)
        schema = await self._latest_schema(dataset, found.schema_subject)
        places = tuple(
            TopicPlace(bound.cluster, bound.bootstrap_servers, bound.topic) for bound in binding.topics
        )
        return Surroundings(places, schema.definition, schema.guid)

    async def topic_exists(self, cluster: str, topic: str) -> bool:
        try:
            async with _answering("self healing"):
                await self._topology.GetTopic(
                    self_healing_pb2.GetTopicRequest(name=f"{cluster}/topics/{topic}")
                )
        except _RemoteFailure as failure:
            if failure.not_found:
                return False
            raise
        return True

    async def ensure_topic(self, place: TopicPlace, partitions: int) -> None:
        request = self_healing_pb2.EnsureTopicRequest(
            name=f"{place.cluster}/topics/{place.topic}", partitions=partitions
        )
        try:
            async with _answering("self healing"):
                await self._topology.EnsureTopic(request)
        except _RemoteFailure as failure:
            raise Refused(str(failure)) from failure

    async def register_output_schema(self, subject: str, schema: str, guid: str, *, managed: bool) -> None:
        parent = f"subjects/{subject}"
        try:
            async with _answering("schema registry"):
                if managed:
                    # A tenant may change its statement at will: the topic's consumers read each row by its own schema.
                    await self._registry.UpdateSubject(
                        schema_registry_pb2.UpdateSubjectRequest(
                            subject=schema_pb2.Subject(
                                name=parent, compatibility=schema_pb2.COMPATIBILITY_NONE
                            )
                        )
                    )
                answer = await self._registry.RegisterSchema(
                    schema_registry_pb2.RegisterSchemaRequest(
                        parent=parent, schema=schema_pb2.Schema(definition=schema)
                    )
                )
        except _RemoteFailure as failure:
            raise Refused(str(failure)) from failure
        registered = answer.schema_version.schema.guid
        if registered != guid:
            raise Refused(
                f"schema registry: the output schema got GUID {registered}, the job would write {guid}"
            )

    async def apply_job(
        self, job: str, spec: job_spec_pb2.JobSpec, *, paused: bool, reason: str
    ) -> job_pb2.Job:
        request = deployer_pb2.ApplyJobRequest(name=job, spec=spec, paused=paused, reason=reason)
        try:
            async with _answering("deployer"):
                answer = await self._deployer.ApplyJob(request)
        except _RemoteFailure as failure:
            raise Refused(str(failure)) from failure
        if answer.verdict == job_pb2.VERDICT_REJECT:
            raise Refused("deployer: " + "; ".join(answer.reasons))
        return answer.job

    async def drain_job(self, job: str) -> job_pb2.Job | None:
        try:
            async with _answering("deployer"):
                answer = await self._deployer.DrainJob(
                    deployer_pb2.DrainJobRequest(name=job, reason="the subscription was deleted")
                )
        except _RemoteFailure as failure:
            if failure.not_found:
                return None
            raise Refused(str(failure)) from failure
        return answer.job

    async def _dataset(self, dataset: str) -> topology_pb2.Dataset:
        try:
            async with _answering("self healing"):
                answer = await self._topology.GetDataset(self_healing_pb2.GetDatasetRequest(name=dataset))
        except _RemoteFailure as failure:
            if failure.not_found:
                text = f"there is no dataset {dataset}"
                raise CannotCompile(Problem("subscription.dataset", text, "UNKNOWN_DATASET")) from failure
            raise
        return answer.dataset

    async def _binding(self, dataset: str, tenant: str) -> topology_pb2.Binding:
        try:
            async with _answering("self healing"):
                answer = await self._topology.GetBinding(
                    self_healing_pb2.GetBindingRequest(name=f"{dataset}/bindings/{tenant}")
                )
        except _RemoteFailure as failure:
            if failure.not_found:
                text = (
                    f"tenants/{tenant} has no events of {dataset}: an operator must bind topics to it first"
                )
                raise CannotCompile(Problem("subscription.dataset", text, "DATASET_NOT_BOUND")) from failure
            raise
        return answer.binding

    async def _latest_schema(self, dataset: str, subject: str) -> schema_pb2.Schema:
        try:
            async with _answering("schema registry"):
                answer = await self._registry.GetSchemaVersion(
                    schema_registry_pb2.GetSchemaVersionRequest(name=f"{subject}/versions/latest")
                )
        except _RemoteFailure as failure:
            if failure.not_found:
                text = f"{dataset} has no schema yet: register one under {subject}"
                raise CannotCompile(Problem("subscription.dataset", text, "SCHEMA_MISSING")) from failure
            raise
        return answer.schema_version.schema
