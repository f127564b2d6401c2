"""A subscription as a JobSpec: a pure function. The same input gives the same bytes."""

import hashlib

from libs.codec.guid import guid
from libs.codec.messages import decoded_schema
from libs.codec.schema import prune
from libs.codec.types import avro_schema_for
from libs.dataplane.naming import PIPELINE_VERSION, dead_letter_topic, managed_topic
from libs.sql import CompiledQuery, SqlError, compile_query
from services.subscription.model import CannotCompile, JobDefaults, Problem, Surroundings, TopicPlace
from sluice.dataplane.v1 import job_spec_pb2
from sluice.subscription.v1 import subscription_pb2

_RESERVED_PREFIXES = ("sluice.", "__")


def compile_spec(
    subscription: subscription_pb2.Subscription, surroundings: Surroundings, defaults: JobDefaults
) -> job_spec_pb2.JobSpec:
    """Compile. `subscription.name` must be set. Raises CannotCompile with every problem found."""
    _, tenant, _, subscription_id = subscription.name.split("/")
    place = surroundings.topics[0]
    sink = _sink_topic(subscription, tenant, subscription_id, surroundings)
    query = _query(subscription.sql, surroundings)
    output_schema = _output_schema(query, tenant, subscription_id)
    avro = subscription.output_format == job_spec_pb2.OUTPUT_FORMAT_AVRO
    start = job_spec_pb2.StartPosition(earliest=job_spec_pb2.StartPosition.Earliest())
    if subscription.HasField("start_position"):
        start = subscription.start_position
    return job_spec_pb2.JobSpec(
        tenant=f"tenants/{tenant}",
        source=job_spec_pb2.Source(
            dataset=subscription.dataset,
            topics=[
                _topic(place, place.topic)
                for place in sorted(surroundings.topics, key=lambda place: place.topic)
            ],
            start_position=start,
            schema_guid=surroundings.schema_guid,
            reader_schema=prune(surroundings.schema, query.referenced),
            referenced_fields=sorted(".".join(path) for path in query.referenced),
            pseudo_columns=sorted(query.pseudo_columns),
            schema_registry=defaults.schema_registry,
        ),
        outputs=[
            job_spec_pb2.Output(
                subscription=subscription.name,
                sql=subscription.sql,
                format=subscription.output_format,
                sink=_topic(place, sink),
                schema=output_schema,
                schema_guid=str(guid(output_schema)) if avro else "",
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


def output_subject(spec: job_spec_pb2.JobSpec) -> str:
    """The registry subject of the output's schema, by the clients' usual rule; empty unless it is written in Avro."""
    output = spec.outputs[0]
    return f"{output.sink.topic}-value" if output.schema_guid else ""


def is_managed(spec: job_spec_pb2.JobSpec) -> bool:
    """True when the output topic is Sluice's own."""
    return spec.outputs[0].sink.topic.startswith(_RESERVED_PREFIXES[0])


def _topic(place: TopicPlace, topic: str) -> job_spec_pb2.Topic:
    return job_spec_pb2.Topic(cluster=place.cluster, bootstrap_servers=place.bootstrap_servers, topic=topic)


def _sink_topic(
    subscription: subscription_pb2.Subscription, tenant: str, subscription_id: str, surroundings: Surroundings
) -> str:
    if subscription.sink.WhichOneof("kind") != "kafka_topic":
        return managed_topic(tenant, subscription_id)
    wanted, place = subscription.sink.kafka_topic, surroundings.topics[0]
    problems = []
    if wanted.cluster != place.cluster:
        problems.append(
            Problem(
                "subscription.sink.kafka_topic.cluster",
                f"{wanted.cluster} is not {place.cluster}, which holds the dataset: rows and positions commit as one, "
                "and Kafka commits on one cluster only",
                "SINK_ON_OTHER_CLUSTER",
            )
        )
    if wanted.topic.startswith(_RESERVED_PREFIXES):
        problems.append(
            Problem(
                "subscription.sink.kafka_topic.topic",
                f"{wanted.topic!r}: names that start with {' or '.join(_RESERVED_PREFIXES)} are reserved",
                "RESERVED_TOPIC",
            )
        )
    if any(wanted.topic == place.topic for place in surroundings.topics):
        problems.append(
            Problem(
                "subscription.sink.kafka_topic.topic",
                f"{wanted.topic!r} is an input of {subscription.dataset}: the job would read its own rows",
                "SINK_IS_INPUT",
            )
        )
    if problems:
        raise CannotCompile(*problems)
    return wanted.topic


def _query(sql: str, surroundings: Surroundings) -> CompiledQuery:
    try:
        input_schema = decoded_schema(surroundings.schema)
    except ValueError as error:
        text = f"the dataset's schema has a type that is not supported yet: {error}"
        raise CannotCompile(Problem("subscription.dataset", text, "UNSUPPORTED_SCHEMA")) from error
    try:
        return compile_query(sql, input_schema)
    except SqlError as error:
        problems = [
            Problem("subscription.sql", str(violation), f"SQL_{violation.reason}")
            for violation in error.violations
        ]
        raise CannotCompile(*problems) from error


def _output_schema(query: CompiledQuery, tenant: str, subscription_id: str) -> str:
    namespace = f"sluice.{tenant}.{subscription_id}".replace("-", "_")
    try:
        return avro_schema_for(query.output_schema, "Row", namespace)
    except ValueError as error:
        raise CannotCompile(Problem("subscription.sql", str(error), "SQL_INVALID_OUTPUT")) from error
