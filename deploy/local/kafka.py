"""Kafka in one JVM: KRaft, broker and controller combined."""

import base64
import os
import subprocess
import uuid
from collections.abc import Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from deploy.local.errors import StackError
from deploy.local.java import java_command
from deploy.local.launch import Launch
from deploy.local.ports import accepts_connections
from deploy.local.settings import Settings

HEAP_OPTIONS = ("-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-Djava.awt.headless=true")


def server_properties(settings: Settings) -> dict[str, str]:
    """The broker's configuration; `settings.kafka_properties` has the last word."""
    broker, controller = settings.ports.address("kafka"), settings.ports.address("kafka_controller")
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{broker}",
        "log.dirs": str(settings.data_dir / "kafka"),
        "num.network.threads": "2",
        "num.io.threads": "4",
        # A topic that nobody created is a mistake, and is to be seen as one.
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        # One broker, few groups: small internal topics start faster and need fewer open files.
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # The cleaner takes its 128 MiB buffer from the heap at once.
        "log.cleaner.dedupe.buffer.size": str(16 << 20),
        **settings.kafka_properties,
    }


def as_properties_file(properties: Mapping[str, str]) -> str:
    return "".join(f"{key}={value}\n" for key, value in sorted(properties.items()))


def new_cluster_id() -> str:
    """22 URL-safe characters; never with a leading dash, which the storage tool would take for an option."""
    while (cluster := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        continue
    return cluster


def launch(settings: Settings, token: str) -> Launch:
    """The broker; its storage is formatted at the first start and kept afterwards."""
    configuration = settings.config_dir / "kafka.properties"
    jars = settings.jars_dir / "kafka"
    bootstrap = settings.ports.address("kafka")

    def prepare() -> None:
        configuration.parent.mkdir(parents=True, exist_ok=True)
        configuration.write_text(as_properties_file(server_properties(settings)))
        if not (settings.data_dir / "kafka" / "meta.properties").exists():
            cluster = new_cluster_id()
            arguments = ("format", "--cluster-id", cluster, "--config", str(configuration))
            command = java_command(jars, "kafka.tools.StorageTool", arguments, heap_mb=128)
            answer = subprocess.run(command, capture_output=True, text=True)
            if answer.returncode != 0:
                reason = (answer.stderr or answer.stdout).strip().splitlines()[-1:] or ["no reason given"]
                raise StackError(f"kafka cannot start: formatting its storage failed ({reason[0]}).")

    return Launch(
        command=java_command(
            jars,
            "kafka.Kafka",
            (str(configuration),),
            heap_mb=settings.kafka_heap_mb,
            options=HEAP_OPTIONS,
            log_levels={"org.apache.kafka.common.config": "warn", "kafka.server.KafkaConfig": "warn"},
        ),
        ports=(settings.ports["kafka"], settings.ports["kafka_controller"]),
        address=bootstrap,
        healthy=lambda: answers_metadata(bootstrap, settings.ports["kafka"]),
        environment=os.environ,
        prepare=prepare,
        start_timeout_s=90.0,
        stop_timeout_s=30.0,
    )


def answers_metadata(bootstrap: str, port: int) -> bool:
    """Whether the broker is registered and serves clients (an open port alone does not say that)."""
    if not accepts_connections(port):
        return False
    try:
        metadata = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=3)
    except KafkaException:
        return False
    return len(metadata.brokers) > 0
