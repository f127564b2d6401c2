"""One shard of a job without Beam, in this process or, as `python -m tests.support.shard`, in one that can be killed.

The loop is the one of the pipeline: every batch passes through all stages before the next is read.
"""

import argparse
import json
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from libs.codec.framing import Guid, SchemaRef
from libs.codec.guid import guid
from libs.dataplane.batches import ShardIdentity
from libs.dataplane.reports import ReportSender, ShardReporter
from libs.dataplane.schemas import NOT_FOUND_BOUND_S, SchemaLookup, SchemaNotFoundError, WriterSchemas
from libs.dataplane.session import DISCOVERY_INTERVAL_S, ShardSession
from libs.dataplane.stages import DecodeStage, EncodeStage, QueryStage
from sluice.dataplane.v1 import job_spec_pb2, report_pb2
from tests.support.waiting import eventually


def lookup_of(*schemas: str) -> SchemaLookup:
    """A registry that knows just these schemas."""
    known: Mapping[SchemaRef, str] = {Guid(uuid.UUID(str(guid(schema)))): schema for schema in schemas}

    def lookup(ref: SchemaRef, /) -> str:
        if ref not in known:
            raise SchemaNotFoundError(str(ref))
        return known[ref]

    return lookup


def new_session(
    identity: ShardIdentity,
    spec: job_spec_pb2.JobSpec,
    lookup: SchemaLookup,
    *,
    sender: ReportSender | None = None,
    not_found_bound_s: float = NOT_FOUND_BOUND_S,
    discovery_interval_s: float = DISCOVERY_INTERVAL_S,
) -> ShardSession:
    """A session that is not in the process-wide table."""
    reporter = ShardReporter(
        identity, uuid.uuid4().hex, sender or ReportSender.of(spec.source.topics[0].bootstrap_servers)
    )
    schemas = WriterSchemas(lookup, not_found_bound_s=not_found_bound_s)
    return ShardSession(identity, spec, reporter, schemas, discovery_interval_s)


class Reports(ReportSender):
    """Keeps the reports of one shard instead of sending them."""

    def __init__(self) -> None:
        self.all: list[report_pb2.ShardReport] = []

    def send(self, report: report_pb2.ShardReport, *, flush: bool = False) -> None:
        self.all.append(report)

    @property
    def last(self) -> report_pb2.ShardReport:
        return self.all[-1] if self.all else report_pb2.ShardReport()

    def has_error(self, reason: str) -> bool:
        """True when the shard says now that this stalls it."""
        return self.last.error.reason == reason


class RunningShard:
    """A shard on a thread of this process; `with` ends it, without a commit, as a runner that closes the reader."""

    def __init__(
        self,
        job: str,
        spec: job_spec_pb2.JobSpec,
        lookup: SchemaLookup,
        *,
        incarnation: int = 1,
        shard: int = 0,
        not_found_bound_s: float = NOT_FOUND_BOUND_S,
        discovery_interval_s: float = DISCOVERY_INTERVAL_S,
    ) -> None:
        self.reports = Reports()
        self.session = new_session(
            ShardIdentity(job, incarnation, shard),
            spec,
            lookup,
            sender=self.reports,
            not_found_bound_s=not_found_bound_s,
            discovery_interval_s=discovery_interval_s,
        )
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(spec,), daemon=True)
        self.failure: BaseException | None = None

    def _run(self, spec: job_spec_pb2.JobSpec) -> None:
        try:
            run_shard(self.session, spec, lambda: not self._leave.is_set())
        except BaseException as failure:
            self.failure = failure
            raise

    def __enter__(self) -> "RunningShard":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
        if self.failure is not None:
            raise self.failure

    def leave(self) -> None:
        self._leave.set()
        self._thread.join(60)

    @property
    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    def wait_for_rows(self, rows: int, seconds: float = 30.0) -> None:
        """Wait until so many rows are committed."""
        eventually(
            lambda: self.session.counters.events_out >= rows or self.failure is not None,
            seconds,
            f"{rows} rows are committed",
        )

    def wait_for_phase(self, phase: report_pb2.ShardPhase, seconds: float = 30.0) -> None:
        eventually(
            lambda: any(report.phase == phase for report in self.reports.all), seconds, f"phase {phase}"
        )

    def wait_for_error(self, reason: str, seconds: float = 30.0) -> None:
        eventually(lambda: self.reports.has_error(reason), seconds, reason)


def run_shard(
    session: ShardSession, spec: job_spec_pb2.JobSpec, wanted: Callable[[], bool] = lambda: True
) -> None:
    """Process until the session ends or `wanted` says no."""
    decode, query, encode = DecodeStage(spec.source), QueryStage(spec), EncodeStage(spec.outputs[0])
    try:
        for batch in session.batches():
            if batch is not None:
                session.write(encode.run(query.run(decode.run(batch))))
            if not wanted():
                return
    finally:
        session.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--job", required=True)
    parser.add_argument("--incarnation", type=int, required=True)
    parser.add_argument("--shard", type=int, default=0)
    parser.add_argument("--spec", type=Path, required=True)
    parser.add_argument("--schemas", type=Path, required=True)
    arguments = parser.parse_args()
    spec = job_spec_pb2.JobSpec.FromString(arguments.spec.read_bytes())
    identity = ShardIdentity(arguments.job, arguments.incarnation, arguments.shard)
    schemas = json.loads(arguments.schemas.read_text())
    run_shard(new_session(identity, spec, lookup_of(*schemas)), spec)


if __name__ == "__main__":
    main()
