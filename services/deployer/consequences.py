"""What a change of each JobSpec field means for a running job, in one table, and the verdict on a whole spec.

The ladder of verdicts is in architecture.md: NO_OP < IN_FLIGHT_UPDATE < HANDOVER < REPLACE_FROM_SAVEPOINT <
DRAIN_AND_REPLACE < REJECT. Three of them are given today; the others keep their place.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from google.protobuf.message import Message

from sluice.dataplane.v1 import job_spec_pb2


class Verdict(enum.IntEnum):
    """Weakest first; the strongest of all changed fields is the verdict on a spec."""

    NO_OP = 1
    IN_FLIGHT_UPDATE = 2
    HANDOVER = 3
    REPLACE_FROM_SAVEPOINT = 4
    DRAIN_AND_REPLACE = 5
    REJECT = 6


@dataclass(frozen=True, slots=True)
class Consequence:
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The verdict on a spec and its reasons, the strongest first."""

    verdict: Verdict
    reasons: tuple[str, ...]


_POSITIONS = "the positions and the control records of a job live on the cluster of its sink; make a new job"

CONSEQUENCES: Mapping[str, Consequence] = {
    "tenant": Consequence(Verdict.REJECT, "a job belongs to one tenant for life; make a new job"),
    "source.dataset": Consequence(
        Verdict.REJECT, "positions in one dataset mean nothing in another; make a new job"
    ),
    "source.topics": Consequence(Verdict.DRAIN_AND_REPLACE, "the reader is assigned other topics"),
    "source.start_position": Consequence(
        Verdict.REJECT, "the start position was resolved once, at the first start; make a new job"
    ),
    "source.schema_guid": Consequence(
        Verdict.DRAIN_AND_REPLACE, "the statement is compiled against another schema"
    ),
    "source.reader_schema": Consequence(Verdict.DRAIN_AND_REPLACE, "events are decoded to another schema"),
    "source.referenced_fields": Consequence(Verdict.DRAIN_AND_REPLACE, "other fields are decoded"),
    "source.pseudo_columns": Consequence(Verdict.DRAIN_AND_REPLACE, "other pseudo-columns are provided"),
    "source.schema_registry": Consequence(
        Verdict.DRAIN_AND_REPLACE, "writer schemas are looked up elsewhere"
    ),
    "outputs.subscription": Consequence(Verdict.DRAIN_AND_REPLACE, "dead letters name another subscription"),
    "outputs.sql": Consequence(Verdict.DRAIN_AND_REPLACE, "another statement runs"),
    "outputs.format": Consequence(Verdict.DRAIN_AND_REPLACE, "rows are encoded in another format"),
    "outputs.schema": Consequence(Verdict.DRAIN_AND_REPLACE, "rows have another schema"),
    "outputs.schema_guid": Consequence(Verdict.DRAIN_AND_REPLACE, "messages name another schema"),
    "outputs.sink.cluster": Consequence(Verdict.REJECT, _POSITIONS),
    "outputs.sink.bootstrap_servers": Consequence(
        Verdict.DRAIN_AND_REPLACE, "the sink's cluster is reached otherwise"
    ),
    "outputs.sink.topic": Consequence(Verdict.DRAIN_AND_REPLACE, "rows go to another topic"),
    "engine": Consequence(
        Verdict.REJECT,
        "another engine keeps its state elsewhere, nothing may be lost silently; make a new job",
    ),
    "dead_letters.cluster": Consequence(Verdict.REJECT, _POSITIONS),
    "dead_letters.bootstrap_servers": Consequence(
        Verdict.DRAIN_AND_REPLACE, "the dead letters' cluster is reached otherwise"
    ),
    "dead_letters.topic": Consequence(Verdict.DRAIN_AND_REPLACE, "dead letters go to another topic"),
    "shards": Consequence(Verdict.DRAIN_AND_REPLACE, "the number of shards is fixed for an incarnation"),
    "limits": Consequence(Verdict.DRAIN_AND_REPLACE, "readers and writers are set up with other limits"),
    "pipeline_version": Consequence(Verdict.DRAIN_AND_REPLACE, "the pipeline's own code is another version"),
}
"""A path covers all below it. Repeated messages are one path; a change in any entry is a change of it."""


def plan(current: job_spec_pb2.JobSpec | None, wanted: job_spec_pb2.JobSpec, *, ever_started: bool) -> Plan:
    """The verdict on `wanted` for a job whose spec is `current`; None for a job that does not exist yet."""
    inconsistent = _inconsistencies(wanted)
    if inconsistent:
        return Plan(Verdict.REJECT, inconsistent)
    if current is None:
        return Plan(Verdict.DRAIN_AND_REPLACE, ("the job is new: there is nothing to drain, it is started",))
    found = sorted(
        ((_consequence(path, ever_started), path) for path in changed_paths(current, wanted)),
        key=lambda item: (-item[0].verdict, item[1]),
    )
    if not found:
        return Plan(Verdict.NO_OP, ("the spec is the one last applied",))
    return Plan(found[0][0].verdict, tuple(f"{path}: {consequence.why}" for consequence, path in found))


def _consequence(path: str, ever_started: bool) -> Consequence:
    if path == "source.start_position" and not ever_started:
        return Consequence(Verdict.DRAIN_AND_REPLACE, "the job never started, so no position is recorded")
    return CONSEQUENCES[path]


def changed_paths(current: Message, wanted: Message) -> tuple[str, ...]:
    """The paths of CONSEQUENCES at which the two specs differ."""
    return tuple(dict.fromkeys(_changed(current, wanted, "")))


def declared_path(path: str) -> str | None:
    """The entry of CONSEQUENCES that covers a field path: itself or its nearest ancestor."""
    while path and path not in CONSEQUENCES:
        path = path.rpartition(".")[0]
    return path or None


def _changed(current: Message, wanted: Message, prefix: str) -> Iterator[str]:
    for field in current.DESCRIPTOR.fields:
        path = f"{prefix}{field.name}"
        if _equal(current, wanted, field.name, has_presence=field.has_presence):
            continue
        if path in CONSEQUENCES:
            yield path
        elif field.is_repeated:
            yield from _changed_entries(getattr(current, field.name), getattr(wanted, field.name), path)
        elif field.message_type is not None:
            yield from _changed(getattr(current, field.name), getattr(wanted, field.name), f"{path}.")
        else:
            raise LookupError(f"JobSpec.{path} has no consequence declared")


def _changed_entries(current: list[Message], wanted: list[Message], path: str) -> Iterator[str]:
    for index in range(max(len(current), len(wanted))):
        empty = type((current or wanted)[0])()
        before = current[index] if index < len(current) else empty
        after = wanted[index] if index < len(wanted) else empty
        yield from _changed(before, after, f"{path}.")


def _equal(current: Message, wanted: Message, name: str, *, has_presence: bool) -> bool:
    if has_presence and current.HasField(name) != wanted.HasField(name):
        return False
    return bool(getattr(current, name) == getattr(wanted, name))


def _inconsistencies(spec: job_spec_pb2.JobSpec) -> tuple[str, ...]:
    """What the rules of a single field cannot say."""
    return tuple(
        f"outputs.sink.cluster: {output.sink.cluster} is not the cluster of the dead letters, "
        f"{spec.dead_letters.cluster}: one transaction cannot span both"
        for output in spec.outputs
        if (output.sink.cluster, output.sink.bootstrap_servers)
        != (spec.dead_letters.cluster, spec.dead_letters.bootstrap_servers)
    )
