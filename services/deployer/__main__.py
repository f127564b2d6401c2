"""`python -m services.deployer`: where everything is put together."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from datetime import datetime

import structlog

from libs.service_kit.background import BackgroundTask
from libs.service_kit.run import run
from libs.service_kit.server import Servicer, Stopping, serve
from libs.service_kit.startup import StartupError
from libs.store import RedisStore, connect, utc_now
from services.deployer.adapters.beam import BuilderOptions, WarmBuilder
from services.deployer.adapters.flink import FlinkRunner
from services.deployer.adapters.kafka_control import KafkaControlLog
from services.deployer.adapters.kafka_reports import KafkaReports
from services.deployer.adapters.simulated import (
    SimulatedBuilder,
    SimulatedControlLog,
    SimulatedReports,
    SimulatedRunner,
)
from services.deployer.adapters.thin_jar import JarsMissing, ThinJarMaker
from services.deployer.journal import SOURCE, Journal
from services.deployer.loop import Pace, Reconciler, World
from services.deployer.model import JobRecord
from services.deployer.ports import RunnerUnavailable
from services.deployer.servicer import DeployerServicer
from services.deployer.settings import DeployerSettings
from sluice.deployer.v1 import deployer_pb2_grpc, job_pb2

_log = structlog.get_logger(__name__)
_TRIM_SECONDS = 600.0


class _ReportedMetrics:
    def __init__(self, reports: KafkaReports) -> None:
        self._reports = reports

    def metrics(self, record: JobRecord, now: datetime) -> job_pb2.JobMetrics | None:
        table = self._reports.table((record.running or record.spec).control_bootstrap)
        return table.metrics(record.name, record.incarnation, now) if table else None


class _NoMetrics:
    def metrics(self, record: JobRecord, now: datetime) -> job_pb2.JobMetrics | None:
        return None


@contextlib.asynccontextmanager
async def _world(settings: DeployerSettings) -> AsyncIterator[tuple[World, _ReportedMetrics | _NoMetrics]]:
    if settings.runner == "simulated":
        simulated = SimulatedRunner()
        control, reports = SimulatedControlLog(simulated), SimulatedReports(simulated)
        yield (
            World(simulated, SimulatedBuilder(), control, reports, utc_now, random.random),
            _NoMetrics(),
        )
        return
    try:
        jars = ThinJarMaker(settings.flink_jars_dir)
    except JarsMissing as missing:
        raise StartupError(f"SLUICE_FLINK_JARS_DIR={missing}") from None
    flink = FlinkRunner(
        settings.flink_url,
        jars,
        timeout_seconds=settings.flink_timeout_seconds,
        submit_timeout_seconds=settings.flink_submit_timeout_seconds,
    )
    builder = WarmBuilder(
        BuilderOptions(settings.worker_pool_address, settings.max_bundle_time_ms),
        processes=settings.builder_processes,
        timeout_seconds=settings.build_timeout_seconds,
    )
    kafka_control = KafkaControlLog(
        control_partitions=settings.control_partitions,
        reports_partitions=settings.reports_partitions,
        timeout_seconds=settings.kafka_timeout_seconds,
    )
    kafka_reports = KafkaReports(timeout_seconds=settings.kafka_timeout_seconds)
    builder.warm_up()
    try:
        with contextlib.suppress(RunnerUnavailable):
            await flink.remove_leftovers()
        yield (
            World(flink, builder, kafka_control, kafka_reports, utc_now, random.random),
            _ReportedMetrics(kafka_reports),
        )
    finally:
        builder.close()
        kafka_reports.close()
        kafka_control.close()
        await flink.close()


async def main(settings: DeployerSettings, stopping: Stopping) -> None:
    redis = connect(settings.redis_url)
    store = RedisStore(SOURCE, redis)
    try:
        async with _world(settings) as (world, metrics):
            journal = Journal(store, world.runner.name)
            pace = Pace(settings.observe_seconds, settings.idle_observe_seconds, settings.concurrent_jobs)
            reconciler = Reconciler(journal, world, settings.policy(), pace)

            async def trim() -> None:
                while True:
                    await asyncio.sleep(_TRIM_SECONDS)
                    await store.trim(settings.keep_revisions, settings.event_consumers)

            await serve(
                settings,
                stopping,
                servicers=[
                    Servicer(
                        deployer_pb2_grpc.add_DeployerServiceServicer_to_server,
                        DeployerServicer(journal, metrics, reconciler.learn, utc_now),
                    )
                ],
                background=[BackgroundTask("reconcile", reconciler.run), BackgroundTask("trim", trim)],
            )
    finally:
        await store.close()
        await redis.aclose()


if __name__ == "__main__":
    run("deployer", DeployerSettings, main)
