"""The demo's calls to the control plane, over gRPC as any client makes them."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

import grpc

from deploy.demo.scenario import PARTITIONS, Tenant
from deploy.local import Ports
from sluice.deployer.v1 import deployer_pb2, deployer_pb2_grpc, job_pb2
from sluice.schema_registry.v1 import schema_pb2, schema_registry_pb2, schema_registry_pb2_grpc
from sluice.self_healing.v1 import self_healing_pb2, self_healing_pb2_grpc, topology_pb2
from sluice.subscription.v1 import (
    subscription_pb2,
    subscription_service_pb2,
    subscription_service_pb2_grpc,
)

CLUSTER_ID = "main"
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Registered:
    """A schema in the registry: `subjects/{s}/versions/{v}` and its GUID."""

    version: str
    guid: uuid.UUID


class ControlPlane:
    """The services of one stack. Calls raise grpc.RpcError; use as a context manager."""

    def __init__(self, ports: Ports) -> None:
        names = ("schema_registry", "self_healing", "subscription", "deployer")
        self._channels = {name: grpc.insecure_channel(ports.address(name)) for name in names}
        self._registry = schema_registry_pb2_grpc.SchemaRegistryServiceStub(self._channels["schema_registry"])
        self._topology = self_healing_pb2_grpc.SelfHealingServiceStub(self._channels["self_healing"])
        self._subscriptions = subscription_service_pb2_grpc.SubscriptionServiceStub(
            self._channels["subscription"]
        )
        self._deployer = deployer_pb2_grpc.DeployerServiceStub(self._channels["deployer"])

    def __enter__(self) -> "ControlPlane":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for channel in self._channels.values():
            channel.close()

    def register_schema(self, subject: str, definition: str) -> Registered:
        request = schema_registry_pb2.RegisterSchemaRequest(
            parent=subject, schema=schema_pb2.Schema(definition=definition)
        )
        version = self._registry.RegisterSchema(request, timeout=TIMEOUT_S).schema_version
        return Registered(version.name, uuid.UUID(version.schema.guid))

    def schema_of(self, guid: uuid.UUID) -> str:
        """Avro JSON of a GUID, as a reader of messages asks for it."""
        request = schema_registry_pb2.GetSchemaRequest(guid=str(guid))
        return str(self._registry.GetSchema(request, timeout=TIMEOUT_S).schema.definition)

    def create_cluster(self, bootstrap_servers: str) -> str:
        """Makes the Kafka cluster known; returns its resource name."""
        request = self_healing_pb2.CreateClusterRequest(
            cluster_id=CLUSTER_ID, cluster=topology_pb2.Cluster(bootstrap_servers=bootstrap_servers)
        )
        return str(self._topology.CreateCluster(request, timeout=TIMEOUT_S).cluster.name)

    def create_dataset(self, tenant: Tenant, cluster: str) -> str:
        """Creates the tenant's input topic, the dataset, and the binding that ties them; returns the binding's name."""
        topic = self_healing_pb2.EnsureTopicRequest(
            name=f"{cluster}/topics/{tenant.topic}", partitions=PARTITIONS
        )
        self._topology.EnsureTopic(topic, timeout=TIMEOUT_S)
        dataset = self_healing_pb2.CreateDatasetRequest(
            dataset_id=tenant.dataset.id,
            dataset=topology_pb2.Dataset(schema_subject=tenant.dataset.subject),
        )
        self._topology.CreateDataset(dataset, timeout=TIMEOUT_S)
        binding = self_healing_pb2.CreateBindingRequest(
            parent=tenant.dataset.name,
            binding_id=tenant.id,
            binding=topology_pb2.Binding(
                topics=[topology_pb2.BoundTopic(cluster=cluster, topic=tenant.topic)]
            ),
        )
        return str(self._topology.CreateBinding(binding, timeout=TIMEOUT_S).binding.name)

    def subscribe(self, tenant: Tenant) -> subscription_pb2.Subscription:
        request = subscription_service_pb2.CreateSubscriptionRequest(
            parent=tenant.name,
            subscription_id=tenant.subscription_id,
            subscription=subscription_pb2.Subscription(
                dataset=tenant.dataset.name,
                sql=tenant.sql,
                output_format=tenant.output_format,
                description=tenant.wish,
            ),
        )
        return self._subscriptions.CreateSubscription(request, timeout=TIMEOUT_S).subscription

    def subscription_changes(self, timeout_s: float) -> Iterator[subscription_pb2.Subscription]:
        """Every subscription as it is now and after each change, until `timeout_s` is over (DEADLINE_EXCEEDED)."""
        everybody = subscription_service_pb2.ListSubscriptionsRequest(parent="tenants/-")
        listed = self._subscriptions.ListSubscriptions(everybody, timeout=TIMEOUT_S)
        yield from listed.subscriptions
        watch = subscription_service_pb2.WatchSubscriptionsRequest(
            parent="tenants/-", start_revision=listed.revision + 1
        )
        for answer in self._subscriptions.WatchSubscriptions(watch, timeout=timeout_s):
            if answer.HasField("subscription_changed"):
                yield answer.subscription_changed.subscription

    def job_metrics(self, jobs: Sequence[str]) -> Mapping[str, job_pb2.JobMetrics]:
        """What the workers of each job last reported."""
        return {
            job: self._deployer.GetJob(deployer_pb2.GetJobRequest(name=job), timeout=TIMEOUT_S).job.metrics
            for job in jobs
        }
