"""Pipelines made in warm child processes: importing Beam takes two seconds, and construction would block the loop."""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import structlog

from services.deployer.ports import BuilderUnavailable, BuildFailed, Launch, Pipeline

_log = structlog.get_logger(__name__)

Construct = Callable[..., Any]
"""`(job: str, incarnation: int, spec: JobSpec, options: PipelineOptions) -> beam.Pipeline`, importable by name."""


@dataclass(frozen=True, slots=True)
class BuilderOptions:
    """`worker_pool_address`: HOST:PORT as the task managers reach it. `construct`: `module:function`."""

    worker_pool_address: str
    max_bundle_time_ms: int = 100
    construct: str = "libs.dataplane.pipeline:build"


class WarmBuilder:
    """A Builder over child processes that have Beam and the data plane imported. `close()` ends them."""

    def __init__(self, options: BuilderOptions, *, processes: int = 1, timeout_seconds: float = 60.0) -> None:
        self._options = options
        self._processes = processes
        self._timeout = timeout_seconds
        self._pool: ProcessPoolExecutor | None = None

    def warm_up(self) -> None:
        """Start the processes now; they are ready a few seconds later."""
        self._executor().submit(_warm, self._options.construct)

    async def build(self, launch: Launch) -> Pipeline:
        pool = self._executor()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout):
                proto, options, error = await loop.run_in_executor(pool, _build, launch, self._options)
        except BrokenProcessPool as broken:
            self._discard(pool)
            raise BuilderUnavailable("the process that constructs pipelines died") from broken
        except TimeoutError as late:
            self._discard(pool)
            raise BuilderUnavailable(f"no pipeline within {self._timeout:g} s") from late
        if error:
            raise BuildFailed(error)
        return Pipeline(proto, options)

    def close(self) -> None:
        if self._pool is not None:
            self._discard(self._pool)

    def _executor(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._processes,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_initialize,
                initargs=(self._options.construct,),
            )
        return self._pool

    def _discard(self, pool: ProcessPoolExecutor) -> None:
        """A construction that hangs would hold its process for ever: it is killed."""
        if self._pool is pool:
            self._pool = None
        children = list((getattr(pool, "_processes", None) or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for child in children:
            child.kill()


def _resolve(construct: str) -> Construct:
    module, _, function = construct.partition(":")
    resolved: Construct = getattr(importlib.import_module(module), function)
    return resolved


def _initialize(construct: str) -> None:
    """In the child: import what every construction needs. SIGINT is the parent's business; its death is ours."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _warm(construct)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _warm(construct: str) -> None:
    import apache_beam.runners.portability.portable_runner

    assert apache_beam.runners.portability.portable_runner
    try:
        _resolve(construct)
    except Exception as error:  # noqa: BLE001  # a broken data plane is told by the first build, not by a dead child
        _log.error("the pipeline's code cannot be imported", construct=construct, error=str(error))


def _build(launch: Launch, options: BuilderOptions) -> tuple[bytes, bytes, str]:
    """In the child: (pipeline JSON, options JSON, "") or (b"", b"", what is wrong)."""
    try:
        return (*construct(launch, options), "")
    except Exception as error:  # noqa: BLE001  # whatever construction raises is about the spec; it crosses as text
        return b"", b"", f"{type(error).__name__}: {error}"


def construct(launch: Launch, options: BuilderOptions) -> tuple[bytes, bytes]:
    """The pipeline's proto and its options, each as JSON. Imports Beam; blocks."""
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.portable_runner import JobServiceHandle, PortableRunner
    from google.protobuf import json_format

    from sluice.dataplane.v1 import job_spec_pb2

    beam_options = PipelineOptions(
        [],
        streaming=True,
        job_name=launch.runner_job_name,
        environment_type="EXTERNAL",
        environment_config=options.worker_pool_address,
        parallelism=launch.spec.shards,
        # One worker process serves all shards of a task manager.
        sdk_worker_parallelism=1,
    )
    spec = job_spec_pb2.JobSpec.FromString(launch.spec.serialized)
    pipeline = _resolve(options.construct)(launch.job, launch.incarnation, spec, beam_options)
    proto = PortableRunner.get_proto_pipeline(pipeline, beam_options)
    for environment in proto.components.environments.values():
        # Workers fork from a pool that has every module: there is nothing to stage.
        del environment.dependencies[:]
    plain = {
        **beam_options.get_all_options(drop_default=True),
        # Java's options; Python's SDK does not know them. Without the first the default is 10 s per stage.
        # Checkpointing stays off: Kafka's positions are the only truth of the ARROW engine.
        "max_bundle_time_mills": options.max_bundle_time_ms,
        "checkpointing_interval": -1,
        "parallelism": launch.spec.shards,
    }
    plain.pop("runner", None)
    encoded = JobServiceHandle.encode_pipeline_options(plain)
    return json_format.MessageToJson(proto).encode(), json_format.MessageToJson(encoded).encode()
