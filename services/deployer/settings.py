"""How the deployer is configured: environment variables with the prefix SLUICE_."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field

from libs.service_kit.settings import Address, Settings
from services.deployer.model import Policy


class DeployerSettings(Settings):
    listen_address: Address = Field("127.0.0.1:7005", description="HOST:PORT the gRPC server listens on")
    runner: Literal["flink", "simulated"] = Field(
        "flink", description="Where jobs run; `simulated` keeps them in memory, for scale tests"
    )
    flink_url: str = Field(
        "http://127.0.0.1:18081", pattern=r"^https?://", description="Flink's REST address"
    )
    flink_jars_dir: Path = Field(
        Path(".local/jars/flink"),
        description="Folder with the cluster's Beam jars, from which the thin jar is made",
    )
    flink_timeout_seconds: float = Field(
        10.0, gt=0, le=300, description="Longest wait for an answer of Flink's REST API"
    )
    flink_submit_timeout_seconds: float = Field(
        60.0, gt=0, le=600, description="Longest wait for Flink to take a submission"
    )
    worker_pool_address: Address = Field(
        "127.0.0.1:17500", description="HOST:PORT of the Beam SDK worker pool, as the task managers reach it"
    )
    builder_processes: int = Field(
        1, ge=1, le=16, description="Warm child processes that construct pipelines"
    )
    build_timeout_seconds: float = Field(
        60.0, gt=0, le=600, description="Longest construction of one pipeline"
    )
    max_bundle_time_ms: int = Field(
        100, ge=10, le=10_000, description="Longest bundle on Flink: what a stage adds to the latency"
    )
    control_partitions: int = Field(
        16, ge=1, le=256, description="Partitions of sluice.control, where this service has to create it"
    )
    reports_partitions: int = Field(
        4, ge=1, le=256, description="Partitions of sluice.reports, where this service has to create it"
    )
    kafka_timeout_seconds: float = Field(10.0, gt=0, le=120, description="Longest wait for a Kafka broker")
    observe_seconds: float = Field(
        0.5, gt=0, le=60, description="Time between two looks at the runner while some job is not settled"
    )
    idle_observe_seconds: float = Field(
        2.0, gt=0, le=300, description="Time between two looks at the runner while all jobs are settled"
    )
    concurrent_jobs: int = Field(8, ge=1, le=256, description="Jobs acted upon at the same time")
    stop_timeout_seconds: float = Field(
        30.0,
        ge=0,
        le=600,
        description="How long shards may take to end before the job is cancelled on the runner",
    )
    healthy_after_seconds: float = Field(
        60.0, gt=0, le=3600, description="How long a job must run before its earlier failures are forgotten"
    )
    report_timeout_seconds: float = Field(
        30.0, ge=5, le=600, description="Silence after which a shard does not count as running"
    )
    first_backoff_seconds: float = Field(
        1.0, gt=0, le=60, description="Wait after the first failure of a job"
    )
    longest_backoff_seconds: float = Field(300.0, gt=0, le=3600, description="Longest wait after a failure")
    control_retention_seconds: float = Field(
        86_400.0, ge=0, description="How long the control record of an ended job is kept"
    )
    keep_revisions: int = Field(
        100_000, ge=1000, description="Revisions that watchers of this service can go back"
    )
    event_consumers: list[str] = Field(
        ["subscription"],
        description="Consumer groups (JSON list) without which no event of this service is dropped",
    )

    def policy(self) -> Policy:
        return Policy(
            stop_timeout=timedelta(seconds=self.stop_timeout_seconds),
            healthy_after=timedelta(seconds=self.healthy_after_seconds),
            report_timeout=timedelta(seconds=self.report_timeout_seconds),
            first_backoff=timedelta(seconds=self.first_backoff_seconds),
            longest_backoff=timedelta(seconds=self.longest_backoff_seconds),
            control_retention=timedelta(seconds=self.control_retention_seconds),
        )
