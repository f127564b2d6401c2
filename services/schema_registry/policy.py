"""What each compatibility level asks for, and the verdict on a new version. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from libs.codec.tree import Schema
from services.schema_registry.compatibility import incompatibilities
from services.schema_registry.model import Compatibility, Direction, VersionIncompatibility

DEFAULT_COMPATIBILITY: Final = Compatibility.BACKWARD


@dataclass(frozen=True, slots=True)
class Demands:
    """`is_transitive`: of every earlier version, not just of the latest."""

    directions: tuple[Direction, ...]
    is_transitive: bool


_BACKWARD: Final = (Direction.NEW_READS_OLD,)
_FORWARD: Final = (Direction.OLD_READS_NEW,)

DEMANDS: Final = {
    Compatibility.NONE: Demands((), is_transitive=False),
    Compatibility.BACKWARD: Demands(_BACKWARD, is_transitive=False),
    Compatibility.BACKWARD_TRANSITIVE: Demands(_BACKWARD, is_transitive=True),
    Compatibility.FORWARD: Demands(_FORWARD, is_transitive=False),
    Compatibility.FORWARD_TRANSITIVE: Demands(_FORWARD, is_transitive=True),
    Compatibility.FULL: Demands(_BACKWARD + _FORWARD, is_transitive=False),
    Compatibility.FULL_TRANSITIVE: Demands(_BACKWARD + _FORWARD, is_transitive=True),
}


def effective(compatibility: Compatibility) -> Compatibility:
    """What is in force for a subject with this setting."""
    return DEFAULT_COMPATIBILITY if compatibility is Compatibility.UNSPECIFIED else compatibility


def judge(
    new: Schema, old: Schema, version: int, directions: tuple[Direction, ...]
) -> Iterator[VersionIncompatibility]:
    """All that stands between the new schema and the existing `version`."""
    for direction in directions:
        reader, writer = (new, old) if direction is Direction.NEW_READS_OLD else (old, new)
        for reason in incompatibilities(reader, writer):
            yield VersionIncompatibility(version, direction, reason)
