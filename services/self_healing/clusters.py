"""The commands on clusters."""

from collections.abc import Sequence

from libs.store import Write
from services.self_healing.decide import KafkaClusterKnown, check_same_kafka_cluster, check_unreferenced
from services.self_healing.ports import KafkaAdmin
from services.self_healing.records import CLUSTERS, Records
from services.self_healing.references import References
from sluice.self_healing.v1 import self_healing_pb2 as pb
from sluice.self_healing.v1 import topology_pb2


class ClusterCommands:
    """Create, change and delete clusters; each is asked for its Kafka id before it is recorded."""

    def __init__(self, records: Records, references: References, kafka: KafkaAdmin) -> None:
        self._records = records
        self._references = references
        self._kafka = kafka

    async def create(self, request: pb.CreateClusterRequest) -> topology_pb2.Cluster:
        name = f"clusters/{request.cluster_id}"

        async def prepare(cluster: topology_pb2.Cluster) -> Sequence[Write]:
            cluster.kafka_cluster_id = await self._kafka.cluster_id(cluster.bootstrap_servers)
            other = await self._references.known_as(cluster.kafka_cluster_id)
            if other:
                raise KafkaClusterKnown(other, cluster.kafka_cluster_id)
            return [
                self._references.new_guard(name),
                self._references.claim_kafka_cluster(cluster.kafka_cluster_id, name),
            ]

        return await self._records.create(CLUSTERS, name, request.cluster, request, prepare)

    async def update(self, request: pb.UpdateClusterRequest) -> topology_pb2.Cluster:
        replaced: set[str] = set()

        async def prepare(before: topology_pb2.Cluster, after: topology_pb2.Cluster) -> Sequence[Write]:
            if after.bootstrap_servers != before.bootstrap_servers:
                observed = await self._kafka.cluster_id(after.bootstrap_servers)
                check_same_kafka_cluster(before, after.bootstrap_servers, observed)
                replaced.add(before.bootstrap_servers)
            return []

        cluster = await self._records.update(CLUSTERS, request.cluster, request, prepare)
        if not request.validate_only:
            for address in replaced:
                await self._kafka.release(address)
        return cluster

    async def delete(self, request: pb.DeleteClusterRequest) -> None:
        async def prepare(cluster: topology_pb2.Cluster) -> Sequence[Write]:
            end_guard = await self._references.end_guard(cluster.name)
            bindings, more = await self._references.bindings_on(cluster.name)
            check_unreferenced(cluster.name, bindings, more=more)
            return [end_guard, self._references.release_kafka_cluster(cluster.kafka_cluster_id)]

        cluster = await self._records.delete(CLUSTERS, request, prepare)
        if not request.validate_only:
            await self._kafka.release(cluster.bootstrap_servers)
