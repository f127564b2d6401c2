"""The five services: names, ports and the environment variables that configure them."""

from collections.abc import Callable
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.local.launch import Launch
from deploy.local.settings import Settings
from deploy.local.workers import python_environment


@dataclass(frozen=True)
class Service:
    """`module` runs with `python -m`; its ports are called `name` and `name_metrics`."""

    name: str
    module: str


SERVICES: tuple[Service, ...] = tuple(
    Service(name, f"services.{name}")
    for name in ("schema_registry", "self_healing", "deployer", "subscription", "cold_starter")
)


def environment(settings: Settings, service: Service) -> dict[str, str]:
    """Where the service listens and finds the others; `settings.service_environment` has the last word."""
    ports = settings.ports
    addresses = {f"SLUICE_{other.name.upper()}_ADDRESS": ports.address(other.name) for other in SERVICES}
    return {
        **python_environment(settings),
        **addresses,
        "SLUICE_LISTEN_ADDRESS": ports.address(service.name),
        "SLUICE_METRICS_ADDRESS": ports.address(f"{service.name}_metrics"),
        "SLUICE_REST_ADDRESS": ports.address("schema_registry_rest"),
        "SLUICE_REDIS_URL": f"redis://{ports.address('redis')}/0",
        "SLUICE_KAFKA_BOOTSTRAP": ports.address("kafka"),
        "SLUICE_FLINK_URL": f"http://{ports.address('flink_rest')}",
        "SLUICE_FLINK_JARS_DIR": str(settings.jars_dir / "flink"),
        "SLUICE_WORKER_POOL_ADDRESS": ports.address("workers"),
        **settings.service_environment,
    }


def launcher(service: Service) -> Callable[[Settings, str], Launch]:
    def launch(settings: Settings, token: str) -> Launch:
        ports = settings.ports
        return Launch(
            command=(str(settings.python), "-m", service.module),
            ports=(ports[service.name], ports[f"{service.name}_metrics"]),
            address=ports.address(service.name),
            healthy=lambda: serves(ports.address(service.name)),
            environment=environment(settings, service),
        )

    return launch


def serves(address: str) -> bool:
    """Whether the service's own health check (grpc.health.v1) answers SERVING."""
    with grpc.insecure_channel(address) as channel:
        try:
            request = health_pb2.HealthCheckRequest()
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=1)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
