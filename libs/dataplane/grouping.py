"""Sorts consumed messages by writer schema, and holds back what cannot be decoded yet. No I/O of its own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from libs.codec.framing import VALUE_SCHEMA_ID_HEADER, FramingError, Guid, SchemaRef, parse_framing
from libs.dataplane.batches import DeadLetter, Header, InputMessage, SchemaGroup
from libs.dataplane.positions import PartitionKey
from libs.dataplane.schemas import Known, Pending, Unknown, WriterSchemas


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
        headers is kept in locals, for this loop is the data path's only one in Python over all messages.
        """
        grouping = Grouping()
        kept, following = grouping.messages, grouping.next_positions
        groups: dict[tuple[str, int], SchemaGroup] = {}
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
                if key not in positions or key in grouping.held_back:
                    key = None
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
                found = self._identify(headers, value, groups, grouping)
                seen = headers
            if found.pending is not None:
                grouping.held_back[key] = found.pending
                following[key] = next_position
                key = None
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
        grouping.groups = [group for group in groups.values() if group.ordinals]
        self._apply_ends(grouping, positions)
        return grouping

    def _identify(
        self,
        headers: list[Header] | None,
        value: bytes,
        groups: dict[tuple[str, int], SchemaGroup],
        grouping: Grouping,
    ) -> "_Found":
        """What becomes of a message with these headers, or, where they name no schema, of this very message."""
        try:
            framing = parse_framing(_schema_header(headers), value)
        except FramingError as error:
            return _Found(reason="MISSING_SCHEMA_ID", detail=str(error))
        ref = framing.schema
        if isinstance(ref, Guid):
            grouping.schema_guids.add(str(ref.value))
        match self._schemas.get(ref):
            case Pending():
                return _Found(pending=ref)
            case Unknown():
                return _Found(
                    reason="UNKNOWN_WRITER_SCHEMA", detail=f"the registry has no schema {ref.value}"
                )
            case Known(definition):
                fresh = SchemaGroup(definition, framing.skip, [])
                return _Found(ordinals=groups.setdefault((definition, framing.skip), fresh).ordinals)

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
    reason: str = ""
    detail: str = ""


_NOTHING = _Found()


def _schema_header(headers: list[Header] | None) -> bytes | None:
    """The last `__value_schema_id` header, as Kafka's clients take it."""
    for name, content in reversed(headers or ()):
        if name == VALUE_SCHEMA_ID_HEADER:
            return content if isinstance(content, bytes) else b""
    return None
