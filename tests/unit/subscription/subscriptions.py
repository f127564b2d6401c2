"""Subscriptions and records for tests."""

from services.subscription.compile import compile_spec, spec_digest
from services.subscription.model import JobDefaults, Surroundings
from services.subscription.records import Record, set_spec
from sluice.dataplane.v1 import job_spec_pb2
from sluice.subscription.v1 import subscription_pb2
from tests.support.jobs import EVENT_SCHEMA
from tests.unit.subscription.fake_world import GUID, place

DEFAULTS = JobDefaults("registry:7002", 2, 1000, 50, 100, 1000, 10_000, 1_000_000)
NAME = "tenants/acme/subscriptions/blocked"
HERE = Surroundings((place("events"),), EVENT_SCHEMA, GUID)
AVRO, JSON = job_spec_pb2.OUTPUT_FORMAT_AVRO, job_spec_pb2.OUTPUT_FORMAT_JSON


def wish(
    sql: str = "SELECT number, action FROM events WHERE action = 'deny'",
    *,
    name: str = "",
    dataset: str = "datasets/firewall",
    output_format: job_spec_pb2.OutputFormat = AVRO,
    topic: str = "",
    cluster: str = "clusters/main",
    start: job_spec_pb2.StartPosition | None = None,
) -> subscription_pb2.Subscription:
    subscription = subscription_pb2.Subscription(
        name=name, dataset=dataset, sql=sql, output_format=output_format, start_position=start
    )
    if topic:
        subscription.sink.kafka_topic.cluster = cluster
        subscription.sink.kafka_topic.topic = topic
    return subscription


def compiled(subscription: subscription_pb2.Subscription, here: Surroundings = HERE) -> job_spec_pb2.JobSpec:
    named = subscription_pb2.Subscription()
    named.CopyFrom(subscription)
    named.name = named.name or NAME
    return compile_spec(named, here, DEFAULTS)


def record(*, prepared: bool = False, applied: bool = False, paused: bool = False) -> Record:
    """A record as CreateSubscription leaves it, but with the compilation behind it; and further on."""
    made = Record(subscription=wish(name=NAME))
    made.subscription.job = "jobs/j-1"
    made.subscription.generation = 1
    set_spec(made, compiled(made.subscription))
    if prepared or applied:
        made.prepared_digest = spec_digest(made.spec)
    if applied:
        made.applied_spec.CopyFrom(made.spec)
        made.applied_paused = paused
    made.subscription.paused = paused
    return made
