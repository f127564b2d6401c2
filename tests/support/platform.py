"""The running platform as a client sees it: what tests ask of the services, over gRPC."""

import uuid
from collections.abc import Mapping
from pathlib import Path

import grpc

from deploy.local import LocalStack
from sluice.dataplane.v1 import job_spec_pb2
from sluice.deployer.v1 import deployer_pb2, deployer_pb2_grpc, job_pb2
from sluice.schema_registry.v1 import schema_pb2, schema_registry_pb2, schema_registry_pb2_grpc
from sluice.self_healing.v1 import self_healing_pb2, self_healing_pb2_grpc, topology_pb2
from sluice.subscription.v1 import subscription_pb2, subscription_service_pb2, subscription_service_pb2_grpc
from tests.support.jobs import EVENT_SCHEMA, create_topics
from tests.support.waiting import eventually

ACTIVE = subscription_pb2.SUBSCRIPTION_STATE_ACTIVE


class Platform:
    """Stubs of a running stack, and the few sequences of calls that many tests need."""

    def __init__(self, stack: LocalStack) -> None:
        ports = stack.settings.ports
        self.stack = stack
        self.kafka = stack.kafka_bootstrap
        self.registry = schema_registry_pb2_grpc.SchemaRegistryServiceStub(
            grpc.insecure_channel(ports.address("schema_registry"))
        )
        self.topology = self_healing_pb2_grpc.SelfHealingServiceStub(
            grpc.insecure_channel(ports.address("self_healing"))
        )
        self.deployer = deployer_pb2_grpc.DeployerServiceStub(
            grpc.insecure_channel(ports.address("deployer"))
        )
        self.subscriptions = subscription_service_pb2_grpc.SubscriptionServiceStub(
            grpc.insecure_channel(ports.address("subscription"))
        )

    def bind(self, dataset: str, tenant: str, topics: Mapping[str, int], schema: str = EVENT_SCHEMA) -> None:
        """Topics with these partitions hold the tenant's events of the dataset; its schema is registered."""
        create_topics(self.kafka, topics)
        with _existing_is_fine():
            cluster = topology_pb2.Cluster(bootstrap_servers=self.kafka)
            self.topology.CreateCluster(
                self_healing_pb2.CreateClusterRequest(cluster_id="main", cluster=cluster)
            )
        with _existing_is_fine():
            self.topology.CreateDataset(
                self_healing_pb2.CreateDatasetRequest(
                    dataset_id=dataset,
                    dataset=topology_pb2.Dataset(schema_subject=f"subjects/{dataset}-value"),
                )
            )
        bound = [topology_pb2.BoundTopic(cluster="clusters/main", topic=topic) for topic in topics]
        self.topology.CreateBinding(
            self_healing_pb2.CreateBindingRequest(
                parent=f"datasets/{dataset}", binding_id=tenant, binding=topology_pb2.Binding(topics=bound)
            )
        )
        self.registry.RegisterSchema(
            schema_registry_pb2.RegisterSchemaRequest(
                parent=f"subjects/{dataset}-value", schema=schema_pb2.Schema(definition=schema)
            )
        )

    def subscribe(
        self,
        tenant: str,
        name: str,
        dataset: str,
        sql: str,
        output_format: job_spec_pb2.OutputFormat = job_spec_pb2.OUTPUT_FORMAT_JSON,
        start: job_spec_pb2.StartPosition | None = None,
    ) -> subscription_pb2.Subscription:
        """Create a subscription; it is not active yet."""
        subscription = subscription_pb2.Subscription(
            dataset=f"datasets/{dataset}", sql=sql, output_format=output_format, start_position=start
        )
        request = subscription_service_pb2.CreateSubscriptionRequest(
            parent=f"tenants/{tenant}",
            subscription_id=name,
            subscription=subscription,
            request_id=str(uuid.uuid4()),
        )
        return self.subscriptions.CreateSubscription(request).subscription

    def subscription(self, name: str) -> subscription_pb2.Subscription:
        request = subscription_service_pb2.GetSubscriptionRequest(name=name)
        return self.subscriptions.GetSubscription(request).subscription

    def wait_active(self, name: str, seconds: float = 60.0) -> subscription_pb2.Subscription:
        """Wait until the newest generation runs."""

        def is_active() -> bool:
            found = self.subscription(name)
            return found.state == ACTIVE and found.observed_generation == found.generation

        eventually(is_active, seconds, f"{name} is active")
        return self.subscription(name)

    def job(self, name: str) -> job_pb2.Job:
        return self.deployer.GetJob(deployer_pb2.GetJobRequest(name=name)).job


class _existing_is_fine:
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, grpc.RpcError) and error.code() is grpc.StatusCode.ALREADY_EXISTS


def sdk_workers(stack: LocalStack) -> list[int]:
    """Process ids of the Beam SDK workers: the pool's children, but for the first, which is its gRPC front."""
    pool = stack.pid("workers")
    born: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pool and fields[0] != "Z":
            born[int(entry.name)] = int(fields[19])
    return sorted(born, key=born.__getitem__)[1:]
