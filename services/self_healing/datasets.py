"""The commands on datasets and their bindings."""

from collections.abc import Sequence

from libs.service_kit.errors import NotFound
from libs.store import Write
from services.self_healing.decide import (
    SHOWN_REFERRERS,
    TopicKey,
    check_binding,
    check_same_kafka_cluster,
    check_unreferenced,
    claims_after,
    topic_keys,
)
from services.self_healing.model import split_binding_name, topic_name
from services.self_healing.ports import KafkaAdmin
from services.self_healing.records import BINDINGS, CLUSTERS, DATASETS, Records
from services.self_healing.references import References
from sluice.self_healing.v1 import self_healing_pb2 as pb
from sluice.self_healing.v1 import topology_pb2


class DatasetCommands:
    """Create, change and delete datasets. Whether the subject is registered is not asked: it may be later."""

    def __init__(self, records: Records, references: References) -> None:
        self._records = records
        self._references = references

    async def create(self, request: pb.CreateDatasetRequest) -> topology_pb2.Dataset:
        name = f"datasets/{request.dataset_id}"

        async def prepare(_dataset: topology_pb2.Dataset) -> Sequence[Write]:
            return [self._references.new_guard(name)]

        return await self._records.create(DATASETS, name, request.dataset, request, prepare)

    async def update(self, request: pb.UpdateDatasetRequest) -> topology_pb2.Dataset:
        async def prepare(_before: topology_pb2.Dataset, _after: topology_pb2.Dataset) -> Sequence[Write]:
            return []

        return await self._records.update(DATASETS, request.dataset, request, prepare)

    async def delete(self, request: pb.DeleteDatasetRequest) -> None:
        async def prepare(dataset: topology_pb2.Dataset) -> Sequence[Write]:
            end_guard = await self._references.end_guard(dataset.name)
            bindings, more = await self._records.names(BINDINGS, f"{dataset.name}/bindings/", SHOWN_REFERRERS)
            check_unreferenced(dataset.name, bindings, more=more)
            return [end_guard]

        await self._records.delete(DATASETS, request, prepare)


class BindingCommands:
    """Create, change and delete bindings, and give them with the addresses of their clusters."""

    def __init__(self, records: Records, references: References, kafka: KafkaAdmin) -> None:
        self._records = records
        self._references = references
        self._kafka = kafka

    async def create(self, request: pb.CreateBindingRequest) -> topology_pb2.Binding:
        found: set[TopicKey] = set()

        async def prepare(binding: topology_pb2.Binding) -> Sequence[Write]:
            dataset = await self._references.reference(request.parent)
            return [dataset, *await self._bind(None, binding, found)]

        name = f"{request.parent}/bindings/{request.binding_id}"
        binding = await self._records.create(BINDINGS, name, request.binding, request, prepare)
        return (await self.with_addresses([binding]))[0]

    async def update(self, request: pb.UpdateBindingRequest) -> topology_pb2.Binding:
        found: set[TopicKey] = set()

        async def prepare(before: topology_pb2.Binding, after: topology_pb2.Binding) -> Sequence[Write]:
            return await self._bind(before, after, found)

        binding = await self._records.update(BINDINGS, request.binding, request, prepare)
        return (await self.with_addresses([binding]))[0]

    async def delete(self, request: pb.DeleteBindingRequest) -> None:
        async def prepare(binding: topology_pb2.Binding) -> Sequence[Write]:
            return await self._claim(binding.name, set(), topic_keys(binding))

        await self._records.delete(BINDINGS, request, prepare)

    async def get(self, name: str) -> topology_pb2.Binding:
        return (await self.with_addresses([await self._records.get(BINDINGS, name)]))[0]

    async def page(self, request: pb.ListBindingsRequest) -> tuple[list[topology_pb2.Binding], str]:
        within = "" if request.parent == "datasets/-" else f"{request.parent}/bindings/"
        if within:
            await self._records.find(DATASETS, request.parent)
        bindings, token = await self._records.page(BINDINGS, request, within)
        return await self.with_addresses(bindings), token

    async def with_addresses(self, bindings: Sequence[topology_pb2.Binding]) -> list[topology_pb2.Binding]:
        """The same bindings, with the addresses as they are now instead of when they were committed."""
        names = {bound.cluster for binding in bindings for bound in binding.topics}
        addresses = await self._records.many(CLUSTERS, sorted(names))
        for binding in bindings:
            for bound in binding.topics:
                if bound.cluster in addresses:
                    bound.bootstrap_servers = addresses[bound.cluster].bootstrap_servers
        return list(bindings)

    async def _bind(
        self, before: topology_pb2.Binding | None, after: topology_pb2.Binding, found: set[TopicKey]
    ) -> list[Write]:
        """Check the topics that `after` adds, and return the writes for them and for those that it drops.

        `found` remembers what Kafka has answered, for when the change is decided again.
        """
        check_binding(after)
        names = sorted({bound.cluster for bound in after.topics})
        clusters = await self._records.many(CLUSTERS, names)
        for name in names:
            if name not in clusters:
                raise NotFound(name, resource_type="sluice.dev/Cluster")
        for bound in after.topics:
            bound.bootstrap_servers = clusters[bound.cluster].bootstrap_servers
        added = topic_keys(after) - topic_keys(before)
        claims = await self._claim(after.name, added, topic_keys(before) - topic_keys(after))
        references = [await self._references.reference(name) for name in sorted({name for name, _ in added})]
        for name in names:
            await self._check_topics_exist(clusters[name], added - found)
        found |= added
        return [*references, *claims]

    async def _check_topics_exist(self, cluster: topology_pb2.Cluster, keys: set[TopicKey]) -> None:
        wanted = sorted(topic for name, topic in keys if name == cluster.name)
        if not wanted:
            return
        address = cluster.bootstrap_servers
        check_same_kafka_cluster(cluster, address, await self._kafka.cluster_id(address))
        existing = await self._kafka.describe(address, wanted)
        for topic in wanted:
            if topic not in existing:
                name = topic_name(cluster.name, topic)
                raise NotFound(name, resource_type="sluice.dev/Topic", reason="TOPIC_NOT_FOUND")

    async def _claim(self, binding: str, claimed: set[TopicKey], released: set[TopicKey]) -> list[Write]:
        tenant = split_binding_name(binding)[1]
        stored = await self._references.claims(claimed | released)
        known = {key: claim.message for key, claim in stored.items()}
        changed = claims_after(binding, tenant, claimed=claimed, released=released, known=known)
        return self._references.change_claims(changed, stored)
