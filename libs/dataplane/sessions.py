"""The shards that this process runs: reader and writer of one meet here, whatever Beam does with DoFn instances."""

import gc
import secrets
import threading
import time

from libs.dataplane.batches import NotFusedError, ShardIdentity
from libs.dataplane.reports import ReportSender, ShardReporter
from libs.dataplane.schemas import GrpcSchemaLookup, WriterSchemas
from libs.dataplane.session import ShardSession
from sluice.dataplane.v1 import job_spec_pb2

_HANDOVER_BOUND_S = 30.0

_sessions: dict[ShardIdentity, ShardSession] = {}
_lock = threading.Lock()


def open_session(identity: ShardIdentity, spec: job_spec_pb2.JobSpec) -> ShardSession:
    """Start a shard in this process. One that still runs here (the runner restarted the bundle) is ended first."""
    deadline = time.monotonic() + _HANDOVER_BOUND_S
    while True:
        with _lock:
            previous = _sessions.get(identity)
            if previous is None or time.monotonic() > deadline:
                session = _new_session(identity, spec)
                _sessions[identity] = session
                return session
            previous.replace()
        time.sleep(0.05)


def tune_garbage_collector() -> None:
    """Batches make many short-lived objects and no cycles: looking for cycles often only costs."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def find_session(identity: ShardIdentity) -> ShardSession:
    """The session that reads for this shard. Raises NotFusedError when it is in another process."""
    session = _sessions.get(identity)
    if session is None:
        raise NotFusedError(
            f"the reader of {identity} is not in this process: the runner did not fuse the job's stages"
        )
    return session


def close_session(session: ShardSession) -> None:
    """End a shard in this process; its open transaction is aborted."""
    session.close()
    with _lock:
        if _sessions.get(session.identity) is session:
            del _sessions[session.identity]


def _new_session(identity: ShardIdentity, spec: job_spec_pb2.JobSpec) -> ShardSession:
    sender = ReportSender.of(spec.source.topics[0].bootstrap_servers)
    reporter = ShardReporter(identity, secrets.token_hex(8), sender)
    return ShardSession(
        identity, spec, reporter, WriterSchemas(GrpcSchemaLookup(spec.source.schema_registry))
    )
