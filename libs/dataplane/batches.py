"""What travels between the stages of a job. Batches never leave the process: the stages are fused (see pipeline.py)."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

import pyarrow as pa

from libs.dataplane.positions import PartitionKey

Header = tuple[str, bytes | None]

# The closed list of docs/dead-letters.md.
DeadLetterReason = Literal[
    "UNDECODABLE",
    "MISSING_SCHEMA_ID",
    "UNKNOWN_WRITER_SCHEMA",
    "INCOMPATIBLE_WRITER_SCHEMA",
    "ROW_ERROR",
    "OUTPUT_TOO_LARGE",
    "OUTPUT_REFUSED",
]


class InputMessage(Protocol):
    """A record as confluent-kafka delivers it: without an error, topic, partition and offset are always there."""

    def topic(self) -> str: ...
    def partition(self) -> int: ...
    def offset(self) -> int: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def timestamp(self) -> tuple[int, int]: ...
    def headers(self) -> list[Header] | None: ...


class NotFusedError(RuntimeError):
    """The runner put the stages of a job into different processes; the exactly-once protocol does not hold there."""


class StaleBatchError(RuntimeError):
    """A batch comes from a session that another one has replaced in this process; it must not be written."""


@dataclass(frozen=True, slots=True)
class ShardIdentity:
    """One shard of one start of a job."""

    job: str
    incarnation: int
    shard: int


@dataclass(frozen=True, slots=True)
class PositionRange:
    """Positions of one partition that a batch covers: `first` inclusive, `next` exclusive, markers included."""

    key: PartitionKey
    first: int
    next: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that cannot be processed. `ordinal` counts in the batch's messages."""

    ordinal: int
    reason: DeadLetterReason
    detail: str


@dataclass(frozen=True, slots=True)
class SchemaGroup:
    """Messages of a batch that one writer schema describes; `skip` bytes of framing precede each datum."""

    writer_schema: str
    skip: int
    ordinals: list[int]


@dataclass(slots=True)
class MessageBatch:
    """Messages as read, in the order of consumption, grouped by writer schema. `reader` is the session that read it."""

    identity: ShardIdentity
    reader: str
    messages: list[InputMessage]
    groups: list[SchemaGroup]
    ranges: list[PositionRange]
    dead_letters: list[DeadLetter] = field(default_factory=list)


@dataclass(slots=True)
class RowBatch:
    """Decoded rows; `ordinals` maps each row to its message."""

    source: MessageBatch
    rows: pa.RecordBatch
    ordinals: list[int]


@dataclass(slots=True)
class OutputBatch:
    """Encoded rows: `values[i]` is the output of message `ordinals[i]`."""

    source: MessageBatch
    values: list[bytes]
    ordinals: list[int]
