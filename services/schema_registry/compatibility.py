"""Whether a reader's schema can read what a writer's schema wrote: schema resolution of Avro 1.12, pure.

The verdict is that of Avro for Java (`SchemaCompatibility`), and with it of Confluent's registry, with two differences:
a changed scale, precision or time unit of a logical type is an incompatibility (Java compares only the types below, and
a reader would take milliseconds for microseconds); and records that contain themselves are decided by the greatest
fixed point instead of by the order in which pairs happen to be visited.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from libs.codec.tree import (
    Array,
    Enum,
    Field,
    Fixed,
    Map,
    NamedType,
    Primitive,
    Record,
    Schema,
    Type,
    Union,
)
from services.schema_registry.logical_types import logical_mismatch
from services.schema_registry.model import Incompatibility, IncompatibilityKind

# Reader's type: the writer's types that are promoted to it ("Schema Resolution" in the specification).
PROMOTIONS: Final = {
    "long": {"int"},
    "float": {"int", "long"},
    "double": {"int", "long", "float"},
    "string": {"bytes"},
    "bytes": {"string"},
}

_Resolved = Primitive | Array | Map | Union | NamedType
_Pair = tuple[str, str]
"""Full names of a reader's and a writer's record."""
_Problems = Iterator[Incompatibility]
_OnRecords = Callable[[_Pair, str], _Problems]


def incompatibilities(reader: Schema, writer: Schema) -> tuple[Incompatibility, ...]:
    """All reasons why `reader` cannot read every datum of `writer`, in the order of the reader's schema.

    A pair of records that is met in several places is reported where it is met first.
    """
    return _Check(reader, writer).report()


class _Check:
    """Records are compared pair by pair, so that recursion ends and depth is bounded by the nesting of the text."""

    def __init__(self, reader: Schema, writer: Schema) -> None:
        self._reader = reader
        self._writer = writer
        self._incompatible: set[_Pair] = set()
        # Whose verdict to look at again when a pair turns out incompatible; None is the whole schema.
        self._dependents: dict[_Pair, set[_Pair | None]] = {}
        self._evaluated: _Pair | None = None
        self._unsettled: deque[_Pair | None] = deque([None])
        self._to_report: deque[tuple[_Pair, str]] = deque()

    def report(self) -> tuple[Incompatibility, ...]:
        self._settle()
        found = list(self._problems(self._reader.root, self._writer.root, "", self._queue))
        reported: set[_Pair] = set()
        while self._to_report:
            pair, path = self._to_report.popleft()
            if pair not in reported:
                reported.add(pair)
                found.extend(self._record_problems(pair, path, self._queue))
        return tuple(sorted(found, key=lambda problem: _in_document_order(problem.path)))

    def _settle(self) -> None:
        """Every pair is compatible until it is proven not to be; each proof re-opens the pairs that relied on it."""
        while self._unsettled:
            pair = self._unsettled.popleft()
            if pair in self._incompatible:
                continue
            self._evaluated = pair
            if pair is None:
                next(self._problems(self._reader.root, self._writer.root, "", self._assume), None)
            elif next(self._record_problems(pair, "", self._assume), None) is not None:
                self._incompatible.add(pair)
                self._unsettled.extend(self._dependents[pair])

    def _assume(self, pair: _Pair, path: str) -> _Problems:
        if pair not in self._dependents:
            self._dependents[pair] = set()
            self._unsettled.append(pair)
        self._dependents[pair].add(self._evaluated)
        if pair in self._incompatible:
            yield Incompatibility(IncompatibilityKind.TYPE_MISMATCH, path, "")

    def _queue(self, pair: _Pair, path: str) -> _Problems:
        self._to_report.append((pair, path))
        return iter(())

    def _problems(self, reader_node: Type, writer_node: Type, path: str, on_records: _OnRecords) -> _Problems:
        reader, writer = self._reader.resolve(reader_node), self._writer.resolve(writer_node)
        if isinstance(writer, Union):
            for index, branch in enumerate(writer.branches):
                below = f"{path}/{index}"
                if isinstance(reader, Union):
                    yield from self._union_problems(reader, branch, below, below, on_records)
                else:
                    yield from self._problems(reader_node, branch, below, on_records)
            return
        match reader, writer:
            case Union(), _:
                yield from self._union_problems(reader, writer_node, path, "", on_records)
            case Primitive(), Primitive():
                if reader.name == writer.name or writer.name in PROMOTIONS.get(reader.name, ()):
                    yield from _logical_problems(reader, writer, path)
                else:
                    yield _type_mismatch(reader, writer, path)
            case Array(), Array():
                yield from self._problems(reader.items, writer.items, f"{path}/items", on_records)
            case Map(), Map():
                yield from self._problems(reader.values, writer.values, f"{path}/values", on_records)
            case Record(), Record():
                yield from _name_problems(reader, writer, path)
                yield from on_records((reader.name, writer.name), path)
            case Enum(), Enum():
                yield from _name_problems(reader, writer, path)
                yield from _symbol_problems(reader, writer, path)
            case Fixed(), Fixed():
                yield from _name_problems(reader, writer, path)
                yield from _fixed_problems(reader, writer, path)
            case _:
                yield _type_mismatch(reader, writer, path)

    def _union_problems(
        self, reader: Union, writer_node: Type, path: str, explain_at: str, on_records: _OnRecords
    ) -> _Problems:
        """One branch of the reader must take the writer's type. A branch of the same name says why it does not."""
        writer = self._writer.resolve(writer_node)
        near: list[tuple[int, Type]] = []
        for index, branch in enumerate(reader.branches):
            resolved = self._reader.resolve(branch)
            if not _may_match(resolved, writer):
                continue
            if next(self._problems(branch, writer_node, path, self._assume), None) is None:
                return
            near.append((index, branch))
        branches = ", ".join(_named(self._reader.resolve(branch)) for branch in reader.branches[:10])
        more = ", ..." if len(reader.branches) > 10 else ""
        yield Incompatibility(
            IncompatibilityKind.MISSING_UNION_BRANCH,
            path or "/",
            f"no branch of the reader's union ({branches}{more}) can read the writer's {_named(writer)}",
        )
        for index, branch in near:
            yield from self._problems(branch, writer_node, explain_at or f"{path}/{index}", on_records)

    def _record_problems(self, pair: _Pair, path: str, on_records: _OnRecords) -> _Problems:
        reader, writer = self._reader.named[pair[0]], self._writer.named[pair[1]]
        assert isinstance(reader, Record) and isinstance(writer, Record)
        written = {field.name: field for field in writer.fields}
        for position, field in enumerate(reader.fields):
            at = f"{path}/fields/{position}"
            sources = [
                written[name] for name in dict.fromkeys((field.name, *field.aliases)) if name in written
            ]
            if len(sources) > 1:
                names = " and ".join(repr(source.name) for source in sources)
                yield Incompatibility(
                    IncompatibilityKind.NAME_MISMATCH,
                    at,
                    f"field {field.name!r} and its aliases match more than one field of the writer: {names}",
                )
            elif sources:
                yield from self._problems(field.type, sources[0].type, f"{at}/type", on_records)
            elif field.default is None:
                yield _missing_default(field, writer, at)


def _may_match(reader: _Resolved, writer: _Resolved) -> bool:
    """Whether a branch is worth a look: same kind of type, and for named types a name that fits."""
    if isinstance(reader, Primitive) and isinstance(writer, Primitive):
        return reader.name == writer.name or writer.name in PROMOTIONS.get(reader.name, ())
    if isinstance(reader, (Record, Enum, Fixed)) and type(reader) is type(writer):
        return _same_name(reader, writer)
    return type(reader) is type(writer)


def _same_name(reader: _Resolved, writer: _Resolved) -> bool:
    """The unqualified names are equal, or an alias of the reader is the writer's full name."""
    assert isinstance(reader, (Record, Enum, Fixed)) and isinstance(writer, (Record, Enum, Fixed))
    return _short(reader.name) == _short(writer.name) or writer.name in reader.aliases


def _name_problems(reader: NamedType, writer: NamedType, path: str) -> _Problems:
    if not _same_name(reader, writer):
        yield Incompatibility(
            IncompatibilityKind.NAME_MISMATCH,
            f"{path}/name",
            f"the reader's name is {reader.name}, the writer's {writer.name}, and that is no alias of the reader's",
        )


def _symbol_problems(reader: Enum, writer: Enum, path: str) -> _Problems:
    known = set(reader.symbols)
    missing = [symbol for symbol in writer.symbols if symbol not in known]
    if missing and reader.default is None:
        shown = ", ".join(missing[:20]) + (f" and {len(missing) - 20} more" if len(missing) > 20 else "")
        yield Incompatibility(
            IncompatibilityKind.MISSING_ENUM_SYMBOLS,
            f"{path}/symbols",
            f"the reader's enum {reader.name} lacks {shown} and has no default",
        )


def _fixed_problems(reader: Fixed, writer: Fixed, path: str) -> _Problems:
    if reader.size != writer.size:
        yield Incompatibility(
            IncompatibilityKind.FIXED_SIZE_MISMATCH,
            f"{path}/size",
            f"the reader's {reader.name} has {reader.size} bytes, the writer's {writer.size}",
        )
    else:
        yield from _logical_problems(reader, writer, path)


def _logical_problems(reader: Primitive | Fixed, writer: Primitive | Fixed, path: str) -> _Problems:
    mismatch = logical_mismatch(reader, writer)
    if mismatch:
        yield Incompatibility(IncompatibilityKind.LOGICAL_TYPE_MISMATCH, path or "/", mismatch)


def _missing_default(field: Field, writer: Record, path: str) -> Incompatibility:
    return Incompatibility(
        IncompatibilityKind.READER_FIELD_MISSING_DEFAULT_VALUE,
        path,
        f"the writer's {writer.name} has no field {field.name!r}, and the reader's has no default",
    )


def _type_mismatch(reader: _Resolved, writer: _Resolved, path: str) -> Incompatibility:
    return Incompatibility(
        IncompatibilityKind.TYPE_MISMATCH,
        path or "/",
        f"the reader's {_named(reader)} cannot read the writer's {_named(writer)}",
    )


def _named(node: _Resolved) -> str:
    match node:
        case Primitive():
            return node.name
        case Record() | Enum() | Fixed():
            return f"{type(node).__name__.lower()} {node.name}"
        case _:
            return type(node).__name__.lower()


def _short(full_name: str) -> str:
    return full_name.rpartition(".")[2]


def _in_document_order(path: str) -> list[tuple[int, str]]:
    return [(int(step), "") if step.isdigit() else (-1, step) for step in path.split("/") if step]
