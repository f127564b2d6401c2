"""Sorts consumed messages by writer schema, and holds back what cannot be decoded yet. No I/O of its own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from libs.codec.framing import VALUE_SCHEMA_ID_HEADER, FramingError, Guid, SchemaRef, parse_framing
from libs.dataplane.batches import DeadLetter, InputMessage, SchemaGroup
from libs.dataplane.positions import PartitionKey
from libs.dataplane.schemas import Known, Pending, Unknown, WriterSchemas

# The longest prefix that names a schema: 0x01 and a GUID.
_PREFIX_BYTES = 17


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
    """Remembers how recent schema ids look on the wire, so that a message costs one dictionary look-up."""

    def __init__(self, schemas: WriterSchemas) -> None:
        self._schemas = schemas
        self._ends: dict[PartitionKey, int] = {}

    def end_of_partition(self, key: PartitionKey, position: int) -> None:
        """Everything up to `position` was delivered: what lies before it and did not come is no data (markers)."""
        self._ends[key] = position

    def group(self, messages: Iterable[InputMessage], positions: Mapping[PartitionKey, int]) -> Grouping:
        """Group the messages of the partitions in `positions`; others' (just unassigned) are dropped."""
        grouping = Grouping()
        groups: dict[tuple[str, int], SchemaGroup] = {}
        partitions: dict[tuple[str, int], PartitionKey | None] = {}
        current: dict[tuple[bool, bytes], tuple[SchemaRef, int, Known | Unknown | Pending]] = {}
        for message in messages:
            place = (message.topic(), message.partition())
            key = partitions.get(place)
            if key is None:
                if place in partitions:
                    continue
                found = PartitionKey(*place)
                key = partitions[place] = found if found in positions else None
                if key is None:
                    continue
                grouping.next_positions[key] = positions[key]
            if key in grouping.held_back or message.offset() < positions[key]:
                continue
            value = message.value() or b""
            ordinal = len(grouping.messages)
            header = _schema_header(message)
            wire = (
                header
                if header is not None
                else (value[:5] if value[:1] == b"\x00" else value[:_PREFIX_BYTES])
            )
            known = current.get((header is None, wire))
            if known is None:
                try:
                    framing = parse_framing(header, value)
                except FramingError as error:
                    self._dead(grouping, message, "MISSING_SCHEMA_ID", str(error))
                    grouping.next_positions[key] = message.offset() + 1
                    continue
                answer = self._schemas.get(framing.schema)
                known = current[header is None, wire] = (framing.schema, framing.skip, answer)
                if isinstance(framing.schema, Guid):
                    grouping.schema_guids.add(str(framing.schema.value))
            ref, skip, answer = known
            if isinstance(answer, Pending):
                grouping.held_back[key] = ref
                continue
            if isinstance(answer, Unknown):
                self._dead(
                    grouping, message, "UNKNOWN_WRITER_SCHEMA", f"the registry has no schema {ref.value}"
                )
            else:
                group = groups.get((answer.definition, skip))
                if group is None:
                    group = groups[answer.definition, skip] = SchemaGroup(answer.definition, skip, [])
                group.ordinals.append(ordinal)
                grouping.messages.append(message)
                grouping.bytes += len(value)
            grouping.next_positions[key] = message.offset() + 1
        grouping.groups = list(groups.values())
        self._apply_ends(grouping, positions)
        return grouping

    def _dead(self, grouping: Grouping, message: InputMessage, reason: str, detail: str) -> None:
        grouping.dead_letters.append(DeadLetter(len(grouping.messages), reason, detail))
        grouping.messages.append(message)
        grouping.bytes += len(message.value() or b"")

    def _apply_ends(self, grouping: Grouping, positions: Mapping[PartitionKey, int]) -> None:
        for key, end in self._ends.items():
            if key in grouping.held_back or key not in positions:
                continue
            grouping.next_positions[key] = max(end, grouping.next_positions.get(key, positions[key]))
        self._ends.clear()


def _schema_header(message: InputMessage) -> bytes | None:
    """The last `__value_schema_id` header, as Kafka's clients take it."""
    for name, content in reversed(message.headers() or ()):
        if name == VALUE_SCHEMA_ID_HEADER:
            return content if isinstance(content, bytes) else b""
    return None
