"""The state machine's one table, against the contract, the docs and the decisions."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deployer import records
from services.deployer.decide import Write, decide
from services.deployer.model import (
    TRANSITIONS,
    Desire,
    IllegalTransition,
    Incarnation,
    JobRecord,
    KnownTopic,
    Observation,
    Policy,
    RunnerJobId,
    RunnerPhase,
    ShardPhase,
    ShardReports,
    ShardStatus,
    State,
    Wish,
    moved,
)
from services.deployer.records import from_message, job_message, to_message
from tests.unit.deployer.conftest import JOB, START, a_spec

ROOT = Path(__file__).parents[3]


def documented_in_proto() -> dict[str, set[str]]:
    text = (ROOT / "protos/sluice/deployer/v1/job.proto").read_text()
    enum = re.search(r"enum JobState \{(.*?)\n\}", text, re.DOTALL)
    assert enum is not None
    found = {}
    for comment, state in re.findall(r"((?:  //.*\n)+)  JOB_STATE_(\w+) =", enum.group(1)):
        words = " ".join(line.strip().removeprefix("//").strip() for line in comment.splitlines())
        following = re.search(r"Next: ([A-Z, ]+)\.", words)
        found[state] = set(following.group(1).split(", ")) if following else set()
        assert following or "Terminal." in words or state == "UNSPECIFIED"
    del found["UNSPECIFIED"]
    return found


def drawn_in_docs() -> dict[str, set[str]]:
    text = (ROOT / "docs/deployer.md").read_text()
    drawn: dict[str, set[str]] = {state.value: set() for state in State}
    for source, target in re.findall(r"^\s+([A-Z]+) --> ([A-Z]+)", text, re.MULTILINE):
        drawn[source].add(target)
    return drawn


TABLE = {state.value: {target.value for target in targets} for state, targets in TRANSITIONS.items()}


def test_job_proto_documents_the_transitions_of_the_table() -> None:
    assert documented_in_proto() == TABLE


def test_the_diagram_in_the_docs_draws_the_transitions_of_the_table() -> None:
    assert drawn_in_docs() == TABLE


def a_record(state: State = State.PENDING, incarnation: int = 0) -> JobRecord:
    spec = a_spec()
    return JobRecord(
        name=JOB,
        spec=spec,
        desire=Desire(),
        state=state,
        state_reason="",
        state_time=START,
        generation=1,
        observed_generation=0,
        incarnation=Incarnation(incarnation),
        failures=0,
        create_time=START,
        update_time=START,
        running=spec if incarnation else None,
    )


def test_a_transition_that_the_table_does_not_have_is_refused() -> None:
    for source in State:
        for target in set(State) - TRANSITIONS[source]:
            with pytest.raises(IllegalTransition):
                moved(a_record(source, 1), target, "", START)


@pytest.mark.parametrize(
    ("desire", "wish"),
    [
        (Desire(), Wish.RUN),
        (Desire(hibernate=True), Wish.HIBERNATE),
        (Desire(hibernate=True, pause=True), Wish.PAUSE),
        (Desire(hibernate=True, pause=True, drain=True), Wish.DRAIN),
        (Desire(hibernate=True, pause=True, drain=True, cancel=True), Wish.CANCEL),
    ],
)
def test_the_strongest_wish_wins(desire: Desire, wish: Wish) -> None:
    assert desire.wish is wish


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_stays_between_its_bounds_and_never_shrinks(failures: int, jitter: float) -> None:
    policy = Policy()
    wait = policy.backoff(failures, jitter)
    assert timedelta(seconds=1) <= wait <= timedelta(minutes=5)
    assert policy.backoff(failures, 0.0) <= policy.backoff(failures + 1, 0.0)
    assert wait <= policy.backoff(failures, 0.0)


KNOWN_TOPICS = st.tuples() | st.tuples(
    st.builds(KnownTopic, st.just("in"), st.sampled_from("ab"), st.integers(1, 9))
)
STATUSES = st.builds(
    ShardStatus,
    shard=st.integers(0, 2),
    incarnation=st.integers(0, 4).map(Incarnation),
    phase=st.sampled_from(ShardPhase),
    received=st.integers(-100, 0).map(lambda seconds: START + timedelta(seconds=seconds)),
    error=st.sampled_from(["", "SINK_UNAVAILABLE: away"]),
    known_topics=KNOWN_TOPICS,
)
IDS = st.lists(st.sampled_from(["a" * 32, "b" * 32]).map(RunnerJobId), max_size=1).map(tuple)
OBSERVATIONS = st.builds(
    Observation,
    phase=st.sampled_from(RunnerPhase),
    shards=st.builds(
        ShardReports,
        readable_since=st.none() | st.just(START - timedelta(minutes=5)),
        statuses=st.lists(STATUSES, max_size=4).map(tuple),
    ),
    runner_error=st.sampled_from(["", "boom"]),
    live_predecessors=IDS,
    ending_predecessors=IDS,
    foreign=IDS,
)
RECORDS = st.builds(
    JobRecord,
    name=st.just(JOB),
    spec=st.sampled_from([a_spec(), a_spec("SELECT b FROM events", 3)]),
    desire=st.builds(Desire, st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    state=st.sampled_from(State),
    state_reason=st.just("so"),
    state_time=st.sampled_from([START, START - timedelta(seconds=45), START - timedelta(days=2)]),
    generation=st.integers(1, 3),
    observed_generation=st.integers(0, 1),
    incarnation=st.integers(1, 3).map(Incarnation),
    failures=st.integers(0, 9),
    create_time=st.just(START),
    update_time=st.just(START),
    next_start_time=st.none() | st.sampled_from([START - timedelta(seconds=1), START + timedelta(seconds=1)]),
    running=st.just(a_spec()),
    submitted=st.booleans(),
    stop_sent=st.booleans(),
    fenced=st.booleans(),
    fence_shards=st.integers(0, 8),
    control_cleared=st.booleans(),
    known_topics=KNOWN_TOPICS,
)


@given(RECORDS, OBSERVATIONS)
def test_every_decision_keeps_to_the_table_and_is_settled_once_made(
    record: JobRecord, seen: Observation
) -> None:
    for action in decide(record, seen, START, Policy()):
        assert action.reason
        if isinstance(action, Write):
            after = action.record
            assert after != record
            assert after.state is record.state or after.state in TRANSITIONS[record.state]
            assert after.incarnation >= record.incarnation
            if after.incarnation > record.incarnation:
                assert after.state is State.STARTING
                assert not (after.submitted or after.fenced or after.stop_sent)
                assert seen.phase.is_over
                assert not seen.predecessor_lives
                assert after.desire.wish is Wish.RUN


@given(RECORDS, OBSERVATIONS)
def test_an_unreachable_runner_never_starts_or_fails_anything(record: JobRecord, seen: Observation) -> None:
    blind = Observation(RunnerPhase.UNKNOWN, seen.shards, "away")
    for action in decide(record, blind, START, Policy()):
        if isinstance(action, Write):
            assert action.record.incarnation == record.incarnation
            assert action.record.failures in (record.failures, 0)
            assert action.record.state is not State.BACKOFF or record.state is State.BACKOFF
        assert type(action).__name__ not in ("Submit", "CancelOnRunner", "Fence")


@given(RECORDS)
def test_a_record_survives_the_store(record: JobRecord) -> None:
    assert from_message(to_message(record, "flink")) == record


def test_the_api_shows_no_running_digest_when_nothing_runs() -> None:
    assert job_message(a_record(State.STOPPED, 1), "flink").running_spec_digest == ""
    assert job_message(a_record(State.RUNNING, 1), "flink").running_spec_digest == a_spec().digest


def test_equal_specs_have_equal_digests() -> None:
    assert records.spec_of(records.spec_message(a_spec())) == a_spec()
