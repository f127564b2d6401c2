"""One shard of a job without Beam, in this process or, as `python -m tests.support.shard`, in one that can be killed.

The loop is the one of the pipeline: every batch passes through all stages before the next is read.
"""

import argparse
import json
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from libs.codec.framing import Guid, SchemaRef
from libs.codec.guid import guid
from libs.dataplane.batches import ShardIdentity
from libs.dataplane.reports import ReportSender, ShardReporter
from libs.dataplane.schemas import SchemaLookup, SchemaNotFoundError, WriterSchemas
from libs.dataplane.session import ShardSession
from libs.dataplane.stages import DecodeStage, EncodeStage, QueryStage
from sluice.dataplane.v1 import job_spec_pb2


def lookup_of(*schemas: str) -> SchemaLookup:
    """A registry that knows just these schemas."""
    known: Mapping[SchemaRef, str] = {Guid(uuid.UUID(str(guid(schema)))): schema for schema in schemas}

    def lookup(ref: SchemaRef, /) -> str:
        if ref not in known:
            raise SchemaNotFoundError(str(ref))
        return known[ref]

    return lookup


def new_session(identity: ShardIdentity, spec: job_spec_pb2.JobSpec, lookup: SchemaLookup) -> ShardSession:
    """A session that is not in the process-wide table."""
    sender = ReportSender.of(spec.source.topics[0].bootstrap_servers)
    return ShardSession(
        identity, spec, ShardReporter(identity, uuid.uuid4().hex, sender), WriterSchemas(lookup)
    )


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
