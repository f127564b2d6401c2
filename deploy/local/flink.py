"""A Flink session cluster of one job manager and one task manager, without Flink's distribution."""

import json
import os
import urllib.request

from deploy.local.java import OPENED_PACKAGES, java_command
from deploy.local.launch import Launch
from deploy.local.ports import HOST
from deploy.local.settings import Settings

ADD_OPENS = tuple(f"--add-opens={package}=ALL-UNNAMED" for package in OPENED_PACKAGES)
LOG_LEVELS = {
    "org.apache.pekko": "warn",
    "org.apache.flink.configuration.GlobalConfiguration": "warn",
}
MIB = 1 << 20


def configuration(settings: Settings) -> dict[str, str]:
    """What both processes read from `config.yaml`; `settings.flink_configuration` has the last word."""
    ports, tmp, data = settings.ports, settings.tmp_dir / "flink", settings.data_dir / "flink"
    return {
        "jobmanager.rpc.address": HOST,
        "jobmanager.rpc.port": str(ports["flink_rpc"]),
        "jobmanager.bind-host": HOST,
        "jobmanager.memory.process.size": "1024m",
        "taskmanager.host": HOST,
        "taskmanager.bind-host": HOST,
        "taskmanager.rpc.port": str(ports["flink_taskmanager_rpc"]),
        "taskmanager.data.port": str(ports["flink_taskmanager_data"]),
        "taskmanager.numberOfTaskSlots": str(settings.task_slots),
        "blob.server.port": str(ports["flink_blob"]),
        "rest.address": HOST,
        "rest.bind-address": HOST,
        "rest.port": str(ports["flink_rest"]),
        "io.tmp.dirs": str(tmp),
        "web.tmpdir": str(tmp),
        "web.upload.dir": str(tmp),
        # Jobs restart for ever, less and less often; a job that ran well for a while starts over at 0.5 s.
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "500 ms",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "restart-strategy.exponential-delay.backoff-multiplier": "2.0",
        "restart-strategy.exponential-delay.reset-backoff-threshold": "1 min",
        "restart-strategy.exponential-delay.jitter-factor": "0.1",
        # A killed task manager is noticed after two lost heartbeats instead of 50 s of silence.
        "heartbeat.interval": "1000",
        "heartbeat.timeout": "20000",
        # How long the same jobId is refused after its job has ended.
        "jobstore.expiration-time": "86400",
        "state.savepoints.dir": (data / "savepoints").as_uri(),
        "state.checkpoints.dir": (data / "checkpoints").as_uri(),
        "parallelism.default": "1",
        **settings.flink_configuration,
    }


def _prepare(settings: Settings) -> None:
    folder = settings.config_dir / "flink"
    for needed in (folder, settings.tmp_dir / "flink", settings.data_dir / "flink"):
        needed.mkdir(parents=True, exist_ok=True)
    entries = (f"{key}: {value}\n" for key, value in sorted(configuration(settings).items()))
    written = folder / "config.yaml.new"
    written.write_text("".join(entries))
    written.replace(folder / "config.yaml")


def _get(settings: Settings, path: str) -> dict[str, object] | None:
    try:
        with urllib.request.urlopen(
            f"http://{settings.ports.address('flink_rest')}{path}", timeout=2
        ) as answer:
            content = json.load(answer)
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def launch_jobmanager(settings: Settings, token: str) -> Launch:
    ports = settings.ports
    return Launch(
        command=java_command(
            settings.jars_dir / "flink",
            "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
            ("--configDir", str(settings.config_dir / "flink")),
            heap_mb=settings.jobmanager_heap_mb,
            options=(*ADD_OPENS, "-XX:+UseSerialGC"),
            log_levels=LOG_LEVELS,
        ),
        ports=(ports["flink_rest"], ports["flink_rpc"], ports["flink_blob"]),
        address=f"http://{ports.address('flink_rest')}",
        healthy=lambda: _get(settings, "/overview") is not None,
        environment=os.environ,
        prepare=lambda: _prepare(settings),
        start_timeout_s=90.0,
    )


def memory_split(settings: Settings) -> dict[str, int]:
    """Bytes, as Flink's shell scripts would compute them; without them no task manager starts."""
    framework_heap = 128 * MIB
    return {
        "taskmanager.memory.framework.heap.size": framework_heap,
        "taskmanager.memory.task.heap.size": settings.taskmanager_heap_mb * MIB - framework_heap,
        "taskmanager.memory.framework.off-heap.size": 128 * MIB,
        "taskmanager.memory.task.off-heap.size": 128 * MIB,
        "taskmanager.memory.network.min": 128 * MIB,
        "taskmanager.memory.network.max": 128 * MIB,
        "taskmanager.memory.managed.size": 256 * MIB,
        "taskmanager.memory.jvm-metaspace.size": 256 * MIB,
        "taskmanager.memory.jvm-overhead.min": 192 * MIB,
        "taskmanager.memory.jvm-overhead.max": 192 * MIB,
    }


def launch_taskmanager(settings: Settings, token: str) -> Launch:
    """The task manager; `token` is its resource id, so that a dead predecessor is not taken for it."""
    options = {
        **{key: f"{size}b" for key, size in memory_split(settings).items()},
        "taskmanager.cpu.cores": f"{settings.task_slots}.0",
        "taskmanager.resource-id": token,
    }
    ports = settings.ports
    return Launch(
        command=java_command(
            settings.jars_dir / "flink",
            "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
            (
                "--configDir",
                str(settings.config_dir / "flink"),
                *(word for key, value in options.items() for word in ("-D", f"{key}={value}")),
            ),
            heap_mb=settings.taskmanager_heap_mb,
            options=(
                *ADD_OPENS,
                "-XX:+UseG1GC",
                f"-XX:MaxDirectMemorySize={(128 + 128 + 128) * MIB}",
                f"-XX:MaxMetaspaceSize={256 * MIB}",
            ),
            log_levels=LOG_LEVELS,
        ),
        ports=(ports["flink_taskmanager_rpc"], ports["flink_taskmanager_data"]),
        address=f"{settings.task_slots} slots",
        healthy=lambda: _get(settings, f"/taskmanagers/{token}") is not None,
        environment=os.environ,
        prepare=lambda: _prepare(settings),
        start_timeout_s=90.0,
    )
