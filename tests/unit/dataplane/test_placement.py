"""Elements that Flink places one to a subtask."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.dataplane.placement import (
    _murmur3_128_first_word,
    default_max_parallelism,
    salts,
    shard_in,
    subtask_of,
)


@pytest.mark.parametrize(
    ("data", "digest"),
    # MurmurHash3_x64_128, seed 0 (Guava: Hashing.murmur3_128().hashBytes(data).toString()).
    [
        (b"", "00000000"),
        (b"hello", "029bbd41"),
        (b"hello, world", "8ebc5e3a"),
        (b"The quick brown fox jumps over the lazy dog", "6c1b07bc"),
    ],
)
def test_the_hash_is_murmur3(data: bytes, digest: str) -> None:
    assert _murmur3_128_first_word(data).to_bytes(4, "little").hex() == digest


@pytest.mark.parametrize(
    ("parallelism", "expected"), [(1, 128), (85, 128), (86, 256), (128, 256), (1000, 2048), (32768, 32768)]
)
def test_the_default_max_parallelism_is_flinks(parallelism: int, expected: int) -> None:
    assert default_max_parallelism(parallelism) == expected


@given(st.integers(1, 48), st.sampled_from([None, 128, 1024]))
def test_each_shard_has_a_subtask_of_its_own(shards: int, max_parallelism: int | None) -> None:
    elements = salts(shards, shards, max_parallelism)
    groups = max_parallelism or default_max_parallelism(shards)
    assert [subtask_of(element, shards, groups) for element in elements] == list(range(shards))
    assert [shard_in(element) for element in elements] == list(range(shards))
    assert elements == salts(shards, shards, max_parallelism)


def test_the_elements_are_those_that_were_seen_one_to_a_subtask_on_flink() -> None:
    assert salts(4, 4) == [b"0#3", b"1#3", b"2#1", b"3#12"]


@given(st.binary(max_size=300), st.integers(1, 128))
def test_every_element_is_on_a_subtask_that_exists(element: bytes, parallelism: int) -> None:
    assert 0 <= subtask_of(element, parallelism, 128) < parallelism


@pytest.mark.parametrize(
    ("shards", "parallelism", "groups"), [(0, 1, None), (3, 2, None), (2, 2, 1), (1, 1, 40000)]
)
def test_what_cannot_be_placed_is_refused(shards: int, parallelism: int, groups: int | None) -> None:
    with pytest.raises(ValueError, match="must be from"):
        salts(shards, parallelism, groups)
