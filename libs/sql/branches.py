"""Write CASE, casts and function calls."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from libs.sql import failures
from libs.sql.calls import CallRules
from libs.sql.columns import quote_text
from libs.sql.dialect import position_of
from libs.sql.emitted import ATOM, Emitted, within
from libs.sql.emitter import Emitter
from libs.sql.errors import Reason, SqlError, violation_at
from libs.sql.failures import FailureKind
from libs.sql.literals import INTERVAL_UNITS
from libs.sql.operators import ADD
from libs.sql.types import TYPE_NAMES, cast_sql, engine_type

_PARTS = INTERVAL_UNITS | {"QUARTER", "DOW", "DOY", "EPOCH", "NANOSECOND", "ISODOW"}


def case(emitter: Emitter, node: exp.Expr) -> Emitted:
    subject = emitter.emit(node.this) if node.this else None
    branches: list[tuple[Emitted, Emitted]] = []
    for branch in node.args["ifs"]:
        branches.append((emitter.emit(branch.this), emitter.emit(branch.args["true"])))
    otherwise = emitter.emit(node.args["default"]) if node.args.get("default") else None
    children = tuple(part for pair in branches for part in pair)
    children += tuple(part for part in (subject, otherwise) if part is not None)
    texts = []
    for index in (0, 1):
        pick = [(part.sql, part.strict)[index] for part in children]
        head = f"CASE {(subject and '(' + (subject.sql, subject.strict)[index] + ') ') or ''}"
        whens = [f"WHEN {pick[2 * n]} THEN {pick[2 * n + 1]}" for n in range(len(branches))]
        tail = f" ELSE {(otherwise.sql, otherwise.strict)[index]}" if otherwise else ""
        texts.append(f"{head}{' '.join(whens)}{tail} END")
    searched = [
        (
            f"({subject.sql}) = ({condition.sql})" if subject else condition.sql,
            condition.failure,
            result.failure,
        )
        for condition, result in branches
    ]
    failure = failures.of_case(searched, otherwise.failure if otherwise else None)
    if subject is not None:
        failure = failures.first_of([subject.failure, failure])
    return emitter.make(node, texts[0], texts[1], children, ATOM, failure, "case")


def cast(emitter: Emitter, node: exp.Expr) -> Emitted:
    data_type = node.args["to"]
    engine = engine_type(data_type) if isinstance(data_type, exp.DataType) else None
    if engine is None:
        raise emitter.refuse(
            node,
            Reason.UNSUPPORTED_TYPE,
            f"cannot cast to {data_type.sql()[:80]}",
            f"one of {TYPE_NAMES}",
        )
    inner = emitter.emit(node.this)
    trying = isinstance(node, exp.TryCast)
    sql = cast_sql(inner.sql, engine, trying=True)
    strict = cast_sql(inner.strict, engine, trying)
    failure = inner.failure
    if not trying and inner.constant:
        problem = emitter.constant_error(strict)
        if problem is not None:
            raise SqlError(
                [
                    violation_at(
                        emitter.sql,
                        inner.position,
                        Reason.TYPE_ERROR,
                        f"cannot cast this value to {engine}",
                        "",
                        problem,
                    )
                ]
            )
    elif not trying:
        number = emitter.fail_point(node, FailureKind.CAST, strict, inner)
        own = failures.at(f"{within(inner, ADD)[0]} IS NOT NULL AND {sql} IS NULL", number)
        failure = failures.first_of([inner.failure, own])
    made = emitter.make(node, sql, strict, (inner,), failure=failure, name=inner.name)
    return replace(made, constant=inner.constant)


def array(emitter: Emitter, node: exp.Expr) -> Emitted:
    return _call(emitter, node, "make_array", emitter.all(node.expressions))


def extract(emitter: Emitter, node: exp.Expr) -> Emitted:
    part = str(node.this.name).upper()
    if part not in _PARTS:
        raise emitter.refuse(node, Reason.UNSUPPORTED_SYNTAX, f"EXTRACT knows no part {part!r}")
    unit = Emitted(
        quote_text(part.lower()), quote_text(part.lower()), 1 << 30, text=part.lower(), constant=True
    )
    return _call(emitter, node, "date_part", (unit, emitter.emit(node.expression)), name="extract")


def position(emitter: Emitter, node: exp.Expr) -> Emitted:
    return _call(emitter, node, "strpos", emitter.all([node.this, node.args["substr"]]), name="position")


def substring(emitter: Emitter, node: exp.Expr) -> Emitted:
    arguments = [node.this, node.args.get("start"), node.args.get("length")]
    return _call(
        emitter,
        node,
        "substr",
        emitter.all([item for item in arguments if item is not None]),
        name="substring",
    )


def trim(emitter: Emitter, node: exp.Expr) -> Emitted:
    function = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or ""), "btrim")
    arguments = [node.this, *([node.expression] if node.args.get("expression") else [])]
    return _call(emitter, node, function, emitter.all(arguments), name="trim")


def anonymous(emitter: Emitter, node: exp.Expr) -> Emitted:
    name = str(node.name).lower()
    CallRules(emitter.sql).check_name(name, position_of(node))
    for argument in node.expressions:
        if isinstance(argument, exp.Star | exp.Distinct | exp.Kwarg | exp.Alias):
            raise emitter.refuse(
                node, Reason.UNSUPPORTED_SYNTAX, f"{name} takes plain expressions as arguments"
            )
    return _call(emitter, node, name, emitter.all(node.expressions))


def _call(
    emitter: Emitter, node: exp.Expr, function: str, arguments: tuple[Emitted, ...], name: str = ""
) -> Emitted:
    position = position_of(node)
    growth = CallRules(emitter.sql).check_arguments(function, arguments, position, emitter.constant_error)
    if function in ("coalesce", "nvl", "ifnull"):
        failure = failures.of_coalesce([(argument.sql, argument.failure) for argument in arguments])
    elif function == "nvl2" and len(arguments) == 3:
        test, some, none = arguments
        taken = failures.of_case([(f"({test.sql}) IS NOT NULL", None, some.failure)], none.failure)
        failure = failures.first_of([test.failure, taken])
    else:
        failure = failures.first_of([argument.failure for argument in arguments])
    return emitter.make(
        node,
        f"{function}({', '.join(argument.sql for argument in arguments)})",
        f"{function}({', '.join(argument.strict for argument in arguments)})",
        arguments,
        failure=failure,
        name=name or function,
        growth=growth,
    )
