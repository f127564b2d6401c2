"""Registry, self healing and deployer as gRPC servers in this process, over one FakeWorld.

The deployer does at once what it is told, and publishes its facts on the real Redis.
"""

from typing import Any

import grpc

from libs.codec.guid import guid
from libs.store import RedisStore, new_event, utc_now
from services.subscription.ports import Refused
from sluice.deployer.v1 import deployer_pb2, deployer_pb2_grpc, job_pb2
from sluice.schema_registry.v1 import schema_pb2, schema_registry_pb2, schema_registry_pb2_grpc
from sluice.self_healing.v1 import self_healing_pb2, self_healing_pb2_grpc, topology_pb2
from tests.unit.subscription.fake_world import FakeWorld

Context = Any  # grpc.aio.ServicerContext


class FakeSelfHealing(self_healing_pb2_grpc.SelfHealingServiceServicer):
    """Every tenant has the dataset, as the world says."""

    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    async def GetDataset(
        self, request: self_healing_pb2.GetDatasetRequest, context: Context
    ) -> self_healing_pb2.GetDatasetResponse:
        if request.name not in self._world.datasets:
            await context.abort(grpc.StatusCode.NOT_FOUND, request.name)
        dataset = topology_pb2.Dataset(name=request.name, schema_subject="subjects/events-value")
        return self_healing_pb2.GetDatasetResponse(dataset=dataset)

    async def GetBinding(
        self, request: self_healing_pb2.GetBindingRequest, context: Context
    ) -> self_healing_pb2.GetBindingResponse:
        dataset = "/".join(request.name.split("/")[:2])
        topics = [
            topology_pb2.BoundTopic(
                cluster=place.cluster, topic=place.topic, bootstrap_servers=place.bootstrap_servers
            )
            for place in self._world.datasets[dataset].topics
        ]
        binding = topology_pb2.Binding(name=request.name, topics=topics)
        return self_healing_pb2.GetBindingResponse(binding=binding)

    async def EnsureTopic(
        self, request: self_healing_pb2.EnsureTopicRequest, context: Context
    ) -> self_healing_pb2.EnsureTopicResponse:
        self._world.topics[request.name] = request.partitions
        return self_healing_pb2.EnsureTopicResponse()


class FakeRegistry(schema_registry_pb2_grpc.SchemaRegistryServiceServicer):
    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    async def GetSchemaVersion(
        self, request: schema_registry_pb2.GetSchemaVersionRequest, context: Context
    ) -> schema_registry_pb2.GetSchemaVersionResponse:
        [here] = self._world.datasets.values()
        schema = schema_pb2.Schema(definition=here.schema, guid=here.schema_guid)
        return schema_registry_pb2.GetSchemaVersionResponse(
            schema_version=schema_pb2.SchemaVersion(schema=schema)
        )

    async def UpdateSubject(
        self, request: schema_registry_pb2.UpdateSubjectRequest, context: Context
    ) -> schema_registry_pb2.UpdateSubjectResponse:
        return schema_registry_pb2.UpdateSubjectResponse()

    async def RegisterSchema(
        self, request: schema_registry_pb2.RegisterSchemaRequest, context: Context
    ) -> schema_registry_pb2.RegisterSchemaResponse:
        schema = schema_pb2.Schema(
            definition=request.schema.definition, guid=str(guid(request.schema.definition))
        )
        self._world.schemas.add((request.parent, schema.guid, True))
        return schema_registry_pb2.RegisterSchemaResponse(
            schema_version=schema_pb2.SchemaVersion(schema=schema)
        )


class FakeDeployer(deployer_pb2_grpc.DeployerServiceServicer):
    """`publish` commits JobStateChanged to the deployer's stream."""

    def __init__(self, world: FakeWorld, store: RedisStore) -> None:
        self._world = world
        self._store = store

    async def ApplyJob(
        self, request: deployer_pb2.ApplyJobRequest, context: Context
    ) -> deployer_pb2.ApplyJobResponse:
        before = self._world.generations[request.name]
        try:
            job = await self._world.apply_job(
                request.name, request.spec, paused=request.paused, reason=request.reason
            )
        except Refused as refusal:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, refusal.detail)
            raise
        answer = deployer_pb2.ApplyJobResponse(job=job, verdict=job_pb2.VERDICT_DRAIN_AND_REPLACE)
        await self._follow(request.name, before)
        return answer

    async def DrainJob(
        self, request: deployer_pb2.DrainJobRequest, context: Context
    ) -> deployer_pb2.DrainJobResponse:
        before = self._world.generations[request.name]
        job = await self._world.drain_job(request.name)
        if job is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, request.name)
        answer = deployer_pb2.DrainJobResponse(job=job)
        await self._follow(request.name, before)
        return answer

    async def GetJob(
        self, request: deployer_pb2.GetJobRequest, context: Context
    ) -> deployer_pb2.GetJobResponse:
        job = await self._world.find_job(request.name)
        if job is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, request.name)
        return deployer_pb2.GetJobResponse(job=job)

    async def _follow(self, name: str, before: int) -> None:
        if self._world.generations[name] == before:
            return
        job = self._world.settle(name)
        fact = job_pb2.JobStateChanged(job=job)
        event = new_event(source="deployer", subject=name, data=fact, time=utc_now(), traceparent="")
        await self._store.commit([], [event])


async def serve_fakes(
    world: FakeWorld, store: RedisStore, addresses: dict[str, str]
) -> list[grpc.aio.Server]:
    """Each on its address; the methods that the subscription service does not call stay unimplemented.

    The names are `schema_registry`, `self_healing` and `deployer`.
    """
    servers = []
    for name, address in addresses.items():
        server = grpc.aio.server()
        match name:
            case "schema_registry":
                registry = FakeRegistry(world)  # type: ignore[abstract]  # see above
                schema_registry_pb2_grpc.add_SchemaRegistryServiceServicer_to_server(registry, server)
            case "self_healing":
                topology = FakeSelfHealing(world)  # type: ignore[abstract]  # see above
                self_healing_pb2_grpc.add_SelfHealingServiceServicer_to_server(topology, server)
            case "deployer":
                deployer = FakeDeployer(world, store)  # type: ignore[abstract]  # see above
                deployer_pb2_grpc.add_DeployerServiceServicer_to_server(deployer, server)
        server.add_insecure_port(address)
        await server.start()
        servers.append(server)
    return servers
