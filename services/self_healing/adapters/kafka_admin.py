"""KafkaAdmin over confluent-kafka. PLAINTEXT only: there is no setting for TLS or SASL yet."""

import asyncio
import concurrent.futures
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its public names are not marked as exported
    AdminClient,
    DescribeClusterResult,
    ListOffsetsResultInfo,
    OffsetSpec,
    TopicDescription,
)
from confluent_kafka.cimpl import NewTopic as KafkaNewTopic

from services.self_healing.model import NewTopic, OffsetRange, PartitionState, TopicState
from services.self_healing.ports import KafkaRefused, KafkaUnavailable, PartitionNotReady

MAX_CLIENTS = 100
"""Each holds a few threads and connections; the least recently used one is closed beyond that."""

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")
_EARLIEST: OffsetSpec = OffsetSpec.earliest()
_LATEST: OffsetSpec = OffsetSpec.latest()

# Kafka is away, starting or electing: the call may succeed later. librdkafka's own codes are negative.
_TEMPORARY = frozenset(
    {
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.NOT_CONTROLLER,
        KafkaError.THROTTLING_QUOTA_EXCEEDED,
    }
)
# Brokers learn at different moments who leads a partition, and in which epoch.
_NOT_READY = frozenset(
    {
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
    }
)


class ConfluentKafkaAdmin:
    """One AdminClient per address, made at the first call and kept.

    librdkafka answers admin requests by futures from its own threads; the calls that block (`list_topics` and
    dropping a client) run in an executor of this adapter.
    """

    def __init__(self, timeout_seconds: float, creation_timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._creation_timeout_seconds = creation_timeout_seconds
        self._clients: OrderedDict[str, AdminClient] = OrderedDict()
        self._executor = concurrent.futures.ThreadPoolExecutor(16, thread_name_prefix="kafka-admin")

    async def cluster_id(self, address: str) -> str:
        def ask(client: AdminClient) -> concurrent.futures.Future[DescribeClusterResult]:
            return client.describe_cluster(request_timeout=self._timeout_seconds)

        result = await self._ask(address, ask)
        if not result.cluster_id:
            raise KafkaUnavailable(address, "it does not know its cluster id yet")
        return str(result.cluster_id)

    async def topic_names(self, address: str) -> Sequence[str]:
        client = self._client(address)
        metadata = await self._in_executor(address, lambda: client.list_topics(timeout=self._timeout_seconds))
        return sorted(metadata.topics)

    async def describe(self, address: str, names: Sequence[str]) -> Mapping[str, TopicState]:
        if not names:
            return {}
        futures: dict[str, concurrent.futures.Future[TopicDescription]] = self._client(
            address
        ).describe_topics(TopicCollection(list(names)), request_timeout=self._timeout_seconds)
        found = {}
        for name, future in futures.items():
            try:
                found[name] = _topic_state(await asyncio.wrap_future(future))
            except KafkaException as error:
                if _cause(error).code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise _translated(address, error) from error
        return found

    async def offsets(self, address: str, topic: TopicState) -> Mapping[int, OffsetRange]:
        led = [partition.partition for partition in topic.partitions if partition.leader >= 0]
        if not led:
            return {}
        starts, ends = await asyncio.gather(
            self._list_offsets(address, topic.name, led, _EARLIEST),
            self._list_offsets(address, topic.name, led, _LATEST),
        )
        return {partition: OffsetRange(starts[partition], ends[partition]) for partition in led}

    async def create(self, address: str, topic: NewTopic) -> bool:
        wanted = KafkaNewTopic(
            topic.name,
            num_partitions=topic.partitions,
            replication_factor=topic.replication_factor or -1,
            config=dict(topic.config),
        )

        def ask(client: AdminClient) -> concurrent.futures.Future[None]:
            return client.create_topics(
                [wanted],
                operation_timeout=self._creation_timeout_seconds,
                request_timeout=self._creation_timeout_seconds,
            )[topic.name]

        try:
            await self._ask(address, ask)
        except KafkaRefused as error:
            if error.code == "TOPIC_ALREADY_EXISTS":
                return False
            raise
        return True

    async def release(self, address: str) -> None:
        client = self._clients.pop(address, None)
        if client is not None:
            holder = [client]
            del client
            # The last reference ends the client, which waits for its threads.
            await asyncio.get_running_loop().run_in_executor(self._executor, holder.clear)

    async def close(self) -> None:
        for address in list(self._clients):
            await self.release(address)
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _client(self, address: str) -> AdminClient:
        client = self._clients.get(address)
        if client is None:
            # Its log lines are not in our form, and what they tell arrives as exceptions too.
            configuration: dict[str, str | int | float | bool] = {
                "bootstrap.servers": address,
                "client.id": "sluice-self-healing",
                "log_level": 0,
            }
            try:
                client = self._clients[address] = AdminClient(configuration)
            except KafkaException as error:
                raise _translated(address, error) from error
            _log.info("kafka_client_opened", address=address)
            if len(self._clients) > MAX_CLIENTS:
                self._clients.popitem(last=False)
        self._clients.move_to_end(address)
        return client

    async def _list_offsets(
        self, address: str, topic: str, partitions: Sequence[int], spec: OffsetSpec
    ) -> dict[int, int]:
        wanted = {TopicPartition(topic, partition): spec for partition in partitions}
        futures: dict[TopicPartition, concurrent.futures.Future[ListOffsetsResultInfo]] = self._client(
            address
        ).list_offsets(wanted, request_timeout=self._timeout_seconds)
        try:
            return {
                place.partition: int((await asyncio.wrap_future(future)).offset)
                for place, future in futures.items()
            }
        except KafkaException as error:
            raise _translated(address, error) from error

    async def _ask(self, address: str, ask: Callable[[AdminClient], concurrent.futures.Future[_T]]) -> _T:
        try:
            return await asyncio.wrap_future(ask(self._client(address)))
        except KafkaException as error:
            raise _translated(address, error) from error

    async def _in_executor(self, address: str, work: Callable[[], _T]) -> _T:
        running: Awaitable[_T] = asyncio.get_running_loop().run_in_executor(self._executor, work)
        try:
            return await running
        except KafkaException as error:
            raise _translated(address, error) from error


def _cause(error: KafkaException) -> KafkaError:
    cause: KafkaError = error.args[0]
    return cause


def _translated(address: str, error: KafkaException) -> KafkaUnavailable | KafkaRefused:
    cause = _cause(error)
    if cause.code() in _NOT_READY:
        return PartitionNotReady(address, cause.str())
    if cause.code() < 0:
        return KafkaUnavailable(address, f"no broker answered: {cause.str()}")
    if cause.code() in _TEMPORARY or cause.retriable():
        return KafkaUnavailable(address, cause.str())
    return KafkaRefused(address, cause.name(), cause.str())


def _topic_state(description: TopicDescription) -> TopicState:
    partitions = sorted(
        (
            PartitionState(
                partition=partition.id,
                leader=partition.leader.id if partition.leader is not None else -1,
                replicas=tuple(node.id for node in partition.replicas),
                in_sync_replicas=tuple(node.id for node in partition.isr),
            )
            for partition in description.partitions
        ),
        key=lambda state: state.partition,
    )
    # Kafka's own tools print topic ids in the URL-safe alphabet, librdkafka does not.
    topic_id = str(description.topic_id).replace("+", "-").replace("/", "_")
    return TopicState(description.name, topic_id, tuple(partitions))
