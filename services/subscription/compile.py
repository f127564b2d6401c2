"""A subscription as a JobSpec: a pure function. The same input gives the same bytes."""

import hashlib

from libs.codec.guid import guid
from libs.codec.types import unsupported
from libs.dataplane.naming import PIPELINE_VERSION, dead_letter_topic
from libs.sql import SqlError
from libs.sql.avro import AvroQuery, compile_for_avro
from services.subscription.model import CannotCompile, JobDefaults, Problem, Surroundings, TopicPlace
from services.subscription.sink import sink_problems, sink_topic
from sluice.dataplane.v1 import job_spec_pb2
from sluice.subscription.v1 import subscription_pb2

_SHOWN_TYPES = 5


def compile_spec(
    subscription: subscription_pb2.Subscription, surroundings: Surroundings, defaults: JobDefaults
) -> job_spec_pb2.JobSpec:
    """Compile. `subscription.name` must be set and `surroundings` have a topic.

    Raises CannotCompile with every problem found.
    """
    problems = [
        *_place_problems(surroundings),
        *sink_problems(subscription, surroundings),
        *_start_problems(subscription),
    ]
    compiled = _compiled(subscription, surroundings, problems)
    if compiled is None or problems:
        raise CannotCompile(*problems)
    topics = [
        _topic(place, place.topic)
        for place in sorted(
            set(surroundings.topics), key=lambda place: (place.topic, place.bootstrap_servers)
        )
    ]
    tenant = subscription.name.split("/")[1]
    place = surroundings.topics[0]
    start = job_spec_pb2.StartPosition(earliest=job_spec_pb2.StartPosition.Earliest())
    if subscription.HasField("start_position"):
        start = subscription.start_position
    avro = subscription.output_format == job_spec_pb2.OUTPUT_FORMAT_AVRO
    return job_spec_pb2.JobSpec(
        tenant=f"tenants/{tenant}",
        source=job_spec_pb2.Source(
            dataset=subscription.dataset,
            topics=topics,
            start_position=start,
            schema_guid=surroundings.schema_guid,
            reader_schema=compiled.reader_schema,
            referenced_fields=sorted(".".join(path) for path in compiled.query.referenced),
            pseudo_columns=sorted(compiled.query.pseudo_columns),
            schema_registry=defaults.schema_registry,
        ),
        outputs=[
            job_spec_pb2.Output(
                subscription=subscription.name,
                sql=subscription.sql,
                format=subscription.output_format,
                sink=_topic(place, sink_topic(subscription)),
                schema=compiled.output_schema,
                schema_guid=str(guid(compiled.output_schema)) if avro else "",
            )
        ],
        engine=job_spec_pb2.ENGINE_ARROW,
        dead_letters=_topic(place, dead_letter_topic(tenant)),
        shards=defaults.shards,
        limits=job_spec_pb2.Limits(
            batch_rows=defaults.batch_rows,
            batch_wait_ms=defaults.batch_wait_ms,
            commit_interval_min_ms=defaults.commit_interval_min_ms,
            commit_interval_max_ms=defaults.commit_interval_max_ms,
            transaction_timeout_ms=defaults.transaction_timeout_ms,
            message_max_bytes=defaults.message_max_bytes,
        ),
        pipeline_version=PIPELINE_VERSION,
    )


def spec_digest(spec: job_spec_pb2.JobSpec) -> str:
    """SHA-256 (hex) of the deterministic serialization."""
    return hashlib.sha256(spec.SerializeToString(deterministic=True)).hexdigest()


def _topic(place: TopicPlace, topic: str) -> job_spec_pb2.Topic:
    return job_spec_pb2.Topic(cluster=place.cluster, bootstrap_servers=place.bootstrap_servers, topic=topic)


def _place_problems(surroundings: Surroundings) -> tuple[Problem, ...]:
    """One transaction, one address: what self healing keeps too, held here because a job depends on it."""
    places = sorted({f"{place.cluster} at {place.bootstrap_servers}" for place in surroundings.topics})
    if len(places) == 1:
        return ()
    text = f"the dataset's topics must be on one cluster, they are on {', '.join(places)}"
    return (Problem("subscription.dataset", text, "SEVERAL_CLUSTERS"),)


def _start_problems(subscription: subscription_pb2.Subscription) -> tuple[Problem, ...]:
    """Negative times mean `latest` and `earliest` in Kafka's ListOffsets."""
    start = subscription.start_position
    if start.WhichOneof("position") != "timestamp" or start.timestamp.seconds >= 0:
        return ()
    text = "a time before 1970: no record is that old, use `earliest`"
    return (Problem("subscription.start_position.timestamp", text, "INVALID_START_POSITION"),)


def _compiled(
    subscription: subscription_pb2.Subscription, surroundings: Surroundings, problems: list[Problem]
) -> AvroQuery | None:
    """The compiled statement, or None with more `problems`."""
    namespace = ".".join(["sluice", *subscription.name.split("/")[1::2]]).replace("-", "_")
    try:
        return compile_for_avro(subscription.sql, surroundings.schema, "Row", namespace)
    except SqlError as error:
        problems += [
            Problem("subscription.sql", str(violation), f"SQL_{violation.reason}")
            for violation in error.violations
        ]
    except ValueError as error:
        text = f"its schema has a type that Sluice does not read yet: {_refused_types(surroundings.schema, error)}"
        problems.append(Problem("subscription.dataset", text, "UNSUPPORTED_SCHEMA"))
    return None


def _refused_types(schema: str, error: ValueError) -> str:
    """Every part that is refused, by its path; the error's own words for a schema that is no schema."""
    try:
        found = unsupported(schema)
    except ValueError:
        found = []
    shown = "; ".join(f"{path}: {reason}" for path, reason in found[:_SHOWN_TYPES])
    left = len(found) - _SHOWN_TYPES
    return (f"{shown}; and {left} more" if left > 0 else shown) or str(error)
