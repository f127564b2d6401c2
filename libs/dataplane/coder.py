"""The coder of batches: they never leave their process, and Beam's size sampling must not encode them."""

from typing import NoReturn

from apache_beam.coders import Coder

from libs.dataplane.batches import MessageBatch, NotFusedError, OutputBatch, RowBatch

Batch = MessageBatch | RowBatch | OutputBatch


class InProcessCoder(Coder):
    """Refuses to encode: a runner that asks for it did not fuse the stages of the job."""

    def encode(self, value: Batch) -> NoReturn:
        raise NotFusedError(
            "a batch was about to leave its process: the runner did not fuse the job's stages"
        )

    def decode(self, encoded: bytes) -> NoReturn:
        raise NotFusedError("a batch came from another process: the runner did not fuse the job's stages")

    def estimate_size(self, value: Batch) -> int:
        """Rows, not bytes: all that Beam's metrics need to know."""
        return len(value.messages if isinstance(value, MessageBatch) else value.ordinals)

    def is_deterministic(self) -> bool:
        return False
