"""A JobSpec as a Beam pipeline: read a shard → decode → SQL → encode → write, fused into one stage."""

from collections.abc import Iterator

import apache_beam as beam
from apache_beam.coders.typecoders import registry
from apache_beam.options.pipeline_options import PipelineOptions

from libs.dataplane.batches import MessageBatch, OutputBatch, RowBatch
from libs.dataplane.coder import InProcessCoder
from libs.dataplane.placement import salts
from libs.dataplane.reader import ReadShard
from libs.dataplane.session import check_single_cluster
from libs.dataplane.sessions import find_session
from libs.dataplane.stages import DecodeStage, EncodeStage, QueryStage, timed
from sluice.dataplane.v1 import job_spec_pb2


class Decode(beam.DoFn):
    """MessageBatch → RowBatch."""

    def __init__(self, spec: bytes) -> None:
        self._spec = spec

    def setup(self) -> None:
        self._stage = DecodeStage(job_spec_pb2.JobSpec.FromString(self._spec).source)

    def process(self, batch: MessageBatch) -> Iterator[RowBatch]:
        with timed(find_session(batch.identity).counters, "decode"):
            rows = self._stage.run(batch)
        yield rows


class RunQuery(beam.DoFn):
    """RowBatch → RowBatch."""

    def __init__(self, spec: bytes) -> None:
        self._spec = spec

    def setup(self) -> None:
        self._stage = QueryStage(job_spec_pb2.JobSpec.FromString(self._spec))

    def process(self, batch: RowBatch) -> Iterator[RowBatch]:
        with timed(find_session(batch.source.identity).counters, "sql"):
            rows = self._stage.run(batch)
        yield rows


class Encode(beam.DoFn):
    """RowBatch → OutputBatch."""

    def __init__(self, spec: bytes) -> None:
        self._spec = spec

    def setup(self) -> None:
        self._stage = EncodeStage(job_spec_pb2.JobSpec.FromString(self._spec).outputs[0])

    def process(self, batch: RowBatch) -> Iterator[OutputBatch]:
        with timed(find_session(batch.source.identity).counters, "encode"):
            output = self._stage.run(batch)
        yield output


class WriteShard(beam.DoFn):
    """OutputBatch → the shard's open transaction."""

    def process(self, batch: OutputBatch) -> None:
        session = find_session(batch.source.identity)
        with timed(session.counters, "produce"):
            session.write(batch)


def build(job: str, incarnation: int, spec: job_spec_pb2.JobSpec, options: PipelineOptions) -> beam.Pipeline:
    """The pipeline of one incarnation. Transform names are fixed: they name the job's stages on every runner.

    Raises ValueError for a spec that needs two clusters.
    """
    check_single_cluster(spec)
    for batch_type in (MessageBatch, RowBatch, OutputBatch):
        registry.register_coder(batch_type, InProcessCoder)
    data = spec.SerializeToString(deterministic=True)
    pipeline = beam.Pipeline(options=options)
    _ = (
        pipeline
        | "Shards" >> beam.Create(salts(spec.shards, spec.shards), reshuffle=False).with_output_types(bytes)
        | "ReadKafka" >> beam.ParDo(ReadShard(job, incarnation, data)).with_output_types(MessageBatch)
        | "DecodeAvro" >> beam.ParDo(Decode(data)).with_output_types(RowBatch)
        | "Sql" >> beam.ParDo(RunQuery(data)).with_output_types(RowBatch)
        | "Encode" >> beam.ParDo(Encode(data)).with_output_types(OutputBatch)
        | "WriteKafka" >> beam.ParDo(WriteShard())
    )
    return pipeline
