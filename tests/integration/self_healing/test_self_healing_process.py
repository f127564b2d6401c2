"""The process `python -m services.self_healing` on real Kafka and Redis, killed and restarted in the middle."""

import asyncio
import contextlib
import functools
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TypeAlias, TypeVar

import grpc
import pytest
import tenacity
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from deploy.local import LocalStack
from libs.service_kit.client import RemoteError, remote_error
from libs.store import Changed, RedisStore, connect
from sluice.self_healing.v1 import self_healing_pb2 as pb
from sluice.self_healing.v1 import self_healing_pb2_grpc as pb_grpc
from sluice.self_healing.v1 import topology_pb2
from tests.support.stack import local_stack

pytestmark = pytest.mark.integration

T = TypeVar("T")
Stub: TypeAlias = "pb_grpc.SelfHealingServiceAsyncStub"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with local_stack(tmp_path_factory.mktemp("self_healing"), parts=("kafka", "redis")) as stack:
        yield stack


@pytest.fixture
async def stub(servers: LocalStack) -> AsyncIterator[Stub]:
    """The running service, with the cluster recorded as `clusters/main`."""
    await asyncio.to_thread(servers.start, "self_healing")
    async with _channel(servers) as channel:
        stub = pb_grpc.SelfHealingServiceStub(channel)
        request = pb.CreateClusterRequest(
            cluster_id="main", cluster=topology_pb2.Cluster(bootstrap_servers=servers.kafka_bootstrap)
        )
        with contextlib.suppress(grpc.aio.AioRpcError):
            await stub.CreateCluster(request)
        yield stub


def _channel(servers: LocalStack) -> grpc.aio.Channel:
    """Without a back-off worth speaking of, because the service is restarted under it."""
    options = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200)]
    return grpc.aio.insecure_channel(servers.ports.address("self_healing"), options)


async def _refused(call: Awaitable[object]) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return remote_error(error.value)


def _is_away(error: BaseException) -> bool:
    return isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.UNAVAILABLE


@tenacity.retry(
    retry=tenacity.retry_if_exception(_is_away),
    stop=tenacity.stop_after_delay(60),
    wait=tenacity.wait_fixed(0.05),
    reraise=True,
)
async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """The same call again until it is not UNAVAILABLE any more, as a client does it; for a minute."""
    return await call()


def _topic() -> str:
    return f"acme.{uuid.uuid4().hex[:12]}"


def _ensure(topic: str, partitions: int = 4, **config: str) -> pb.EnsureTopicRequest:
    settings = {name.replace("_", "."): value for name, value in config.items()}
    return pb.EnsureTopicRequest(name=f"clusters/main/topics/{topic}", partitions=partitions, config=settings)


async def test_a_new_topic_can_be_produced_to_at_once_and_is_shown_as_it_is(
    servers: LocalStack, stub: Stub
) -> None:
    topic = _topic()
    answer = await stub.EnsureTopic(_ensure(topic, retention_ms="86400000"))
    assert answer.created and [partition.leader for partition in answer.topic.partitions] == [1] * 4
    producer = Producer({"bootstrap.servers": servers.kafka_bootstrap, "message.timeout.ms": 5000})
    for number in range(12):
        producer.produce(topic, b"x", partition=number % 4)
    assert await asyncio.to_thread(producer.flush, 10) == 0
    shown = (await stub.GetTopic(pb.GetTopicRequest(name=answer.topic.name))).topic
    assert [(p.partition, p.start_offset, p.end_offset) for p in shown.partitions] == [
        (number, 0, 3) for number in range(4)
    ]
    assert shown.topic_id == answer.topic.topic_id and shown.replication_factor == 1
    again = await stub.EnsureTopic(_ensure(topic, partitions=9))
    assert not again.created and len(again.topic.partitions) == 4
    listed = await stub.ListTopics(pb.ListTopicsRequest(parent="clusters/main", page_size=1000))
    assert answer.topic.name in [found.name for found in listed.topics]


async def test_of_many_creators_of_one_topic_exactly_one_creates_it(stub: Stub) -> None:
    request = _ensure(_topic())
    answers = await asyncio.gather(*(stub.EnsureTopic(request) for _ in range(8)))
    assert sum(answer.created for answer in answers) == 1
    assert len({answer.topic.topic_id for answer in answers}) == 1


async def test_a_topic_that_was_deleted_and_made_again_has_another_id(
    servers: LocalStack, stub: Stub
) -> None:
    topic = _topic()
    first = await stub.EnsureTopic(_ensure(topic))
    admin = AdminClient({"bootstrap.servers": servers.kafka_bootstrap})
    await asyncio.to_thread(admin.delete_topics([topic])[topic].result, 10)
    second = await stub.EnsureTopic(_ensure(topic))
    assert second.created and second.topic.topic_id != first.topic.topic_id


@pytest.mark.parametrize(
    ("request_", "field", "words"),
    [
        (_ensure("a.b", no_such_setting="1"), "config", "Unknown topic config name"),
        (_ensure("a.b", retention_ms="abc"), "config", "Not a number of type LONG"),
    ],
)
async def test_what_kafka_refuses_is_told_in_its_words(
    stub: Stub, request_: pb.EnsureTopicRequest, field: str, words: str
) -> None:
    error = await _refused(stub.EnsureTopic(request_))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in error.field_violations] == [field] and words in error.message
    request_.ClearField("config")
    request_.replication_factor = 7
    error = await _refused(stub.EnsureTopic(request_))
    assert [violation.field for violation in error.field_violations] == ["replication_factor"]


async def test_another_address_of_the_same_kafka_is_recognised(servers: LocalStack, stub: Stub) -> None:
    other = servers.kafka_bootstrap.replace("127.0.0.1", "localhost")
    create = pb.CreateClusterRequest(
        cluster_id="again", cluster=topology_pb2.Cluster(bootstrap_servers=other)
    )
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stub.CreateCluster(create)
    assert remote_error(error.value).reason == "KAFKA_CLUSTER_ALREADY_KNOWN"
    moved = topology_pb2.Cluster(name="clusters/main", bootstrap_servers=other)
    assert (await stub.UpdateCluster(pb.UpdateClusterRequest(cluster=moved))).cluster.etag
    assert (await stub.EnsureTopic(_ensure(_topic()))).topic.bootstrap_servers == other


async def test_with_kafka_away_calls_are_unavailable_and_work_again_when_it_is_back(
    servers: LocalStack, stub: Stub
) -> None:
    request = _ensure(_topic())
    await asyncio.to_thread(servers.stop, "kafka")
    try:
        error = await _refused(stub.EnsureTopic(request))
        assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "KAFKA_UNAVAILABLE")
        assert error.retry_after is not None
        await stub.GetCluster(pb.GetClusterRequest(name="clusters/main"))
    finally:
        await asyncio.to_thread(servers.start, "kafka")
    assert (await _patiently(lambda: stub.EnsureTopic(request))).created


async def test_killed_in_the_middle_every_binding_and_its_event_are_there_exactly_once(
    servers: LocalStack, stub: Stub
) -> None:
    dataset = f"d{uuid.uuid4().hex[:12]}"
    await stub.CreateDataset(
        pb.CreateDatasetRequest(
            dataset_id=dataset, dataset=topology_pb2.Dataset(schema_subject="subjects/firewall")
        )
    )
    topics = [f"{dataset}.{number}" for number in range(30)]
    ensures = [_ensure(topic, partitions=1) for topic in topics]
    await asyncio.gather(*(_patiently(functools.partial(stub.EnsureTopic, ensure)) for ensure in ensures))
    answered = 0
    killed = asyncio.Event()

    async def bind(number: int) -> topology_pb2.Binding:
        """Repeats the same request until it is answered, as a client does."""
        nonlocal answered
        bound = topology_pb2.BoundTopic(cluster="clusters/main", topic=topics[number])
        request = pb.CreateBindingRequest(
            parent=f"datasets/{dataset}",
            binding_id=f"tenant-{number}",
            binding=topology_pb2.Binding(topics=[bound]),
            request_id=str(uuid.uuid4()),
        )
        binding = (await _patiently(lambda: stub.CreateBinding(request))).binding
        answered += 1
        if answered == 5:
            servers.kill("self_healing")
            killed.set()
        return binding

    async def restart() -> None:
        await killed.wait()
        await asyncio.to_thread(servers.start, "self_healing")

    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        group.create_task(restart())
        for number in range(len(topics)):
            group.create_task(bind(number))
    listed = await stub.ListBindings(pb.ListBindingsRequest(parent=f"datasets/{dataset}", page_size=1000))
    names = sorted(binding.name for binding in listed.bindings)
    assert names == sorted(f"datasets/{dataset}/bindings/tenant-{number}" for number in range(30))
    assert await _told(servers, f"datasets/{dataset}/bindings/") == Counter(names)


async def _told(servers: LocalStack, prefix: str) -> Counter[str]:
    """How many TopologyChanged there are of each resource whose name starts with `prefix`."""
    redis = connect(servers.redis_url)
    store = RedisStore("self_healing", redis)
    told: Counter[str] = Counter()
    async with contextlib.aclosing(store.watch(0, prefix)) as changes:
        async for change in changes:
            if not isinstance(change, Changed):
                break
            told[change.event.subject] += 1
    await store.close()
    await redis.aclose()
    return told
