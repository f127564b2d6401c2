"""Where a subscription's rows go, and which topics they may not go to. Pure."""

from libs.dataplane.naming import managed_topic
from services.subscription.model import Problem, Surroundings
from sluice.dataplane.v1 import job_spec_pb2
from sluice.subscription.v1 import subscription_pb2

CLUSTER_FIELD = "subscription.sink.kafka_topic.cluster"
TOPIC_FIELD = "subscription.sink.kafka_topic.topic"
RESERVED_PREFIXES = ("sluice.", "__")


def sink_topic(subscription: subscription_pb2.Subscription) -> str:
    """The topic that receives the rows."""
    if subscription.sink.WhichOneof("kind") == "kafka_topic":
        return subscription.sink.kafka_topic.topic
    _, tenant, _, subscription_id = subscription.name.split("/")
    return managed_topic(tenant, subscription_id)


def sink_problems(
    subscription: subscription_pb2.Subscription, surroundings: Surroundings
) -> tuple[Problem, ...]:
    """What is wrong with a sink that the tenant named."""
    if subscription.sink.WhichOneof("kind") != "kafka_topic":
        return ()
    wanted, cluster = subscription.sink.kafka_topic, surroundings.topics[0].cluster
    problems = []
    if wanted.cluster != cluster:
        text = (
            f"{wanted.cluster} is not {cluster}, which holds the dataset: rows and positions commit as one, and "
            "Kafka commits on one cluster only"
        )
        problems.append(Problem(CLUSTER_FIELD, text, "SINK_ON_OTHER_CLUSTER"))
    if wanted.topic.startswith(RESERVED_PREFIXES):
        text = f"{wanted.topic!r}: names that start with {' or '.join(RESERVED_PREFIXES)} are reserved"
        problems.append(Problem(TOPIC_FIELD, text, "RESERVED_TOPIC"))
    if wanted.topic in (".", ".."):
        problems.append(Problem(TOPIC_FIELD, f"Kafka has no topic named {wanted.topic!r}", "INVALID_TOPIC"))
    if any(wanted.topic == place.topic for place in surroundings.topics):
        text = f"{wanted.topic!r} is an input of {subscription.dataset}: the job would read its own rows"
        problems.append(Problem(TOPIC_FIELD, text, "SINK_IS_INPUT"))
    return tuple(problems)


def is_managed(spec: job_spec_pb2.JobSpec) -> bool:
    """True when the output topic is Sluice's own."""
    return spec.outputs[0].sink.topic.startswith(RESERVED_PREFIXES[0])


def subject_of(topic: str) -> str:
    """The registry subject of a topic's values, by the clients' usual rule (TopicNameStrategy)."""
    return f"{topic}-value"


def output_subject(spec: job_spec_pb2.JobSpec) -> str:
    """The registry subject of the output's schema; empty unless it is written in Avro."""
    output = spec.outputs[0]
    return subject_of(output.sink.topic) if output.schema_guid else ""
