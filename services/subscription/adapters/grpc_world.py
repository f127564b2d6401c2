"""The other services, over gRPC."""

from collections.abc import AsyncIterator

import grpc

from services.subscription.adapters.answers import RemoteRefusal, answering
from services.subscription.model import CannotCompile, Problem, Surroundings, TopicPlace
from services.subscription.ports import Refused
from sluice.dataplane.v1 import job_spec_pb2
from sluice.deployer.v1 import deployer_pb2, deployer_pb2_grpc, job_pb2
from sluice.schema_registry.v1 import schema_pb2, schema_registry_pb2, schema_registry_pb2_grpc
from sluice.self_healing.v1 import self_healing_pb2, self_healing_pb2_grpc, topology_pb2

_REGISTRY, _SELF_HEALING, _DEPLOYER = "schema registry", "self healing", "deployer"
_PAGE_SIZE = 1000


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
        request = self_healing_pb2.GetTopicRequest(name=f"{cluster}/topics/{topic}")
        try:
            async with answering(_SELF_HEALING):
                await self._topology.GetTopic(request)
        except RemoteRefusal as refusal:
            if refusal.not_found:
                return False
            raise
        return True

    async def dataset_in(self, cluster: str, topic: str) -> str:
        async with answering(_SELF_HEALING):
            async for binding in self._bindings():
                if any((bound.cluster, bound.topic) == (cluster, topic) for bound in binding.topics):
                    return "/".join(binding.name.split("/")[:2])
        return ""

    async def dataset_of(self, subject: str) -> str:
        async with answering(_SELF_HEALING):
            async for dataset in self._datasets():
                if dataset.schema_subject == subject:
                    return dataset.name
        return ""

    async def ensure_topic(self, place: TopicPlace, partitions: int) -> None:
        request = self_healing_pb2.EnsureTopicRequest(
            name=f"{place.cluster}/topics/{place.topic}", partitions=partitions
        )
        async with answering(_SELF_HEALING):
            await self._topology.EnsureTopic(request)

    async def register_output_schema(self, subject: str, schema: str, guid: str, *, managed: bool) -> None:
        parent = f"subjects/{subject}"
        async with answering(_REGISTRY):
            if managed:
                # A tenant may change its statement at will: the topic's consumers read each row by its own schema.
                await self._registry.UpdateSubject(
                    schema_registry_pb2.UpdateSubjectRequest(
                        subject=schema_pb2.Subject(name=parent, compatibility=schema_pb2.COMPATIBILITY_NONE)
                    )
                )
            answer = await self._registry.RegisterSchema(
                schema_registry_pb2.RegisterSchemaRequest(
                    parent=parent, schema=schema_pb2.Schema(definition=schema)
                )
            )
        registered = answer.schema_version.schema.guid
        if registered != guid:
            raise Refused(_REGISTRY, f"the output schema got GUID {registered}, the job would write {guid}")

    async def apply_job(
        self, job: str, spec: job_spec_pb2.JobSpec, *, paused: bool, reason: str
    ) -> job_pb2.Job:
        request = deployer_pb2.ApplyJobRequest(name=job, spec=spec, paused=paused, reason=reason)
        async with answering(_DEPLOYER):
            answer = await self._deployer.ApplyJob(request)
        if answer.verdict == job_pb2.VERDICT_REJECT:
            raise Refused(_DEPLOYER, "; ".join(answer.reasons))
        return answer.job

    async def drain_job(self, job: str) -> job_pb2.Job | None:
        request = deployer_pb2.DrainJobRequest(name=job, reason="the subscription was deleted")
        try:
            async with answering(_DEPLOYER):
                return (await self._deployer.DrainJob(request)).job
        except RemoteRefusal as refusal:
            if refusal.not_found:
                return None
            raise

    async def find_job(self, job: str) -> job_pb2.Job | None:
        try:
            async with answering(_DEPLOYER):
                return (await self._deployer.GetJob(deployer_pb2.GetJobRequest(name=job))).job
        except RemoteRefusal as refusal:
            if refusal.not_found:
                return None
            raise

    async def _bindings(self) -> AsyncIterator[topology_pb2.Binding]:
        request = self_healing_pb2.ListBindingsRequest(parent="datasets/-", page_size=_PAGE_SIZE)
        while True:
            answer = await self._topology.ListBindings(request)
            for binding in answer.bindings:
                yield binding
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    async def _datasets(self) -> AsyncIterator[topology_pb2.Dataset]:
        request = self_healing_pb2.ListDatasetsRequest(page_size=_PAGE_SIZE)
        while True:
            answer = await self._topology.ListDatasets(request)
            for dataset in answer.datasets:
                yield dataset
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    async def _dataset(self, dataset: str) -> topology_pb2.Dataset:
        try:
            async with answering(_SELF_HEALING):
                request = self_healing_pb2.GetDatasetRequest(name=dataset)
                return (await self._topology.GetDataset(request)).dataset
        except RemoteRefusal as refusal:
            if not refusal.not_found:
                raise
            raise _cannot_compile(f"there is no dataset {dataset}", "UNKNOWN_DATASET") from refusal

    async def _binding(self, dataset: str, tenant: str) -> topology_pb2.Binding:
        unbound = f"tenants/{tenant} has no events of {dataset}: an operator must bind topics to it first"
        try:
            async with answering(_SELF_HEALING):
                request = self_healing_pb2.GetBindingRequest(name=f"{dataset}/bindings/{tenant}")
                binding = (await self._topology.GetBinding(request)).binding
        except RemoteRefusal as refusal:
            if not refusal.not_found:
                raise
            raise _cannot_compile(unbound, "DATASET_NOT_BOUND") from refusal
        if not binding.topics:
            raise _cannot_compile(unbound, "DATASET_NOT_BOUND")
        return binding

    async def _latest_schema(self, dataset: str, subject: str) -> schema_pb2.Schema:
        try:
            async with answering(_REGISTRY):
                request = schema_registry_pb2.GetSchemaVersionRequest(name=f"{subject}/versions/latest")
                return (await self._registry.GetSchemaVersion(request)).schema_version.schema
        except RemoteRefusal as refusal:
            if not refusal.not_found:
                raise
            text = f"{dataset} has no schema yet: register one under {subject}"
            raise _cannot_compile(text, "SCHEMA_MISSING") from refusal


def _cannot_compile(text: str, reason: str) -> CannotCompile:
    return CannotCompile(Problem("subscription.dataset", text, reason))
