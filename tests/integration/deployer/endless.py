"""A pipeline that runs until it is cancelled and does nothing: what the runner contract submits."""

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

CONSTRUCT = "tests.integration.deployer.endless:build"


def build(job: str, incarnation: int, spec: object, options: PipelineOptions) -> beam.Pipeline:
    """As `libs.dataplane.pipeline.build`; the impulse source of a streaming job never ends."""
    del job, incarnation, spec
    pipeline = beam.Pipeline(options=options)
    pipeline | beam.Impulse() | beam.Map(len)
    return pipeline
