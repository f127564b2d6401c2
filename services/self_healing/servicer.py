"""The gRPC face of self healing: requests in, responses out; everything else is in the commands."""

from datetime import timedelta
from typing import Any

from libs.service_kit.error_mapping import register_error_mapping
from libs.service_kit.errors import FailedPrecondition, PreconditionViolation, ServiceError, Unavailable
from services.self_healing.clusters import ClusterCommands
from services.self_healing.datasets import BindingCommands, DatasetCommands
from services.self_healing.ports import KafkaAdmin, KafkaRefused, KafkaUnavailable
from services.self_healing.records import CLUSTERS, DATASETS, Records
from services.self_healing.references import References
from services.self_healing.topics import TopicCommands
from sluice.self_healing.v1 import self_healing_pb2 as pb
from sluice.self_healing.v1 import self_healing_pb2_grpc as pb_grpc

Context = Any  # grpc.aio.ServicerContext: generic in both message types, which differ by method


class SelfHealingServicer(pb_grpc.SelfHealingServiceServicer):
    """Serves the recorded topology of `records` and the topics that `kafka` sees."""

    def __init__(self, records: Records, kafka: KafkaAdmin, leader_timeout_seconds: float) -> None:
        references = References(records.store)
        self._records = records
        self._clusters = ClusterCommands(records, references, kafka)
        self._datasets = DatasetCommands(records, references)
        self._bindings = BindingCommands(records, references, kafka)
        self._topics = TopicCommands(records, kafka, leader_timeout_seconds)

    async def CreateCluster(
        self, request: pb.CreateClusterRequest, context: Context
    ) -> pb.CreateClusterResponse:
        return pb.CreateClusterResponse(cluster=await self._clusters.create(request))

    async def GetCluster(self, request: pb.GetClusterRequest, context: Context) -> pb.GetClusterResponse:
        return pb.GetClusterResponse(cluster=await self._records.get(CLUSTERS, request.name))

    async def ListClusters(
        self, request: pb.ListClustersRequest, context: Context
    ) -> pb.ListClustersResponse:
        clusters, token = await self._records.page(CLUSTERS, request)
        return pb.ListClustersResponse(clusters=clusters, next_page_token=token)

    async def UpdateCluster(
        self, request: pb.UpdateClusterRequest, context: Context
    ) -> pb.UpdateClusterResponse:
        return pb.UpdateClusterResponse(cluster=await self._clusters.update(request))

    async def DeleteCluster(
        self, request: pb.DeleteClusterRequest, context: Context
    ) -> pb.DeleteClusterResponse:
        await self._clusters.delete(request)
        return pb.DeleteClusterResponse()

    async def CreateDataset(
        self, request: pb.CreateDatasetRequest, context: Context
    ) -> pb.CreateDatasetResponse:
        return pb.CreateDatasetResponse(dataset=await self._datasets.create(request))

    async def GetDataset(self, request: pb.GetDatasetRequest, context: Context) -> pb.GetDatasetResponse:
        return pb.GetDatasetResponse(dataset=await self._records.get(DATASETS, request.name))

    async def ListDatasets(
        self, request: pb.ListDatasetsRequest, context: Context
    ) -> pb.ListDatasetsResponse:
        datasets, token = await self._records.page(DATASETS, request)
        return pb.ListDatasetsResponse(datasets=datasets, next_page_token=token)

    async def UpdateDataset(
        self, request: pb.UpdateDatasetRequest, context: Context
    ) -> pb.UpdateDatasetResponse:
        return pb.UpdateDatasetResponse(dataset=await self._datasets.update(request))

    async def DeleteDataset(
        self, request: pb.DeleteDatasetRequest, context: Context
    ) -> pb.DeleteDatasetResponse:
        await self._datasets.delete(request)
        return pb.DeleteDatasetResponse()

    async def CreateBinding(
        self, request: pb.CreateBindingRequest, context: Context
    ) -> pb.CreateBindingResponse:
        return pb.CreateBindingResponse(binding=await self._bindings.create(request))

    async def GetBinding(self, request: pb.GetBindingRequest, context: Context) -> pb.GetBindingResponse:
        return pb.GetBindingResponse(binding=await self._bindings.get(request.name))

    async def ListBindings(
        self, request: pb.ListBindingsRequest, context: Context
    ) -> pb.ListBindingsResponse:
        bindings, token = await self._bindings.page(request)
        return pb.ListBindingsResponse(bindings=bindings, next_page_token=token)

    async def UpdateBinding(
        self, request: pb.UpdateBindingRequest, context: Context
    ) -> pb.UpdateBindingResponse:
        return pb.UpdateBindingResponse(binding=await self._bindings.update(request))

    async def DeleteBinding(
        self, request: pb.DeleteBindingRequest, context: Context
    ) -> pb.DeleteBindingResponse:
        await self._bindings.delete(request)
        return pb.DeleteBindingResponse()

    async def EnsureTopic(self, request: pb.EnsureTopicRequest, context: Context) -> pb.EnsureTopicResponse:
        return await self._topics.ensure(request)

    async def GetTopic(self, request: pb.GetTopicRequest, context: Context) -> pb.GetTopicResponse:
        return pb.GetTopicResponse(topic=await self._topics.get(request))

    async def ListTopics(self, request: pb.ListTopicsRequest, context: Context) -> pb.ListTopicsResponse:
        topics, token = await self._topics.page(request)
        return pb.ListTopicsResponse(topics=topics, next_page_token=token)


def _kafka_is_away(error: KafkaUnavailable) -> ServiceError:
    what = f"Kafka at {error.address} ({error.cause}; does it run, and is the address right?)"
    return Unavailable(what, timedelta(seconds=2), reason="KAFKA_UNAVAILABLE")


def _kafka_refused(error: KafkaRefused) -> ServiceError:
    return FailedPrecondition(
        [PreconditionViolation(error.code, error.address, f"Kafka says: {error.explanation}")],
        reason="KAFKA_REFUSED",
        metadata={"kafka_error": error.code},
    )


register_error_mapping(KafkaUnavailable, _kafka_is_away)
register_error_mapping(KafkaRefused, _kafka_refused)
