"""What the recorded topology allows, as tables and properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.service_kit.errors import FailedPrecondition, InvalidArgument
from services.self_healing.decide import TopicKey, check_binding, check_unreferenced, claims_after
from sluice.self_healing.v1 import record_pb2, topology_pb2

KEYS = st.sampled_from([("clusters/main", f"topic-{number}") for number in range(4)])
TENANTS = st.sampled_from(["acme", "globex", "initech"])
DATASETS = st.sampled_from(["datasets/dns", "datasets/firewall"])


def _binding(*topics: tuple[str, str]) -> topology_pb2.Binding:
    return topology_pb2.Binding(
        topics=[topology_pb2.BoundTopic(cluster=cluster, topic=topic) for cluster, topic in topics]
    )


@pytest.mark.parametrize(
    ("topics", "field", "reason"),
    [
        ([("clusters/a", "sluice.reports")], "binding.topics[0].topic", "TOPIC_RESERVED"),
        ([("clusters/a", "__consumer_offsets")], "binding.topics[0].topic", "TOPIC_RESERVED"),
        ([("clusters/a", "..")], "binding.topics[0].topic", "TOPIC_RESERVED"),
        ([("clusters/a", "x"), ("clusters/a", "x")], "binding.topics[1].topic", "TOPIC_GIVEN_TWICE"),
        ([("clusters/a", "x"), ("clusters/b", "y")], "binding.topics[1].cluster", "SEVERAL_CLUSTERS"),
    ],
)
def test_a_binding_that_breaks_a_rule_is_refused_with_field_and_reason(
    topics: list[tuple[str, str]], field: str, reason: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_binding(_binding(*topics))
    assert [(violation.field, violation.reason) for violation in refused.value.violations] == [
        (field, reason)
    ]


def test_names_that_only_resemble_the_reserved_ones_can_be_bound() -> None:
    check_binding(_binding(("clusters/a", "sluice"), ("clusters/a", "_x"), ("clusters/a", "sluice-events")))


@given(st.lists(st.tuples(TENANTS, DATASETS, st.sets(KEYS)), max_size=12))
def test_whatever_the_order_of_changes_a_topic_is_claimed_exactly_by_the_bindings_that_name_it(
    changes: list[tuple[str, str, set[TopicKey]]],
) -> None:
    claims: dict[TopicKey, record_pb2.TopicClaim] = {}
    bound: dict[str, set[TopicKey]] = {}
    for tenant, dataset, wanted in changes:
        name = f"{dataset}/bindings/{tenant}"
        before = bound.get(name, set())
        try:
            changed = claims_after(
                name, tenant, claimed=wanted - before, released=before - wanted, known=claims
            )
        except FailedPrecondition:
            assert any(key in claims and claims[key].tenant != tenant for key in wanted - before)
            continue
        bound[name] = wanted
        for key, claim in changed.items():
            if claim is None:
                claims.pop(key, None)
            else:
                claims[key] = claim
        for key in {key for keys in bound.values() for key in keys} | set(claims):
            namers = sorted(binding for binding, keys in bound.items() if key in keys)
            assert list(claims[key].bindings if key in claims else []) == namers
            assert len({binding.rsplit("/", 1)[1] for binding in namers}) <= 1


def test_a_refused_delete_names_a_few_referrers_and_says_that_there_are_more() -> None:
    with pytest.raises(FailedPrecondition, match=r"b1, b2, b3, …: delete or change") as refused:
        check_unreferenced("datasets/d", ["b3", "b1", "b2", "b2", "b4"], more=False)
    assert refused.value.reason == "RESOURCE_REFERENCED"
    check_unreferenced("datasets/d", [], more=False)
