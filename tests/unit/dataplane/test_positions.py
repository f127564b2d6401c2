"""Who owns a partition and from where it is read."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.dataplane.positions import (
    ClaimPlan,
    Committed,
    Origin,
    PartitionKey,
    TopicView,
    encode_metadata,
    parse_metadata,
    plan_claim,
    shard_of,
)

TOPIC = TopicView("in", "id-1", 4)
KEYS = TOPIC.partition_keys()


def plan(
    committed: Mapping[PartitionKey, Committed],
    *,
    shard: int = 0,
    shards: int = 1,
    incarnation: int = 2,
    attempt: int | None = None,
    topics: tuple[TopicView, ...] = (TOPIC,),
    known: Mapping[str, int] | None = None,
) -> ClaimPlan:
    return plan_claim(
        shard=shard,
        shards=shards,
        incarnation=incarnation,
        attempt=attempt,
        topics=topics,
        committed=committed,
        known=known or {},
    )


def at(offset: int, incarnation: int = 1, topic_id: str = "id-1", attempt: int = 1) -> Committed:
    return Committed(offset, incarnation, topic_id, attempt)


def test_the_very_first_start_resolves_the_start_position_of_every_partition_of_every_shard() -> None:
    first = plan({}, shard=0, shards=3)
    assert {claim.key for claim in first.claims} == set(KEYS)
    assert {claim.origin for claim in first.claims} == {Origin.START_POSITION}
    assert first.own == {key for key in KEYS if shard_of("id-1", key.partition, 3) == 0}


@pytest.mark.parametrize("shard", [1, 2])
def test_the_other_shards_wait_for_shard_0_at_the_very_first_start(shard: int) -> None:
    assert plan({}, shard=shard, shards=3).waiting


def test_committed_partitions_go_on_where_they_were() -> None:
    found = plan({key: at(10 + key.partition) for key in KEYS})
    assert {claim.key: claim.offset for claim in found.claims} == {key: 10 + key.partition for key in KEYS}
    assert {claim.origin for claim in found.claims} == {Origin.COMMITTED}


def test_a_partition_that_appeared_later_starts_at_earliest() -> None:
    found = plan({key: at(7) for key in KEYS[:3]}, known={"id-1": 3})
    assert [claim.origin for claim in found.claims] == [*[Origin.COMMITTED] * 3, Origin.EARLIEST]
    assert found.claims[3].offset is None


def test_a_recorded_partition_without_an_offset_is_lost_and_nothing_is_claimed() -> None:
    found = plan({key: at(7) for key in KEYS[:3]}, known={"id-1": 4})
    assert found.lost == (KEYS[3],)
    assert not found.claims


def test_a_job_whose_offsets_are_all_gone_is_lost_and_not_begun_anew() -> None:
    assert plan({}, known={"id-1": 4}).lost == tuple(KEYS)


def test_a_topic_created_again_starts_at_earliest_even_where_old_offsets_remain() -> None:
    found = plan({key: at(70, topic_id="old") for key in KEYS[:2]}, known={"old": 4})
    assert {claim.origin for claim in found.claims} == {Origin.EARLIEST}


def test_an_operators_offset_counts_for_the_topic_as_it_is() -> None:
    found = plan({key: parse_metadata(5, "") for key in KEYS}, known={"id-1": 4})
    assert {claim.offset for claim in found.claims} == {5}


def test_a_newer_incarnation_comes_before_everything_else() -> None:
    assert plan({KEYS[0]: at(7, incarnation=3)}, known={"id-1": 4}).superseded_by == 3


def test_a_shard_without_partitions_still_notices_a_newer_incarnation() -> None:
    one = TopicView("in", "id-1", 1)
    owner = shard_of("id-1", 0, 2)
    found = plan({KEYS[0]: at(7, incarnation=3)}, shard=1 - owner, shards=2, topics=(one,))
    assert not found.own
    assert found.superseded_by == 3


def test_each_start_of_a_shard_takes_the_next_attempt_and_keeps_it() -> None:
    assert plan({}).attempt == 1
    assert plan({key: at(7, attempt=9) for key in KEYS}).attempt == 1, (
        "another incarnation's attempts do not count"
    )
    mine = {key: at(7, incarnation=2, attempt=4) for key in KEYS}
    assert plan(mine).attempt == 5
    assert plan(mine, attempt=4).attempt == 4
    assert plan(mine, attempt=5).attempt == 5


def test_a_shard_that_was_started_once_more_elsewhere_gives_way_to_the_later_start() -> None:
    found = plan({key: at(7, incarnation=2, attempt=5) for key in KEYS}, attempt=4)
    assert found.replaced
    assert not found.claims


@given(
    shards=st.integers(1, 8),
    partitions=st.integers(1, 40),
    known=st.integers(0, 40),
    committed=st.sets(st.integers(0, 39)),
    topic_id=st.sampled_from(["id-1", "old", ""]),
)
def test_partitions_are_claimed_by_exactly_one_shard_with_one_origin_and_never_reset_silently(
    shards: int, partitions: int, known: int, committed: set[int], topic_id: str
) -> None:
    topic = TopicView("in", "id-1", partitions)
    keys = topic.partition_keys()
    positions = {key: at(7, topic_id=topic_id) for key in keys if key.partition in committed}
    counts = {"id-1": known} if known else {}
    plans = [
        plan(positions, shard=shard, shards=shards, topics=(topic,), known=counts) for shard in range(shards)
    ]
    begun = bool(positions) or bool(known)
    assert sorted(key for each in plans for key in each.own) == keys
    for each in plans:
        assert sum([bool(each.lost), each.waiting, bool(each.claims)]) <= 1
        claimed = [claim.key for claim in each.claims]
        assert len(claimed) == len(set(claimed))
        if begun:
            gone = {key for key in each.own if key not in positions and key.partition < known}
            assert set(each.lost) == gone
            assert gone or set(claimed) == each.own
            for claim in each.claims:
                kept = claim.key in positions and topic_id in ("id-1", "")
                assert claim.origin is (Origin.COMMITTED if kept else Origin.EARLIEST)
                assert (claim.offset is not None) == kept
    if not begun:
        assert sorted(claim.key for each in plans for claim in each.claims) == keys


@given(
    st.integers(0, 2**60),
    st.integers(0, 10**17),
    st.integers(0, 10**17),
    st.from_regex(r"[A-Za-z0-9_-]{0,22}", fullmatch=True),
)
def test_metadata_survives_its_way_through_kafka(
    offset: int, incarnation: int, attempt: int, topic_id: str
) -> None:
    text = encode_metadata(incarnation, attempt, topic_id)
    assert len(text) < 4096, "offset.metadata.max.bytes"
    assert parse_metadata(offset, text) == Committed(offset, incarnation, topic_id, attempt)


@pytest.mark.parametrize(
    "foreign", [None, "", "set by hand", "sluice/2 i=3 t=x", "sluice/1 i=-3 t=x", "sluice/1 i=3 t=x\n"]
)
def test_metadata_of_others_counts_as_no_incarnation_of_any_topic(foreign: str | None) -> None:
    assert parse_metadata(5, foreign) == Committed(5, incarnation=0, topic_id="")


@given(st.text())
def test_no_metadata_is_refused(text: str) -> None:
    assert parse_metadata(1, text).offset == 1


def test_metadata_without_an_attempt_is_read() -> None:
    assert parse_metadata(5, "sluice/1 i=3 t=abc") == Committed(5, 3, "abc", 0)


def test_the_shard_of_a_partition_does_not_change_between_versions() -> None:
    assert [shard_of("id-1", partition, 4) for partition in range(6)] == [1, 3, 1, 3, 0, 2]
