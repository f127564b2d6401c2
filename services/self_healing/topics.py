"""Topics as they really are on the clusters: created if missing, otherwise only looked at."""

from collections.abc import Mapping

import tenacity

from libs.service_kit.errors import FieldViolation, InvalidArgument, NotFound, Unavailable, invalid_field
from libs.service_kit.pagination import read_page
from services.self_healing.decide import check_same_kafka_cluster
from services.self_healing.model import NewTopic, OffsetRange, TopicState, split_topic_name, topic_name
from services.self_healing.ports import KafkaAdmin, KafkaRefused, PartitionNotReady
from services.self_healing.records import CLUSTERS, DEFAULT_PAGE_SIZE, Records
from sluice.self_healing.v1 import self_healing_pb2 as pb
from sluice.self_healing.v1 import topology_pb2

# Kafka's names of the errors that are about a field of EnsureTopicRequest, and which.
_FIELD_OF_ERROR = {
    "INVALID_CONFIG": "config",
    "INVALID_PARTITIONS": "partitions",
    "INVALID_REPLICATION_FACTOR": "replication_factor",
    "TOPIC_EXCEPTION": "name",
    "INVALID_TOPIC_EXCEPTION": "name",
    "POLICY_VIOLATION": "config",
}


class TopicCommands:
    """EnsureTopic, GetTopic and ListTopics."""

    def __init__(self, records: Records, kafka: KafkaAdmin, leader_timeout_seconds: float) -> None:
        self._records = records
        self._kafka = kafka
        self._leader_timeout_seconds = leader_timeout_seconds

    async def ensure(self, request: pb.EnsureTopicRequest) -> pb.EnsureTopicResponse:
        cluster, topic = await self._cluster_and_topic(request.name)
        if topic.startswith("__"):
            raise invalid_field(
                "name", f"{topic!r}: names that begin with `__` are Kafka's own", "TOPIC_RESERVED"
            )
        address = cluster.bootstrap_servers
        check_same_kafka_cluster(cluster, address, await self._kafka.cluster_id(address))
        created = False
        if topic not in await self._kafka.describe(address, [topic]):
            created = await self._create(cluster, topic, request)
        return pb.EnsureTopicResponse(topic=await self._until_led(cluster, topic), created=created)

    async def get(self, request: pb.GetTopicRequest) -> topology_pb2.Topic:
        cluster, topic = await self._cluster_and_topic(request.name)
        state = (await self._kafka.describe(cluster.bootstrap_servers, [topic])).get(topic)
        if state is None:
            raise NotFound(request.name, resource_type="sluice.dev/Topic", reason="TOPIC_NOT_FOUND")
        return _topic(cluster, state, await self._kafka.offsets(cluster.bootstrap_servers, state))

    async def page(self, request: pb.ListTopicsRequest) -> tuple[list[topology_pb2.Topic], str]:
        """A topic that is deleted between the listing of the names and the look at it is left out."""
        page = read_page(request, default_size=DEFAULT_PAGE_SIZE, max_size=1000)
        cluster = await self._records.get(CLUSTERS, request.parent)
        following = [
            name for name in await self._kafka.topic_names(cluster.bootstrap_servers) if name > page.cursor
        ]
        names = following[: page.size]
        states = await self._kafka.describe(cluster.bootstrap_servers, names)
        topics = [_topic(cluster, states[name], {}) for name in names if name in states]
        return topics, page.token_after(names[-1]) if len(following) > page.size else ""

    async def _cluster_and_topic(self, name: str) -> tuple[topology_pb2.Cluster, str]:
        cluster, topic = split_topic_name(name)
        if topic in (".", ".."):
            raise invalid_field("name", f"{topic!r} is not a name that Kafka allows for a topic")
        return await self._records.get(CLUSTERS, cluster), topic

    async def _create(
        self, cluster: topology_pb2.Cluster, topic: str, request: pb.EnsureTopicRequest
    ) -> bool:
        replicas = request.replication_factor or cluster.default_replication_factor
        wanted = NewTopic(topic, request.partitions, replicas, dict(request.config))
        try:
            return await self._kafka.create(cluster.bootstrap_servers, wanted)
        except KafkaRefused as error:
            field = _FIELD_OF_ERROR.get(error.code)
            if field is None:
                raise
            violation = FieldViolation(field, f"Kafka says: {error.explanation}", error.code)
            raise InvalidArgument([violation], reason="KAFKA_REFUSED_TOPIC") from error

    async def _until_led(self, cluster: topology_pb2.Cluster, topic: str) -> topology_pb2.Topic:
        """The topic as soon as every partition's leader answers for it, so that it can be produced to.

        Metadata reaches the brokers a moment after a creation was answered; leaders begin later still.
        """
        waiting = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(PartitionNotReady),
            stop=tenacity.stop_after_delay(self._leader_timeout_seconds),
            wait=tenacity.wait_exponential(0.02, max=1.0),
            reraise=True,
        )
        address = cluster.bootstrap_servers

        async def look() -> topology_pb2.Topic:
            state = (await self._kafka.describe(address, [topic])).get(topic)
            if state is None or not state.has_leaders:
                raise PartitionNotReady(address, f"{topic} has partitions without a leader")
            return _topic(cluster, state, await self._kafka.offsets(address, state))

        try:
            return await waiting(look)
        except PartitionNotReady as error:
            what = f"{topic_name(cluster.name, topic)}, whose partitions are not all led yet ({error.cause}),"
            raise Unavailable(what, reason="TOPIC_WITHOUT_LEADER") from error


def _topic(
    cluster: topology_pb2.Cluster, state: TopicState, offsets: Mapping[int, OffsetRange]
) -> topology_pb2.Topic:
    topic = topology_pb2.Topic(
        name=topic_name(cluster.name, state.name),
        topic_id=state.topic_id,
        replication_factor=len(state.partitions[0].replicas) if state.partitions else 0,
        bootstrap_servers=cluster.bootstrap_servers,
    )
    for partition in state.partitions:
        ends = offsets.get(partition.partition, OffsetRange(0, 0))
        topic.partitions.add(
            partition=partition.partition,
            leader=partition.leader,
            in_sync_replicas=partition.in_sync_replicas,
            start_offset=ends.start,
            end_offset=ends.end,
        )
    return topic
