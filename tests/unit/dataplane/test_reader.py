"""The restriction of the reader: it runs until it is told to stop."""

from typing import Any

import pytest
from apache_beam.io.restriction_trackers import OffsetRange

from libs.dataplane.batches import MessageBatch, NotFusedError, ShardIdentity
from libs.dataplane.coder import InProcessCoder
from libs.dataplane.reader import ShardRestriction, TurnTracker
from libs.dataplane.sessions import find_session


def tracker() -> Any:  # Beam does not type its trackers
    return ShardRestriction().create_tracker(ShardRestriction().initial_restriction(b"0#0"))


@pytest.mark.parametrize("fraction", [0.0001, 0.5, 1.0])
def test_nothing_but_a_checkpoint_splits(fraction: float) -> None:
    running = tracker()
    assert running.try_claim(0)
    assert running.try_split(fraction) is None
    assert running.try_claim(1)


def test_a_checkpoint_ends_the_loop_and_the_rest_goes_on_after_it() -> None:
    running = tracker()
    assert running.try_claim(0)
    split = running.try_split(0)
    assert split is not None
    primary, residual = split
    assert (primary.stop, residual.start) == (1, 1)
    assert not running.try_claim(1)
    running.check_done()
    resumed: Any = TurnTracker(residual)
    assert resumed.try_claim(1)


def test_a_checkpoint_before_the_first_turn_leaves_all_turns() -> None:
    running = tracker()
    split = running.try_split(0)
    assert split is not None
    assert not running.try_claim(split[1].start)
    running.check_done()


def test_a_session_that_ended_is_done_with_all_turns() -> None:
    running = tracker()
    whole = running.current_restriction()
    assert running.try_claim(0)
    running.try_claim(whole.stop - 1)
    running.check_done()


def test_the_restriction_is_unbounded_and_never_split_at_the_start() -> None:
    restriction = ShardRestriction()
    whole = restriction.initial_restriction(b"0#0")
    assert list(restriction.split(b"0#0", whole)) == [whole]
    assert not restriction.create_tracker(whole).is_bounded()
    assert restriction.restriction_size(b"0#0", OffsetRange(0, 10)) == 1


def test_stages_in_another_process_than_the_reader_refuse() -> None:
    with pytest.raises(NotFusedError):
        find_session(ShardIdentity("jobs/nowhere", 1, 0))


def test_a_batch_refuses_to_be_encoded() -> None:
    batch = MessageBatch(ShardIdentity("jobs/a", 1, 0), "reader", [], [], [])
    coder = InProcessCoder()
    assert coder.estimate_size(batch) == 0
    with pytest.raises(NotFusedError):
        coder.encode(batch)
    with pytest.raises(NotFusedError):
        coder.decode(b"")
