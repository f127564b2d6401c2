"""Find what a name in a statement means, in the schema of the dataset."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

TABLE = "events"

PSEUDO_COLUMNS = pa.schema(
    [
        pa.field("_topic", pa.string(), nullable=False),
        pa.field("_partition", pa.int32(), nullable=False),
        pa.field("_offset", pa.int64(), nullable=False),
        pa.field("_timestamp", pa.timestamp("ms", tz="UTC"), nullable=False),
        pa.field("_key", pa.binary(), nullable=True),
    ]
)
"""The record's own place in Kafka, selectable by name and not part of `*`."""


@dataclass(frozen=True)
class Name:
    """An identifier as written; a quoted one matches by its exact case only."""

    text: str
    quoted: bool
    position: int


@dataclass(frozen=True)
class Resolved:
    """A column or a nested field: its path of exact names and its type."""

    path: tuple[str, ...]
    type: pa.DataType


@dataclass(frozen=True)
class Unresolved:
    """Why a name means nothing: `ambiguous` candidates, or none and perhaps a near one."""

    name: Name
    ambiguous: tuple[str, ...]
    nearest: str


def planning_schema(input_schema: pa.Schema) -> pa.Schema:
    """The schema of the table `events`: the dataset's fields, then the pseudo-columns.

    A field of the dataset named like a pseudo-column is left out: the name means the pseudo-column.
    """
    fields = [field for field in input_schema if field.name not in PSEUDO_COLUMNS.names]
    return pa.schema([*fields, *PSEUDO_COLUMNS])


def nearest_name(name: str, known: Iterable[str]) -> str:
    """The known name most like `name`, or an empty string."""
    by_lower = {candidate.lower(): candidate for candidate in sorted(known, reverse=True)}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.7)
    return by_lower[close[0]] if close else ""


def match_name(name: Name, known: list[str]) -> str | Unresolved:
    """The field a name means: the exact one, else the only one that differs by case alone."""
    if name.text in known:
        return name.text
    if not name.quoted:
        folded = [candidate for candidate in known if candidate.lower() == name.text.lower()]
        if len(folded) == 1:
            return folded[0]
        if folded:
            return Unresolved(name, tuple(folded), "")
    return Unresolved(name, (), nearest_name(name.text, known))


def resolve_field(base: Resolved, name: Name) -> Resolved | Unresolved:
    """A field of a nested record; a type that is no record has no fields."""
    if not pa.types.is_struct(base.type):
        return Unresolved(name, (), "")
    known = [base.type.field(index).name for index in range(base.type.num_fields)]
    matched = match_name(name, known)
    if isinstance(matched, Unresolved):
        return matched
    return Resolved((*base.path, matched), base.type.field(matched).type)


def resolve_path(schema: pa.Schema, table_names: frozenset[str], parts: list[Name]) -> Resolved | Unresolved:
    """What `a.b.c` means: a column before a table's name when both fit."""
    first = match_name(parts[0], schema.names)
    if isinstance(first, Unresolved):
        if len(parts) > 1 and parts[0].text.lower() in table_names and not first.ambiguous:
            return resolve_path(schema, frozenset(), parts[1:])
        return first
    resolved = Resolved((first,), schema.field(first).type)
    for part in parts[1:]:
        inner = resolve_field(resolved, part)
        if isinstance(inner, Unresolved):
            if len(resolved.path) == 1 and parts[0].text.lower() in table_names:
                return resolve_path(schema, frozenset(), parts[1:])
            return inner
        resolved = inner
    return resolved


def quote(name: str) -> str:
    """An identifier as the engine reads it exactly."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def quote_text(text: str) -> str:
    """A string literal as the engine reads it exactly."""
    escaped = text.replace("'", "''")
    return f"'{escaped}'"


def flat_name(path: tuple[str, ...]) -> str:
    """The column of the executed table that holds a path. Avro names have no dots, so it cannot clash."""
    return ".".join(path)


def flat_schema(schema: pa.Schema) -> pa.Schema:
    """The columns of a schema and, beside them, every nested field as a column of its own.

    Nested fields are flattened before the engine sees them because its get_field ignores the nulls of the
    records
    around a field: it would give whatever lies in the memory of a record that is null.
    """
    fields: list[pa.Field] = []

    def add(path: tuple[str, ...], field: pa.Field, nullable: bool) -> None:
        fields.append(pa.field(flat_name(path), field.type, nullable, field.metadata))
        if pa.types.is_struct(field.type):
            for index in range(field.type.num_fields):
                inner = field.type.field(index)
                add((*path, inner.name), inner, nullable or inner.nullable)

    for field in schema:
        add((field.name,), field, field.nullable)
    return pa.schema(fields)


def flatten(batch: pa.RecordBatch, path: tuple[str, ...]) -> pa.Array:
    """The values at a path; null where a record around it is null. Raises KeyError for a missing column."""
    column = batch.column(path[0])
    return column if len(path) == 1 else pc.struct_field(column, list(path[1:]))
