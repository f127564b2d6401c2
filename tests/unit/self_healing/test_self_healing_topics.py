"""EnsureTopic, GetTopic and ListTopics over a real gRPC channel."""

import asyncio

import grpc
import pytest

from services.self_healing.model import OffsetRange
from services.self_healing.ports import KafkaRefused, KafkaUnavailable, PartitionNotReady
from sluice.self_healing.v1 import self_healing_pb2 as pb
from sluice.self_healing.v1 import topology_pb2
from tests.unit.self_healing.conftest import MAIN, Service
from tests.unit.self_healing.test_self_healing_topology import refused

NAME = "clusters/main/topics/acme.out"


async def test_a_missing_topic_is_created_as_asked_once_its_partitions_have_leaders(service: Service) -> None:
    await service.create_cluster()
    service.main.leaderless_looks = 2
    request = pb.EnsureTopicRequest(
        name=NAME, partitions=3, replication_factor=2, config={"retention.ms": "1000"}
    )
    answer = await service.stub.EnsureTopic(request)
    assert answer.created and len(answer.topic.partitions) == 3
    assert answer.topic.replication_factor == 2 and answer.topic.bootstrap_servers == MAIN
    assert all(partition.leader == 1 for partition in answer.topic.partitions)
    assert service.main.configs["acme.out"] == {"retention.ms": "1000"}
    assert [fact.WhichOneof("resource") for fact in await service.facts()] == ["cluster"]


async def test_a_new_topic_whose_leaders_decline_at_first_is_waited_for(service: Service) -> None:
    await service.create_cluster()
    service.kafka.fail_next("offsets", PartitionNotReady(MAIN, "Not leader for partition"))
    answer = await service.stub.EnsureTopic(pb.EnsureTopicRequest(name=NAME, partitions=3))
    assert answer.created and service.kafka.count("offsets") == 2


async def test_without_a_wish_the_clusters_default_replication_counts(service: Service) -> None:
    cluster = topology_pb2.Cluster(bootstrap_servers=MAIN, default_replication_factor=3)
    await service.stub.CreateCluster(pb.CreateClusterRequest(cluster_id="main", cluster=cluster))
    answer = await service.stub.EnsureTopic(pb.EnsureTopicRequest(name=NAME, partitions=1))
    assert answer.topic.replication_factor == 3


async def test_an_existing_topic_is_answered_as_it_is_and_never_changed(service: Service) -> None:
    await service.create_cluster()
    service.main.add("acme.out", partitions=2)
    answer = await service.stub.EnsureTopic(pb.EnsureTopicRequest(name=NAME, partitions=8))
    assert not answer.created and len(answer.topic.partitions) == 2
    assert service.kafka.count("create") == 0


async def test_of_two_creators_both_are_answered_and_one_created_it(service: Service) -> None:
    await service.create_cluster()
    service.kafka.hidden_from_describe = {"acme.out"}
    service.main.add("acme.out")
    answer = await service.stub.EnsureTopic(pb.EnsureTopicRequest(name=NAME, partitions=1))
    assert not answer.created and service.kafka.count("create") == 1
    other = pb.EnsureTopicRequest(name=NAME + ".2", partitions=1)
    answers = await asyncio.gather(*(service.stub.EnsureTopic(other) for _ in range(8)))
    assert sum(answer.created for answer in answers) == 1


async def test_a_configuration_that_kafka_does_not_know_is_an_invalid_argument_with_its_words(
    service: Service,
) -> None:
    await service.create_cluster()
    request = pb.EnsureTopicRequest(name=NAME, partitions=1, config={"no.such.setting": "1"})
    error = await refused(service.stub.EnsureTopic(request))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "KAFKA_REFUSED_TOPIC")
    assert [violation.field for violation in error.field_violations] == ["config"]
    assert "Unknown topic config name: no.such.setting" in error.message


@pytest.mark.parametrize("method", ["cluster_id", "describe", "create", "offsets"])
async def test_with_kafka_away_at_any_step_the_call_is_unavailable_and_can_be_repeated(
    service: Service, method: str
) -> None:
    await service.create_cluster()
    request = pb.EnsureTopicRequest(name=NAME, partitions=1)
    service.kafka.fail_next(method, KafkaUnavailable(MAIN, "timed out"))
    error = await refused(service.stub.EnsureTopic(request))
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "KAFKA_UNAVAILABLE")
    assert error.retry_after is not None
    assert len((await service.stub.EnsureTopic(request)).topic.partitions) == 1


async def test_a_topic_whose_leaders_do_not_come_in_time_is_unavailable(service: Service) -> None:
    await service.create_cluster()
    service.main.leaderless_looks = 1_000
    error = await refused(service.stub.EnsureTopic(pb.EnsureTopicRequest(name=NAME, partitions=1)))
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "TOPIC_WITHOUT_LEADER")


async def test_nothing_is_created_on_another_kafka_than_the_recorded_one(service: Service) -> None:
    await service.create_cluster()
    service.main.cluster_id = "REFORMATTED"
    error = await refused(service.stub.EnsureTopic(pb.EnsureTopicRequest(name=NAME, partitions=1)))
    assert error.reason == "KAFKA_CLUSTER_MISMATCH"
    assert service.kafka.count("create") == 0


@pytest.mark.parametrize("topic", ["__consumer_offsets", ".."])
async def test_names_that_are_kafkas_own_or_illegal_are_not_created(service: Service, topic: str) -> None:
    await service.create_cluster()
    request = pb.EnsureTopicRequest(name=f"clusters/main/topics/{topic}", partitions=1)
    error = await refused(service.stub.EnsureTopic(request))
    assert [violation.field for violation in error.field_violations] == ["name"]


async def test_a_refusal_that_is_about_no_field_keeps_kafkas_words(service: Service) -> None:
    await service.create_cluster()
    service.kafka.fail_next("create", KafkaRefused(MAIN, "TOPIC_AUTHORIZATION_FAILED", "not allowed"))
    error = await refused(service.stub.EnsureTopic(pb.EnsureTopicRequest(name=NAME, partitions=1)))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "KAFKA_REFUSED")
    assert "not allowed" in error.message


async def test_a_topic_is_shown_with_offsets_and_a_list_without(service: Service) -> None:
    await service.create_cluster()
    for name in ("b", "a", "c"):
        service.main.add(name, partitions=2)
    service.main.offsets["b"] = OffsetRange(5, 9)
    topic = (await service.stub.GetTopic(pb.GetTopicRequest(name="clusters/main/topics/b"))).topic
    assert topic.topic_id == "id-of-b"
    assert [(p.partition, p.start_offset, p.end_offset) for p in topic.partitions] == [(0, 5, 9), (1, 5, 9)]
    first = await service.stub.ListTopics(pb.ListTopicsRequest(parent="clusters/main", page_size=2))
    assert [topic.name for topic in first.topics] == ["clusters/main/topics/a", "clusters/main/topics/b"]
    assert {partition.end_offset for partition in first.topics[1].partitions} == {0}
    rest = await service.stub.ListTopics(
        pb.ListTopicsRequest(parent="clusters/main", page_size=2, page_token=first.next_page_token)
    )
    assert [topic.name for topic in rest.topics] == ["clusters/main/topics/c"] and not rest.next_page_token
    assert service.kafka.count("offsets") == 1


async def test_a_topic_or_cluster_that_does_not_exist_is_not_found(service: Service) -> None:
    await service.create_cluster()
    error = await refused(service.stub.GetTopic(pb.GetTopicRequest(name=NAME)))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "TOPIC_NOT_FOUND")
    error = await refused(service.stub.ListTopics(pb.ListTopicsRequest(parent="clusters/none")))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
