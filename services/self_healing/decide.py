"""What the recorded topology allows: pure, on what was read before; errors say what to do next."""

from collections.abc import Iterable, Mapping, Sequence

from libs.service_kit.errors import (
    AlreadyExists,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    PreconditionViolation,
)
from sluice.self_healing.v1 import record_pb2, topology_pb2

RESERVED_PREFIXES = ("sluice.", "__")
"""Topics of Sluice itself, and Kafka's internal ones."""

SHOWN_REFERRERS = 3

TopicKey = tuple[str, str]
"""The cluster's resource name and Kafka's name of a topic."""


class KafkaClusterKnown(AlreadyExists):
    """The Kafka cluster that answered is recorded already, under another name."""

    def __init__(self, other: str, kafka_cluster_id: str) -> None:
        super().__init__(other, resource_type="sluice.dev/Cluster", reason="KAFKA_CLUSTER_ALREADY_KNOWN")
        self.message = f"Kafka cluster {kafka_cluster_id} is already known as {other}: use that one"
        self.metadata["kafka_cluster_id"] = kafka_cluster_id


def check_binding(binding: topology_pb2.Binding) -> None:
    """The rules of a binding that need nothing else; InvalidArgument names each topic that breaks one."""
    violations = []
    seen: set[TopicKey] = set()
    for index, bound in enumerate(binding.topics):
        path = f"binding.topics[{index}]"
        if bound.topic.startswith(RESERVED_PREFIXES) or bound.topic in (".", ".."):
            allowed = "names that begin with `sluice.` or `__`, `.` and `..` cannot be bound"
            violations.append(
                FieldViolation(f"{path}.topic", f"{bound.topic!r}: {allowed}", "TOPIC_RESERVED")
            )
        if (bound.cluster, bound.topic) in seen:
            violations.append(
                FieldViolation(f"{path}.topic", f"{bound.topic!r} is given twice", "TOPIC_GIVEN_TWICE")
            )
        seen.add((bound.cluster, bound.topic))
        if bound.cluster != binding.topics[0].cluster:
            first = binding.topics[0].cluster
            text = f"{bound.cluster} is not {first}: all topics must be on one cluster for now"
            violations.append(FieldViolation(f"{path}.cluster", text, "SEVERAL_CLUSTERS"))
    if violations:
        raise InvalidArgument(violations)


def topic_keys(binding: topology_pb2.Binding | None) -> set[TopicKey]:
    return set() if binding is None else {(bound.cluster, bound.topic) for bound in binding.topics}


def claims_after(
    binding: str,
    tenant: str,
    *,
    claimed: Iterable[TopicKey],
    released: Iterable[TopicKey],
    known: Mapping[TopicKey, record_pb2.TopicClaim],
) -> dict[TopicKey, record_pb2.TopicClaim | None]:
    """The claims that change, None for those that go.

    A topic belongs to one tenant, which may bind it to several datasets. Raises FailedPrecondition
    TOPIC_BOUND_ELSEWHERE; which tenant has it is not told.
    """
    foreign = [key for key in sorted(claimed) if key in known and known[key].tenant != tenant]
    if foreign:
        violations = [
            PreconditionViolation(
                "TOPIC_BOUND_ELSEWHERE",
                f"{cluster}/topics/{topic}",
                "the topic belongs to another tenant: bind one that holds only this tenant's events, "
                "or delete the other tenant's binding first",
            )
            for cluster, topic in foreign
        ]
        raise FailedPrecondition(violations, reason="TOPIC_BOUND_ELSEWHERE")
    changed: dict[TopicKey, record_pb2.TopicClaim | None] = {}
    for key in sorted(claimed):
        bindings = set(known[key].bindings) if key in known else set()
        changed[key] = record_pb2.TopicClaim(tenant=tenant, bindings=sorted(bindings | {binding}))
    for key in sorted(released):
        left = sorted(set(known[key].bindings) - {binding}) if key in known else []
        changed[key] = record_pb2.TopicClaim(tenant=tenant, bindings=left) if left else None
    return changed


def check_unreferenced(resource: str, referrers: Sequence[str], *, more: bool) -> None:
    """FailedPrecondition RESOURCE_REFERENCED naming a few of the referrers, if there are any."""
    if not referrers:
        return
    shown = sorted(set(referrers))[:SHOWN_REFERRERS]
    names = ", ".join(shown) + (", …" if more or len(set(referrers)) > len(shown) else "")
    raise FailedPrecondition(
        [PreconditionViolation("RESOURCE_REFERENCED", name, f"names {resource}") for name in shown],
        message=f"{resource} is still named by {names}: delete or change these bindings first",
        reason="RESOURCE_REFERENCED",
        metadata={"resource": resource},
    )


def check_same_kafka_cluster(cluster: topology_pb2.Cluster, address: str, observed: str) -> None:
    """FailedPrecondition KAFKA_CLUSTER_MISMATCH unless the Kafka at `address` is the recorded one."""
    if observed == cluster.kafka_cluster_id:
        return
    raise FailedPrecondition(
        [
            PreconditionViolation(
                "KAFKA_CLUSTER_MISMATCH",
                cluster.name,
                f"the Kafka at {address} is {observed}, recorded is {cluster.kafka_cluster_id}: "
                "correct the address, or create a cluster of another name for it and move the bindings",
            )
        ],
        reason="KAFKA_CLUSTER_MISMATCH",
        metadata={"recorded": cluster.kafka_cluster_id, "observed": observed},
    )
