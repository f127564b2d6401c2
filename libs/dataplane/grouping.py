"""Sorts consumed messages by writer schema, and holds back what cannot be decoded yet. No I/O of its own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from libs.codec.framing import (
    HEADER_BYTES,
    PREFIX_BYTES,
    VALUE_SCHEMA_ID_HEADER,
    Framing,
    FramingError,
    Guid,
    SchemaRef,
    parse_framing,
)
from libs.dataplane.batches import DeadLetter, DeadLetterReason, Header, InputMessage, SchemaGroup
from libs.dataplane.positions import PartitionKey
from libs.dataplane.schemas import Known, Pending, Unknown, WriterSchemas

# How many messages behind a held-back one are looked at for further unknown schemas, in one poll.
_ASK_AHEAD_MESSAGES = 1000


@dataclass(slots=True)
class Grouping:
    """The usable part of one poll.

    next_positions: per partition, the offset after what is used here (markers at a partition's end included).
    held_back: partitions of which messages were left out, and the writer schema that is not known yet.
    """

    messages: list[InputMessage] = field(default_factory=list)
    groups: list[SchemaGroup] = field(default_factory=list)
    next_positions: dict[PartitionKey, int] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    held_back: dict[PartitionKey, SchemaRef] = field(default_factory=dict)
    bytes: int = 0
    schema_guids: set[str] = field(default_factory=set)


class MessageGrouper:
    """Knows the writer schemas and the ends of partitions that the client has told."""

    def __init__(self, schemas: WriterSchemas) -> None:
        self._schemas = schemas
        self._ends: dict[PartitionKey, int] = {}

    def end_of_partition(self, key: PartitionKey, position: int) -> None:
        """Everything up to `position` was delivered: what lies before it and did not come is no data (markers)."""
        self._ends[key] = position

    def group(self, messages: Iterable[InputMessage], positions: Mapping[PartitionKey, int]) -> Grouping:
        """Group the messages of the partitions in `positions`; others' (just unassigned) are dropped.

        Messages come in runs of one partition, and mostly with the same headers: what is known of the run and of the
        headers is kept in locals, for this loop is the data path's only one in Python over all messages. Headers that
        do not name a schema say nothing of the next message: its own first bytes do.
        """
        grouping = Grouping()
        kept, following = grouping.messages, grouping.next_positions
        identify = _Identification(self._schemas, grouping)
        topic: str | None = None
        partition = -1
        key: PartitionKey | None = None
        position = next_position = size = 0
        seen: list[Header] | None = None
        found = _NOTHING
        for message in messages:
            if message.partition() != partition or message.topic() != topic:
                if key is not None:
                    following[key] = next_position
                topic, partition = message.topic(), message.partition()
                key = PartitionKey(topic, partition)
                if key not in positions:
                    key = None
                elif key in grouping.held_back:
                    identify.ask_ahead(message)
                    key, partition = None, -1
                else:
                    position = positions[key]
                    next_position = following.get(key, position)
            if key is None:
                continue
            offset = message.offset()
            if offset < position:
                continue
            headers, value = message.headers(), message.value() or b""
            if headers is None or headers != seen:
                header = _schema_header(headers)
                found = identify(header, value)
                seen = None if header is None else headers
            if found.pending is not None:
                grouping.held_back[key] = found.pending
                following[key] = next_position
                # The next message of the partition starts a new run, which is then found to be held back.
                key, partition = None, -1
                continue
            if found.ordinals is None:
                grouping.dead_letters.append(DeadLetter(len(kept), found.reason, found.detail))
            else:
                found.ordinals.append(len(kept))
            kept.append(message)
            size += len(value)
            next_position = offset + 1
        if key is not None:
            following[key] = next_position
        grouping.bytes = size
        grouping.groups = identify.groups()
        self._apply_ends(grouping, positions)
        return grouping

    def _apply_ends(self, grouping: Grouping, positions: Mapping[PartitionKey, int]) -> None:
        for key, end in self._ends.items():
            if key in grouping.held_back or key not in positions:
                continue
            grouping.next_positions[key] = max(end, grouping.next_positions.get(key, positions[key]))
        self._ends.clear()


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a message goes: to a group, to the dead letters, or nowhere until its schema is known."""

    ordinals: list[int] | None = None
    pending: SchemaRef | None = None
    reason: DeadLetterReason = "UNKNOWN_WRITER_SCHEMA"
    detail: str = ""


_NOTHING = _Found()


class _Identification:
    """What becomes of the messages of one poll, by how they name their schema on the wire."""

    def __init__(self, schemas: WriterSchemas, grouping: Grouping) -> None:
        self._schemas = schemas
        self._grouping = grouping
        self._groups: dict[tuple[str, int], SchemaGroup] = {}
        self._by_wire: dict[tuple[bool, bytes], _Found] = {}
        self._asked_ahead = 0

    def __call__(self, header: bytes | None, value: bytes) -> _Found:
        wire = (header is not None, value[: _prefix_bytes(value)] if header is None else header)
        found = self._by_wire.get(wire)
        if found is None:
            try:
                framing = parse_framing(header, value)
            except FramingError as error:
                return _Found(reason="MISSING_SCHEMA_ID", detail=str(error))
            found = self._by_wire[wire] = self._look_up(framing)
        return found

    def ask_ahead(self, message: InputMessage) -> None:
        """Ask for the schema of a message behind one that is held back, so that their waits do not add up."""
        if self._asked_ahead < _ASK_AHEAD_MESSAGES:
            self._asked_ahead += 1
            self(_schema_header(message.headers()), message.value() or b"")

    def groups(self) -> list[SchemaGroup]:
        return [group for group in self._groups.values() if group.ordinals]

    def _look_up(self, framing: Framing) -> _Found:
        ref, skip = framing.schema, framing.skip
        if isinstance(ref, Guid):
            self._grouping.schema_guids.add(str(ref.value))
        match self._schemas.get(ref):
            case Pending():
                return _Found(pending=ref)
            case Unknown():
                detail = f"the registry has no schema {ref.value}"
                return _Found(reason="UNKNOWN_WRITER_SCHEMA", detail=detail)
            case Known(definition):
                fresh = SchemaGroup(definition, skip, [])
                return _Found(ordinals=self._groups.setdefault((definition, skip), fresh).ordinals)


def _prefix_bytes(value: bytes) -> int:
    return PREFIX_BYTES if value[:1] == b"\x00" else HEADER_BYTES


def _schema_header(headers: list[Header] | None) -> bytes | None:
    """The last `__value_schema_id` header, as Kafka's clients take it."""
    for name, content in reversed(headers or ()):
        if name == VALUE_SCHEMA_ID_HEADER:
            return content if isinstance(content, bytes) else b""
    return None
