"""What a change of a spec means: every field has its consequence."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.deployer.consequences import CONSEQUENCES, Verdict, changed_paths, declared_path, plan
from sluice.dataplane.v1 import job_spec_pb2
from tests.unit.deployer.conftest import spec_proto

Change = Callable[[job_spec_pb2.JobSpec], None]


def leaves(descriptor: Any, prefix: str = "") -> Iterator[str]:
    for field in descriptor.fields:
        path = f"{prefix}{field.name}"
        if path not in CONSEQUENCES and field.message_type is not None:
            yield from leaves(field.message_type, f"{path}.")
        else:
            yield path


def test_every_field_of_the_spec_has_its_consequence_and_no_other_has() -> None:
    found = set(leaves(job_spec_pb2.JobSpec.DESCRIPTOR))
    assert found == set(CONSEQUENCES)
    assert declared_path("limits.batch_rows") == "limits"


def change_sql(spec: job_spec_pb2.JobSpec) -> None:
    spec.outputs[0].sql = "SELECT b FROM events"


def change_tenant(spec: job_spec_pb2.JobSpec) -> None:
    spec.tenant = "tenants/other"


def change_dataset(spec: job_spec_pb2.JobSpec) -> None:
    spec.source.dataset = "datasets/other"


def change_sink_cluster(spec: job_spec_pb2.JobSpec) -> None:
    spec.outputs[0].sink.cluster = spec.dead_letters.cluster = "clusters/other"


def change_start_position(spec: job_spec_pb2.JobSpec) -> None:
    spec.source.start_position.latest.SetInParent()


def add_topic(spec: job_spec_pb2.JobSpec) -> None:
    spec.source.topics.add(cluster="clusters/main", bootstrap_servers="kafka:9092", topic="in-2")


def change_limits(spec: job_spec_pb2.JobSpec) -> None:
    spec.limits.batch_rows = 5


def nothing(spec: job_spec_pb2.JobSpec) -> None:
    del spec


@pytest.mark.parametrize(
    ("change", "verdict", "paths"),
    [
        (nothing, Verdict.NO_OP, ()),
        (change_sql, Verdict.DRAIN_AND_REPLACE, ("outputs.sql",)),
        (add_topic, Verdict.DRAIN_AND_REPLACE, ("source.topics",)),
        (change_limits, Verdict.DRAIN_AND_REPLACE, ("limits",)),
        (change_tenant, Verdict.REJECT, ("tenant",)),
        (change_dataset, Verdict.REJECT, ("source.dataset",)),
        (change_sink_cluster, Verdict.REJECT, ("outputs.sink.cluster", "dead_letters.cluster")),
        (change_start_position, Verdict.REJECT, ("source.start_position",)),
    ],
)
def test_the_verdict_on_a_change(change: Change, verdict: Verdict, paths: tuple[str, ...]) -> None:
    wanted = spec_proto()
    change(wanted)
    assert changed_paths(spec_proto(), wanted) == paths
    assert plan(spec_proto(), wanted, ever_started=True).verdict is verdict


def test_the_strongest_reason_comes_first() -> None:
    wanted = spec_proto()
    change_sql(wanted)
    change_tenant(wanted)
    verdict = plan(spec_proto(), wanted, ever_started=True)
    assert verdict.verdict is Verdict.REJECT
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["tenant", "outputs.sql"]


def test_the_start_position_of_a_job_that_never_started_may_change() -> None:
    wanted = spec_proto()
    change_start_position(wanted)
    assert plan(spec_proto(), wanted, ever_started=False).verdict is Verdict.DRAIN_AND_REPLACE


def test_a_sink_on_another_cluster_than_the_dead_letters_is_rejected() -> None:
    wanted = spec_proto()
    wanted.dead_letters.cluster = "clusters/other"
    verdict = plan(None, wanted, ever_started=False)
    assert verdict.verdict is Verdict.REJECT
    assert "one transaction cannot span both" in verdict.reasons[0]
