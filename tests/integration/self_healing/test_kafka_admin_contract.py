"""What self healing relies on of its Kafka port, on the fake of the unit tests and on a real broker alike."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import tenacity

from deploy.local import LocalStack
from services.self_healing.adapters.kafka_admin import ConfluentKafkaAdmin
from services.self_healing.model import NewTopic, OffsetRange, TopicState
from services.self_healing.ports import KafkaAdmin, KafkaRefused, KafkaUnavailable, PartitionNotReady
from tests.unit.self_healing.fake_kafka import FakeKafka

pytestmark = pytest.mark.integration

NOWHERE = "127.0.0.1:1"


@dataclass
class Backend:
    admin: KafkaAdmin
    address: str

    async def new_topic(self, partitions: int = 1) -> TopicState:
        """A new topic, as soon as its leaders answer."""
        name = f"contract.{uuid.uuid4().hex}"
        assert await self.admin.create(self.address, NewTopic(name, partitions))

        @tenacity.retry(
            retry=tenacity.retry_if_exception_type((PartitionNotReady, KeyError)),
            stop=tenacity.stop_after_delay(30),
            wait=tenacity.wait_fixed(0.05),
        )
        async def led() -> TopicState:
            state = (await self.admin.describe(self.address, [name]))[name]
            await self.admin.offsets(self.address, state)
            return state

        return await led()


@pytest.fixture(params=["fake", "real"])
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[Backend]:
    if request.param == "fake":
        fake = FakeKafka()
        fake.start("kafka:9092", "KAFKA")
        yield Backend(fake, "kafka:9092")
        return
    kafka: LocalStack = request.getfixturevalue("kafka")
    admin = ConfluentKafkaAdmin(timeout_seconds=5, creation_timeout_seconds=10)
    yield Backend(admin, kafka.kafka_bootstrap)
    await admin.close()


async def test_the_cluster_id_stays_the_same(backend: Backend) -> None:
    first = await backend.admin.cluster_id(backend.address)
    await backend.admin.release(backend.address)
    assert first and await backend.admin.cluster_id(backend.address) == first


async def test_a_created_topic_is_described_listed_and_empty(backend: Backend) -> None:
    state = await backend.new_topic(partitions=3)
    assert [partition.partition for partition in state.partitions] == [0, 1, 2]
    assert state.has_leaders and state.topic_id
    assert all(len(partition.replicas) == 1 for partition in state.partitions)
    names = list(await backend.admin.topic_names(backend.address))
    assert state.name in names and names == sorted(names)
    offsets = await backend.admin.offsets(backend.address, state)
    assert offsets == {number: OffsetRange(0, 0) for number in range(3)}


async def test_describing_leaves_out_what_does_not_exist(backend: Backend) -> None:
    state = await backend.new_topic()
    found = await backend.admin.describe(backend.address, ["contract.no-such-topic", state.name])
    assert list(found) == [state.name]
    assert await backend.admin.describe(backend.address, []) == {}


async def test_creating_again_says_so_and_changes_nothing(backend: Backend) -> None:
    state = await backend.new_topic(partitions=2)
    assert not await backend.admin.create(backend.address, NewTopic(state.name, 5))
    assert len((await backend.admin.describe(backend.address, [state.name]))[state.name].partitions) == 2


async def test_of_two_creators_one_is_told_that_it_created_the_topic(backend: Backend) -> None:
    topic = NewTopic(f"contract.{uuid.uuid4().hex}", 1)
    created = await asyncio.gather(*(backend.admin.create(backend.address, topic) for _ in range(4)))
    assert sorted(created) == [False, False, False, True]


async def test_an_unknown_configuration_is_refused_with_kafkas_code_and_words(backend: Backend) -> None:
    topic = NewTopic(f"contract.{uuid.uuid4().hex}", 1, config={"no.such.setting": "1"})
    with pytest.raises(KafkaRefused) as refused:
        await backend.admin.create(backend.address, topic)
    assert refused.value.code == "INVALID_CONFIG"
    assert "Unknown topic config name: no.such.setting" in refused.value.explanation


async def test_an_address_where_nobody_answers_is_unavailable(backend: Backend) -> None:
    calls = [
        backend.admin.cluster_id(NOWHERE),
        backend.admin.topic_names(NOWHERE),
        backend.admin.describe(NOWHERE, ["x"]),
        backend.admin.create(NOWHERE, NewTopic("x", 1)),
    ]
    async with asyncio.timeout(30):
        answers = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(answer) for answer in answers] == [KafkaUnavailable] * 4
    await backend.admin.release(NOWHERE)
