"""Clusters, datasets and bindings over a real gRPC channel."""

import asyncio
import uuid
from collections.abc import Awaitable

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from libs.service_kit.client import RemoteError, remote_error
from services.self_healing.ports import KafkaUnavailable
from sluice.self_healing.v1 import self_healing_pb2 as pb
from sluice.self_healing.v1 import topology_pb2
from tests.unit.self_healing.conftest import MAIN, Service, binding_of


async def refused(call: Awaitable[object]) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return remote_error(error.value)


async def test_a_cluster_is_recorded_with_its_kafka_id_and_told(service: Service) -> None:
    created = await service.create_cluster()
    assert created.kafka_cluster_id == "KAFKA-A"
    assert created.etag and created.create_time.seconds
    shown = (await service.stub.GetCluster(pb.GetClusterRequest(name="clusters/main"))).cluster
    assert shown == created
    (fact,) = await service.facts()
    assert fact.cluster.bootstrap_servers == MAIN and not fact.deleted


async def test_an_unreachable_cluster_is_not_recorded_and_the_answer_names_its_address(
    service: Service,
) -> None:
    error = await refused(service.create_cluster(address="nowhere:9092"))
    assert error.code is grpc.StatusCode.UNAVAILABLE
    assert error.reason == "KAFKA_UNAVAILABLE" and "nowhere:9092" in error.message
    assert error.retry_after is not None
    assert await service.facts() == []


async def test_one_kafka_cluster_under_two_names_is_refused_naming_the_first(service: Service) -> None:
    await service.create_cluster()
    service.kafka.clusters["kafka-b:9092"] = service.main
    error = await refused(service.create_cluster("other", "kafka-b:9092"))
    assert error.code is grpc.StatusCode.ALREADY_EXISTS
    assert error.reason == "KAFKA_CLUSTER_ALREADY_KNOWN" and "clusters/main" in error.message


async def test_of_two_names_given_to_one_kafka_at_the_same_time_one_wins(service: Service) -> None:
    results = await asyncio.gather(
        *(service.create_cluster(name) for name in ("one", "two", "three")), return_exceptions=True
    )
    assert sum(isinstance(result, topology_pb2.Cluster) for result in results) == 1


async def test_a_cluster_can_move_to_another_address_of_the_same_kafka_only(service: Service) -> None:
    await service.create_cluster()
    service.kafka.start("kafka-b:9092", "KAFKA-B")
    service.kafka.clusters["kafka-a2:9092"] = service.main

    def to(address: str) -> pb.UpdateClusterRequest:
        cluster = topology_pb2.Cluster(name="clusters/main", bootstrap_servers=address)
        return pb.UpdateClusterRequest(cluster=cluster)

    error = await refused(service.stub.UpdateCluster(to("kafka-b:9092")))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "KAFKA_CLUSTER_MISMATCH")
    assert "KAFKA-B" in error.message and "create a cluster of another name" in error.message
    moved = (await service.stub.UpdateCluster(to("kafka-a2:9092"))).cluster
    assert moved.bootstrap_servers == "kafka-a2:9092"
    assert service.kafka.released == [MAIN]


async def test_a_dataset_needs_a_subject_of_the_right_form(service: Service) -> None:
    request = pb.CreateDatasetRequest(dataset_id="dns", dataset=topology_pb2.Dataset(schema_subject="dns"))
    error = await refused(service.stub.CreateDataset(request))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in error.field_violations] == ["dataset.schema_subject"]


async def test_a_datasets_subject_can_change_and_the_change_is_told(service: Service) -> None:
    created = await service.create_dataset()
    changed = topology_pb2.Dataset(name=created.name, schema_subject="subjects/firewall-2", etag=created.etag)
    updated = (await service.stub.UpdateDataset(pb.UpdateDatasetRequest(dataset=changed))).dataset
    assert updated.schema_subject == "subjects/firewall-2" and updated.create_time == created.create_time
    assert (await service.facts())[-1].dataset.schema_subject == "subjects/firewall-2"
    assert (await service.stub.GetDataset(pb.GetDatasetRequest(name=created.name))).dataset == updated
    stale = pb.DeleteDatasetRequest(name=created.name, etag=created.etag)
    assert (await refused(service.stub.DeleteDataset(stale))).reason == "ETAG_MISMATCH"


async def test_a_binding_is_shown_with_the_address_its_cluster_has_now(service: Service) -> None:
    await service.prepare()
    created = await service.create_binding()
    assert created.name == "datasets/firewall/bindings/acme"
    assert created.topics[0].bootstrap_servers == MAIN
    service.kafka.clusters["kafka-a2:9092"] = service.main
    cluster = topology_pb2.Cluster(name="clusters/main", bootstrap_servers="kafka-a2:9092")
    await service.stub.UpdateCluster(pb.UpdateClusterRequest(cluster=cluster))
    shown = (await service.stub.GetBinding(pb.GetBindingRequest(name=created.name))).binding
    assert shown.topics[0].bootstrap_servers == "kafka-a2:9092"
    assert shown.etag == created.etag


async def test_a_binding_to_what_does_not_exist_is_refused(service: Service) -> None:
    await service.prepare()
    error = await refused(service.create_binding("acme", "no.such.topic"))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "TOPIC_NOT_FOUND")
    assert "clusters/main/topics/no.such.topic" in error.message
    error = await refused(service.create_binding(dataset="nothing"))
    assert error.code is grpc.StatusCode.NOT_FOUND and "datasets/nothing" in error.message
    request = pb.CreateBindingRequest(
        parent="datasets/firewall", binding_id="acme", binding=binding_of("x", cluster="clusters/none")
    )
    error = await refused(service.stub.CreateBinding(request))
    assert error.code is grpc.StatusCode.NOT_FOUND and "clusters/none" in error.message


async def test_a_topic_belongs_to_one_tenant(service: Service) -> None:
    await service.prepare()
    await service.create_dataset("dns")
    await service.create_binding("acme")
    error = await refused(service.create_binding("globex", "globex.firewall", "acme.firewall"))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TOPIC_BOUND_ELSEWHERE")
    assert [violation.subject for violation in error.precondition_violations] == [
        "clusters/main/topics/acme.firewall"
    ]
    assert "datasets/firewall/bindings/acme" not in error.message
    await service.create_binding("acme", dataset="dns")
    await service.stub.DeleteBinding(pb.DeleteBindingRequest(name="datasets/firewall/bindings/acme"))
    error = await refused(service.create_binding("globex", "acme.firewall"))
    assert error.reason == "TOPIC_BOUND_ELSEWHERE"
    await service.stub.DeleteBinding(pb.DeleteBindingRequest(name="datasets/dns/bindings/acme"))
    await service.create_binding("globex", "acme.firewall")


async def test_of_many_tenants_that_bind_one_topic_at_the_same_time_one_gets_it(service: Service) -> None:
    await service.prepare()
    results = await asyncio.gather(
        *(service.create_binding(f"tenant-{number}") for number in range(20)), return_exceptions=True
    )
    winners = [result for result in results if isinstance(result, topology_pb2.Binding)]
    errors = [remote_error(result) for result in results if isinstance(result, grpc.aio.AioRpcError)]
    assert len(winners) == 1
    assert {error.reason for error in errors} == {"TOPIC_BOUND_ELSEWHERE"}


async def test_many_tenants_can_bind_topics_of_one_cluster_at_the_same_time(service: Service) -> None:
    await service.prepare()
    tenants = [f"tenant-{number}" for number in range(40)]
    for tenant in tenants:
        service.main.add(f"{tenant}.firewall")
    await asyncio.gather(*(service.create_binding(tenant, f"{tenant}.firewall") for tenant in tenants))
    bindings = await service.stub.ListBindings(pb.ListBindingsRequest(parent="datasets/-"))
    assert len(bindings.bindings) == 40


@pytest.mark.parametrize("repetition", range(5))
async def test_a_dataset_is_never_deleted_under_a_binding_that_is_being_created(
    service: Service, repetition: int
) -> None:
    await service.prepare()

    async def delete() -> None:
        await asyncio.sleep(0.001 * repetition)
        await service.stub.DeleteDataset(pb.DeleteDatasetRequest(name="datasets/firewall"))

    deleted, bound = await asyncio.gather(delete(), service.create_binding(), return_exceptions=True)
    assert isinstance(deleted, grpc.aio.AioRpcError) != isinstance(bound, grpc.aio.AioRpcError)


async def test_an_update_claims_new_topics_and_frees_old_ones(service: Service) -> None:
    await service.prepare()
    service.main.add("acme.firewall.2")
    created = await service.create_binding()
    asked = service.kafka.count("describe")
    changed = binding_of("acme.firewall.2", name=created.name)
    changed.etag = created.etag
    request = pb.UpdateBindingRequest(binding=changed, update_mask=FieldMask(paths=["topics"]))
    updated = (await service.stub.UpdateBinding(request)).binding
    assert [bound.topic for bound in updated.topics] == ["acme.firewall.2"]
    assert service.kafka.count("describe") == asked + 1
    await service.create_binding("globex", "acme.firewall")
    error = await refused(service.stub.UpdateBinding(request))
    assert (error.code, error.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")


async def test_a_topic_that_vanished_from_kafka_can_still_be_dropped_from_a_binding(service: Service) -> None:
    await service.prepare()
    service.main.add("acme.firewall.2")
    created = await service.create_binding("acme", "acme.firewall", "acme.firewall.2")
    del service.main.topics["acme.firewall"]
    request = pb.UpdateBindingRequest(binding=binding_of("acme.firewall.2", name=created.name))
    updated = (await service.stub.UpdateBinding(request)).binding
    assert [bound.topic for bound in updated.topics] == ["acme.firewall.2"]


async def test_an_update_that_changes_nothing_publishes_nothing(service: Service) -> None:
    await service.prepare()
    created = await service.create_binding()
    facts = await service.facts()
    for request_id in ("", str(uuid.uuid4())):
        request = pb.UpdateBindingRequest(
            binding=binding_of("acme.firewall", name=created.name), request_id=request_id
        )
        assert (await service.stub.UpdateBinding(request)).binding == created
    assert await service.facts() == facts


async def test_what_is_referenced_cannot_be_deleted_and_the_answer_names_referrers(service: Service) -> None:
    await service.prepare()
    created = await service.create_binding()
    for call in (
        service.stub.DeleteCluster(pb.DeleteClusterRequest(name="clusters/main")),
        service.stub.DeleteDataset(pb.DeleteDatasetRequest(name="datasets/firewall")),
    ):
        error = await refused(call)
        assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RESOURCE_REFERENCED")
        assert created.name in error.message
    await service.stub.DeleteBinding(pb.DeleteBindingRequest(name=created.name, etag=created.etag))
    await service.stub.DeleteCluster(pb.DeleteClusterRequest(name="clusters/main"))
    await service.stub.DeleteDataset(pb.DeleteDatasetRequest(name="datasets/firewall"))
    told = [(fact.WhichOneof("resource"), fact.deleted) for fact in await service.facts()]
    assert told == [
        ("cluster", False),
        ("dataset", False),
        ("binding", False),
        ("binding", True),
        ("cluster", True),
        ("dataset", True),
    ]
    await service.create_cluster()


async def test_a_repeated_request_is_answered_alike_and_done_once_even_with_kafka_away(
    service: Service,
) -> None:
    await service.prepare()
    request_id = str(uuid.uuid4())
    first = await service.create_binding(request_id=request_id)
    service.kafka.fail_next("describe", KafkaUnavailable(MAIN, "away"))
    assert await service.create_binding(request_id=request_id) == first
    assert len(await service.facts()) == 3
    error = await refused(service.create_binding("globex", "globex.firewall", request_id=request_id))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [violation.field for violation in error.field_violations] == ["request_id"]


async def test_validate_only_checks_everything_and_changes_nothing(service: Service) -> None:
    await service.prepare()
    await service.create_binding()
    facts = await service.facts()
    create = pb.CreateBindingRequest(
        parent="datasets/firewall",
        binding_id="globex",
        binding=binding_of("globex.firewall"),
        validate_only=True,
    )
    assert (await service.stub.CreateBinding(create)).binding.topics[0].bootstrap_servers == MAIN
    create.binding.CopyFrom(binding_of("acme.firewall"))
    assert (await refused(service.stub.CreateBinding(create))).reason == "TOPIC_BOUND_ELSEWHERE"
    delete = pb.DeleteBindingRequest(name="datasets/firewall/bindings/acme", validate_only=True)
    await service.stub.DeleteBinding(delete)
    assert await service.facts() == facts
    await service.stub.GetBinding(pb.GetBindingRequest(name=delete.name))


async def test_lists_come_in_pages_in_the_order_of_names(service: Service) -> None:
    await service.prepare()
    names = ["a", "a-b", "a0", "b"]
    for name in reversed(names):
        await service.create_dataset(name)
        service.main.add(f"acme.{name}")
        await service.create_binding("acme", f"acme.{name}", dataset=name)
    seen, token = [], ""
    while True:
        page = await service.stub.ListDatasets(pb.ListDatasetsRequest(page_size=2, page_token=token))
        seen += [dataset.name for dataset in page.datasets]
        token = page.next_page_token
        if not token:
            break
    assert seen == sorted([*(f"datasets/{name}" for name in names), "datasets/firewall"])
    of_one = await service.stub.ListBindings(pb.ListBindingsRequest(parent="datasets/a"))
    assert [binding.name for binding in of_one.bindings] == ["datasets/a/bindings/acme"]
    error = await refused(service.stub.ListBindings(pb.ListBindingsRequest(parent="datasets/none")))
    assert error.code is grpc.StatusCode.NOT_FOUND
    clusters = await service.stub.ListClusters(pb.ListClustersRequest())
    assert [cluster.name for cluster in clusters.clusters] == ["clusters/main"]


async def test_output_only_fields_and_names_of_a_client_do_not_count(service: Service) -> None:
    cluster = topology_pb2.Cluster(
        name="clusters/wrong", bootstrap_servers=MAIN, kafka_cluster_id="wrong", etag="r1"
    )
    request = pb.CreateClusterRequest(cluster_id="main", cluster=cluster)
    created = (await service.stub.CreateCluster(request)).cluster
    assert (created.name, created.kafka_cluster_id) == ("clusters/main", "KAFKA-A")
    mask = FieldMask(paths=["kafka_cluster_id"])
    update = pb.UpdateClusterRequest(cluster=topology_pb2.Cluster(name=created.name), update_mask=mask)
    assert (await refused(service.stub.UpdateCluster(update))).code is grpc.StatusCode.INVALID_ARGUMENT
    error = await refused(service.stub.UpdateCluster(pb.UpdateClusterRequest()))
    assert [violation.field for violation in error.field_violations] == ["cluster.name"]


async def test_with_the_store_away_calls_are_unavailable_and_work_again_afterwards(service: Service) -> None:
    await service.prepare()
    service.server.available = False
    error = await refused(service.create_binding())
    assert error.code is grpc.StatusCode.UNAVAILABLE and error.retry_after is not None
    service.server.available = True
    await service.create_binding()
