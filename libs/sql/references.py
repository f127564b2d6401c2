"""Write columns, nested fields and elements."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
from sqlglot import exp

from libs.sql import failures
from libs.sql.columns import (
    Name,
    Resolved,
    Unresolved,
    flat_name,
    quote,
    quote_text,
    resolve_field,
    resolve_path,
)
from libs.sql.dialect import position_of
from libs.sql.emitted import ATOM, Emitted, within
from libs.sql.emitter import Emitter
from libs.sql.errors import Reason, SqlError, refuse


def column(emitter: Emitter, node: exp.Expr) -> Emitted:
    parts = [node.args[key] for key in ("catalog", "db", "table", "this") if node.args.get(key)]
    if any(isinstance(part, exp.Star) for part in parts):
        raise emitter.refuse(node, Reason.UNSUPPORTED_SYNTAX, "'*' can only stand for a whole column list")
    names = [_name(part) for part in parts]
    found = resolve_path(emitter.schema, emitter.table_names, names)
    if isinstance(found, Unresolved):
        raise _unknown_name(emitter, names, found)
    return _of_path(found, names[0].position)


def _of_path(found: Resolved, position: int) -> Emitted:
    sql = quote(flat_name(found.path))
    return Emitted(sql, sql, position, type=found.type, path=found.path, name=found.path[-1])


def _unknown_name(emitter: Emitter, names: list[Name], found: Unresolved) -> SqlError:
    written = ".".join(name.text for name in names)
    position = found.name.position
    if found.ambiguous:
        return refuse(
            emitter.sql,
            position,
            Reason.AMBIGUOUS_COLUMN,
            f"{found.name.text!r} fits {' and '.join(found.ambiguous)}",
            'write the name in double quotes with its exact case, as in "' + found.ambiguous[0] + '"',
        )
    prefix = [name.text for name in names[: names.index(found.name)]]
    nearest = ".".join([*prefix, found.nearest]) if found.nearest else ""
    suggestion = f"did you mean {nearest}?" if nearest else ""
    return refuse(emitter.sql, position, Reason.UNKNOWN_COLUMN, f"unknown column {written!r}", suggestion)


def dot(emitter: Emitter, node: exp.Expr) -> Emitted:
    field_node = node.expression
    if not isinstance(field_node, exp.Identifier):
        raise emitter.refuse(node, Reason.UNSUPPORTED_SYNTAX, "only a field's name can follow '.'")
    return _field_of(emitter, emitter.emit(node.this), _name(field_node), node)


def _field_of(emitter: Emitter, base: Emitted, name: Name, node: exp.Expr) -> Emitted:
    if base.type is None:
        base = replace(base, type=emitter.type_of(base.strict))
    resolved = resolve_field(Resolved(base.path or (base.name,), base.type or pa.null()), name)
    if isinstance(resolved, Unresolved):
        raise _unknown_name(emitter, [Name(base.name, False, base.position), name], resolved)
    if base.path is not None:
        return _of_path(resolved, base.position)
    text = quote_text(resolved.path[-1])
    sql, strict = (
        f"CASE WHEN ({whole}) IS NOT NULL THEN get_field({whole}, {text}) END"
        for whole in (base.sql, base.strict)
    )
    made = emitter.make(node, sql, strict, (base,), failure=base.failure, name=resolved.path[-1])
    return replace(made, type=resolved.type)


def bracket(emitter: Emitter, node: exp.Expr) -> Emitted:
    if len(node.expressions) != 1 or isinstance(node.expressions[0], exp.Slice):
        raise emitter.refuse(
            node, Reason.UNSUPPORTED_SYNTAX, "one index or key is needed in [ ]", "use array_slice"
        )
    base, index = emitter.emit(node.this), emitter.emit(node.expressions[0])
    kind = base.type if base.type is not None else emitter.type_of(base.strict)
    if kind is not None and pa.types.is_struct(kind) and index.text is not None:
        return _field_of(emitter, replace(base, type=kind), Name(index.text, True, index.position), node)
    inner: pa.DataType | None = None
    if kind is not None and pa.types.is_map(kind):
        inner = kind.item_type
    elif kind is not None and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        inner = kind.value_type
    else:
        raise emitter.refuse(
            node, Reason.TYPE_ERROR, "only an array, a map or a record can be indexed with [ ]"
        )
    outer, strict_outer = within(base, ATOM)
    made = emitter.make(
        node,
        f"{outer}[{index.sql}]",
        f"{strict_outer}[{index.strict}]",
        (base, index),
        failure=failures.first_of([base.failure, index.failure]),
        name=base.name,
    )
    return replace(made, type=inner)


def _name(identifier: exp.Expr) -> Name:
    return Name(str(identifier.this), bool(identifier.args.get("quoted")), position_of(identifier))
