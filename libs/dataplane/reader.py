"""The unbounded splittable DoFn that reads one shard and never returns until it is told to (docs/adr/0006)."""

from collections.abc import Iterator

import apache_beam as beam
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.transforms.core import RestrictionProvider

from libs.dataplane.batches import MessageBatch, ShardIdentity
from libs.dataplane.placement import shard_in
from libs.dataplane.sessions import close_session, open_session, tune_garbage_collector
from sluice.dataplane.v1 import job_spec_pb2

# The restriction says only "running" or "stopped": every turn of the loop claims one number of this range.
_TURNS = OffsetRange(0, 2**62)


class TurnTracker(OffsetRestrictionTracker):
    """Refuses every split but the checkpoint (fraction 0), after which the loop ends and the rest is read later."""

    def try_split(self, fraction_of_remainder: float) -> tuple[OffsetRange, OffsetRange] | None:
        if fraction_of_remainder != 0:
            return None
        split: tuple[OffsetRange, OffsetRange] | None = super().try_split(0)
        return split

    def is_bounded(self) -> bool:
        return False


class ShardRestriction(RestrictionProvider):
    """One restriction a shard, never split at the start."""

    def initial_restriction(self, element: object) -> OffsetRange:
        return _TURNS

    def create_tracker(self, restriction: OffsetRange) -> TurnTracker:
        return TurnTracker(restriction)

    def restriction_size(self, element: object, restriction: OffsetRange) -> int:
        return 1

    def split(self, element: object, restriction: OffsetRange) -> Iterator[OffsetRange]:
        yield restriction


class ReadShard(beam.DoFn):
    """Element: a shard as `placement.salts` makes them. A batch is written before the next is read."""

    def __init__(self, job: str, incarnation: int, spec: bytes) -> None:
        self._job = job
        self._incarnation = incarnation
        self._spec = spec

    def setup(self) -> None:
        tune_garbage_collector()

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: bytes,
        tracker: TurnTracker = beam.DoFn.RestrictionParam(ShardRestriction()),  # type: ignore[assignment]  # noqa: B008
    ) -> Iterator[MessageBatch]:
        identity = ShardIdentity(self._job, self._incarnation, shard_in(element))
        session = open_session(identity, job_spec_pb2.JobSpec.FromString(self._spec))
        turn = tracker.current_restriction().start
        try:
            for batch in session.batches():
                if not tracker.try_claim(turn):
                    # A checkpoint: this batch is read again later, what is written stays.
                    session.settle()
                    return
                turn += 1
                if batch is not None:
                    yield batch
            tracker.try_claim(_TURNS.stop - 1)
        finally:
            close_session(session)
