"""Self healing in this process, over the memory store and a fake Kafka, behind a real gRPC channel."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import pytest

from libs.service_kit.server import Servicer, Stopping, serve
from libs.service_kit.settings import Settings
from libs.store import Changed, MemoryServer, MemoryStore
from services.self_healing.records import Records
from services.self_healing.servicer import SelfHealingServicer
from sluice.self_healing.v1 import self_healing_pb2 as pb
from sluice.self_healing.v1 import self_healing_pb2_grpc as pb_grpc
from sluice.self_healing.v1 import topology_pb2
from tests.unit.self_healing.fake_kafka import FakeCluster, FakeKafka

MAIN = "kafka-a:9092"


@dataclass
class Service:
    """The service under test and what it stands on."""

    stub: "pb_grpc.SelfHealingServiceAsyncStub"
    kafka: FakeKafka
    main: FakeCluster
    server: MemoryServer
    store: MemoryStore

    async def facts(self) -> list[topology_pb2.TopologyChanged]:
        """All TopologyChanged so far, in order."""
        found = []
        async with contextlib.aclosing(self.store.watch(0)) as changes:
            async for change in changes:
                if not isinstance(change, Changed):
                    break
                assert change.event.source == "self_healing"
                fact = topology_pb2.TopologyChanged()
                assert change.event.data.Unpack(fact)
                found.append(fact)
        return found

    async def create_cluster(self, cluster_id: str = "main", address: str = MAIN) -> topology_pb2.Cluster:
        request = pb.CreateClusterRequest(
            cluster_id=cluster_id, cluster=topology_pb2.Cluster(bootstrap_servers=address)
        )
        return (await self.stub.CreateCluster(request)).cluster

    async def create_dataset(self, dataset_id: str = "firewall") -> topology_pb2.Dataset:
        request = pb.CreateDatasetRequest(
            dataset_id=dataset_id, dataset=topology_pb2.Dataset(schema_subject="subjects/firewall")
        )
        return (await self.stub.CreateDataset(request)).dataset

    async def create_binding(
        self, tenant: str = "acme", *topics: str, dataset: str = "firewall", request_id: str = ""
    ) -> topology_pb2.Binding:
        request = pb.CreateBindingRequest(
            parent=f"datasets/{dataset}",
            binding_id=tenant,
            binding=binding_of(*(topics or ("acme.firewall",))),
            request_id=request_id,
        )
        return (await self.stub.CreateBinding(request)).binding

    async def prepare(self) -> None:
        """Cluster `main` with topics `acme.firewall` and `globex.firewall`, and dataset `firewall`."""
        self.main.add("acme.firewall", 3)
        self.main.add("globex.firewall")
        await self.create_cluster()
        await self.create_dataset()


def binding_of(*topics: str, cluster: str = "clusters/main", name: str = "") -> topology_pb2.Binding:
    bound = [topology_pb2.BoundTopic(cluster=cluster, topic=topic) for topic in topics]
    return topology_pb2.Binding(name=name, topics=bound)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    server = MemoryServer()
    store = MemoryStore("self_healing", server)
    kafka = FakeKafka()
    main = kafka.start(MAIN, "KAFKA-A")
    servicer = SelfHealingServicer(Records(store), kafka, leader_timeout_seconds=1.0)
    stopping = Stopping()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve(
            Settings.model_validate({"listen_address": "127.0.0.1:0", "shutdown_grace_seconds": 0}),
            stopping,
            servicers=[Servicer(pb_grpc.add_SelfHealingServiceServicer_to_server, servicer)],
            on_start=address.set_result,
        )
    )
    async with grpc.aio.insecure_channel(await address) as channel:
        yield Service(pb_grpc.SelfHealingServiceStub(channel), kafka, main, server, store)
    stopping.request()
    await serving
    await store.close()
