"""From sqlglot's tree to the engine's SQL: a closed list of expressions, each written out here.

What is not in the list is refused, so nothing reaches the engine that was not thought about; an argument of a
node
that its writer does not know (SYMMETRIC, FORMAT, a collation …) is refused too, never dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pyarrow as pa
from sqlglot import exp

from libs.sql import failures
from libs.sql.calls import CallRules
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
from libs.sql.errors import Reason, SqlError, refuse, violation_at
from libs.sql.failures import FailPoint, Failure, FailureKind
from libs.sql.limits import Limits
from libs.sql.types import TYPE_NAMES, cast_sql, engine_type

OR, AND, NOT, COMPARE, BIT, CONCAT, ADD, MULTIPLY, UNARY = 1, 2, 3, 4, 5, 6, 7, 8, 9

_BINARY: dict[type[exp.Expr], tuple[str, int]] = {
    exp.EQ: ("=", COMPARE),
    exp.NEQ: ("<>", COMPARE),
    exp.LT: ("<", COMPARE),
    exp.LTE: ("<=", COMPARE),
    exp.GT: (">", COMPARE),
    exp.GTE: (">=", COMPARE),
    exp.NullSafeEQ: ("IS NOT DISTINCT FROM", COMPARE),
    exp.NullSafeNEQ: ("IS DISTINCT FROM", COMPARE),
    exp.BitwiseAnd: ("&", BIT),
    exp.BitwiseOr: ("|", BIT),
    exp.BitwiseLeftShift: ("<<", BIT),
    exp.BitwiseRightShift: (">>", BIT),
    exp.Add: ("+", ADD),
    exp.Sub: ("-", ADD),
    exp.DPipe: ("||", CONCAT),
    exp.Mul: ("*", MULTIPLY),
    exp.Div: ("/", MULTIPLY),
    exp.Mod: ("%", MULTIPLY),
}
_CHECKED = {"+", "-", "*", "/", "%"}
_CHAINS = {CONCAT, ADD, MULTIPLY}
"""Classes whose operators the engine reads from left to right without parentheses, as sqlglot does."""
_NUMBER = re.compile(r"(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z")
_INTERVAL_UNITS = {"YEAR", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND"}
_PARTS = _INTERVAL_UNITS | {"QUARTER", "DOW", "DOY", "EPOCH", "NANOSECOND", "ISODOW"}
_STATEFUL = (exp.AggFunc, exp.Window, exp.Subquery, exp.Select, exp.SetOperation, exp.Exists, exp.Distinct)


@dataclass
class Emitter:
    """Writes the expressions of one statement; collects what can fail."""

    sql: str
    schema: pa.Schema
    table_names: frozenset[str]
    limits: Limits
    type_of: Callable[[str], pa.DataType | None]
    constant_error: Callable[[str], str | None]
    fail_points: list[FailPoint] = field(default_factory=list)
    _count: int = 0
    _depth: int = 0

    def emit(self, node: exp.Expr, default_position: int = 0) -> Emitted:
        """Compile one expression. Raises SqlError with the first thing refused."""
        self._count += 1
        if self._count > self.limits.operands:
            raise self._refuse(
                node, Reason.TOO_LARGE, f"more than {self.limits.operands} expressions in one statement"
            )
        writer = _WRITERS.get(type(node))
        if writer is None:
            raise self._unsupported(node, default_position)
        known, write = writer
        unknown = [name for name, value in node.args.items() if value and name not in known]
        if unknown:
            what = f"{unknown[0].upper()} in {type(node).__name__.upper()}"
            raise self._refuse(
                node, Reason.UNSUPPORTED_SYNTAX, f"{what} is not supported", default=default_position
            )
        self._depth += 1
        if self._depth > 2 * self.limits.depth:
            raise self._refuse(
                node, Reason.TOO_DEEP, "the expression is nested too deeply", "split the expression"
            )
        try:
            emitted = write(self, node)
        finally:
            self._depth -= 1
        if emitted.failure is not None and emitted.failure.size > self.limits.executable_bytes:
            raise self._refuse(
                node,
                Reason.TOO_LARGE,
                "the expression needs too many checks",
                "use fewer casts and operations",
            )
        if emitted.growth > self.limits.expansion:
            raise self._refuse(
                node,
                Reason.EXPANSION,
                f"the value may become more than {self.limits.expansion} times as long as its input",
                "use literal, smaller counts and replacements",
            )
        return emitted

    def _refuse(
        self, node: exp.Expr, reason: Reason, message: str, suggestion: str = "", default: int = 0
    ) -> SqlError:
        return refuse(self.sql, position_of(node, default), reason, message, suggestion)

    def _unsupported(self, node: exp.Expr, default: int) -> SqlError:
        name = getattr(node, "key", type(node).__name__).upper()
        if isinstance(node, exp.CurrentDate | exp.CurrentTime | exp.CurrentTimestamp | exp.CurrentUser):
            return self._refuse(
                node,
                Reason.VOLATILE_FUNCTION,
                "the current date, time and user differ from run to run",
                "use _timestamp, the time of the event's record",
                default,
            )
        if isinstance(node, _STATEFUL):
            what = {"WINDOW": "a window function", "DISTINCT": "DISTINCT"}.get(name, "a subquery")
            if isinstance(node, exp.AggFunc):
                what = f"the aggregate {name.lower()}"
            return self._refuse(node, Reason.NOT_ROW_WISE, f"{what} needs more than one row", "", default)
        return self._refuse(node, Reason.UNSUPPORTED_SYNTAX, f"{name} is not supported", "", default)

    def _make(
        self,
        node: exp.Expr,
        sql: str,
        strict: str,
        children: tuple[Emitted, ...],
        precedence: int = ATOM,
        failure: Failure | None = None,
        name: str = "",
        growth: int | None = None,
    ) -> Emitted:
        return Emitted(
            sql=sql,
            strict=strict,
            position=min([position_of(node, 1 << 30), *(child.position for child in children)]),
            failure=failure,
            precedence=precedence,
            name=name,
            growth=growth if growth is not None else max((child.growth for child in children), default=1),
            constant=bool(children) and all(child.constant for child in children),
            children=children,
        )

    def _all(self, nodes: list[exp.Expr]) -> tuple[Emitted, ...]:
        return tuple(self.emit(node) for node in nodes)

    # Columns

    def column(self, node: exp.Expr) -> Emitted:
        parts = [node.args[key] for key in ("catalog", "db", "table", "this") if node.args.get(key)]
        if any(isinstance(part, exp.Star) for part in parts):
            raise self._refuse(node, Reason.UNSUPPORTED_SYNTAX, "'*' can only stand for a whole column list")
        names = [_name(part) for part in parts]
        found = resolve_path(self.schema, self.table_names, names)
        if isinstance(found, Unresolved):
            raise self._unknown_name(names, found)
        return self._of_path(found, names[0].position)

    def _of_path(self, found: Resolved, position: int) -> Emitted:
        sql = quote(flat_name(found.path))
        return Emitted(sql, sql, position, type=found.type, path=found.path, name=found.path[-1])

    def _unknown_name(self, names: list[Name], found: Unresolved) -> SqlError:
        written = ".".join(name.text for name in names)
        position = found.name.position
        if found.ambiguous:
            return refuse(
                self.sql,
                position,
                Reason.AMBIGUOUS_COLUMN,
                f"{found.name.text!r} fits {' and '.join(found.ambiguous)}",
                'write the name in double quotes with its exact case, as in "' + found.ambiguous[0] + '"',
            )
        prefix = [name.text for name in names[: names.index(found.name)]]
        nearest = ".".join([*prefix, found.nearest]) if found.nearest else ""
        suggestion = f"did you mean {nearest}?" if nearest else ""
        return refuse(self.sql, position, Reason.UNKNOWN_COLUMN, f"unknown column {written!r}", suggestion)

    def dot(self, node: exp.Expr) -> Emitted:
        field_node = node.expression
        if not isinstance(field_node, exp.Identifier):
            raise self._refuse(node, Reason.UNSUPPORTED_SYNTAX, "only a field's name can follow '.'")
        return self._field_of(self.emit(node.this), _name(field_node), node)

    def _field_of(self, base: Emitted, name: Name, node: exp.Expr) -> Emitted:
        if base.type is None:
            base = replace(base, type=self.type_of(base.strict))
        resolved = resolve_field(Resolved(base.path or (base.name,), base.type or pa.null()), name)
        if isinstance(resolved, Unresolved):
            raise self._unknown_name([Name(base.name, False, base.position), name], resolved)
        if base.path is not None:
            return self._of_path(resolved, base.position)
        text = quote_text(resolved.path[-1])
        sql, strict = (
            f"CASE WHEN ({whole}) IS NOT NULL THEN get_field({whole}, {text}) END"
            for whole in (base.sql, base.strict)
        )
        made = self._make(node, sql, strict, (base,), failure=base.failure, name=resolved.path[-1])
        return replace(made, type=resolved.type)

    def bracket(self, node: exp.Expr) -> Emitted:
        if len(node.expressions) != 1 or isinstance(node.expressions[0], exp.Slice):
            raise self._refuse(
                node, Reason.UNSUPPORTED_SYNTAX, "one index or key is needed in [ ]", "use array_slice"
            )
        base, index = self.emit(node.this), self.emit(node.expressions[0])
        kind = base.type if base.type is not None else self.type_of(base.strict)
        if kind is not None and pa.types.is_struct(kind) and index.text is not None:
            return self._field_of(replace(base, type=kind), Name(index.text, True, index.position), node)
        inner: pa.DataType | None = None
        if kind is not None and pa.types.is_map(kind):
            inner = kind.item_type
        elif kind is not None and (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
            inner = kind.value_type
        else:
            raise self._refuse(
                node, Reason.TYPE_ERROR, "only an array, a map or a record can be indexed with [ ]"
            )
        outer, strict_outer = within(base, ATOM)
        made = self._make(
            node,
            f"{outer}[{index.sql}]",
            f"{strict_outer}[{index.strict}]",
            (base, index),
            failure=failures.first_of([base.failure, index.failure]),
            name=base.name,
        )
        return replace(made, type=inner)

    # Literals

    def literal(self, node: exp.Expr) -> Emitted:
        position = position_of(node)
        if node.args.get("is_string"):
            text = str(node.this)
            return Emitted(quote_text(text), quote_text(text), position, text=text, constant=True)
        number = str(node.this)
        if not _NUMBER.match(number) or len(number) > 80:
            raise self._refuse(node, Reason.SYNTAX, f"{number[:80]!r} is no number")
        whole = int(number) if number.isdigit() else None
        return Emitted(number, number, position, number=whole, constant=True)

    def constant(self, node: exp.Expr) -> Emitted:
        text = "NULL" if isinstance(node, exp.Null) else ("TRUE" if node.this else "FALSE")
        return Emitted(text, text, position_of(node, 1 << 30), constant=True)

    def hex_string(self, node: exp.Expr) -> Emitted:
        digits = str(node.this)
        if not re.fullmatch(r"([0-9a-fA-F]{2})*", digits) or node.args.get("is_integer"):
            raise self._refuse(
                node, Reason.SYNTAX, "a binary literal is X'…' with pairs of hexadecimal digits"
            )
        return Emitted(f"X'{digits}'", f"X'{digits}'", position_of(node), constant=True)

    def interval(self, node: exp.Expr) -> Emitted:
        unit = str(node.args["unit"].this).upper() if isinstance(node.args.get("unit"), exp.Var) else ""
        singular = unit[:-1] if unit.endswith("S") else unit
        amount = node.this
        if singular not in _INTERVAL_UNITS or not isinstance(amount, exp.Literal):
            raise self._refuse(
                node,
                Reason.UNSUPPORTED_SYNTAX,
                "an interval is a literal with one unit",
                "write INTERVAL '5' MINUTE",
            )
        number = str(amount.this)
        if not re.fullmatch(r"-?\d{1,9}", number):
            raise self._refuse(node, Reason.SYNTAX, "the amount of an interval is a whole number")
        text = f"INTERVAL '{number} {singular}'"
        return Emitted(text, text, position_of(node), constant=True)

    # Operators

    def paren(self, node: exp.Expr) -> Emitted:
        inner = self.emit(node.this)
        return replace(inner, sql=f"({inner.sql})", strict=f"({inner.strict})", precedence=ATOM)

    def negative(self, node: exp.Expr) -> Emitted:
        inner = self.emit(node.this)
        sql, strict = within(inner, ATOM)
        if not sql[0].isdigit():
            sql, strict = f"({sql})", f"({strict})"
        made = self._make(node, f"-{sql}", f"-{strict}", (inner,), UNARY, inner.failure)
        return replace(made, number=-inner.number if inner.number is not None else None)

    def negation(self, node: exp.Expr) -> Emitted:
        inner = self.emit(node.this)
        return self._make(node, f"NOT ({inner.sql})", f"NOT ({inner.strict})", (inner,), NOT, inner.failure)

    def binary(self, node: exp.Expr) -> Emitted:
        """A chain of operators of one precedence is walked with a loop: it may be thousands long."""
        precedence = _BINARY[type(node)][1]
        chain: list[exp.Expr] = []
        leftmost = node
        while type(leftmost) in _BINARY and _BINARY[type(leftmost)][1] == precedence and precedence > COMPARE:
            chain.append(leftmost)
            leftmost = leftmost.this
        if not chain:
            chain, leftmost = [node], node.this
        made = self.emit(leftmost)
        for link in reversed(chain):
            made = self._binary_link(link, made, self.emit(link.expression))
        return made

    def _binary_link(self, node: exp.Expr, left: Emitted, right: Emitted) -> Emitted:
        operator, precedence = _BINARY[type(node)]
        own = ADD if precedence == COMPARE else UNARY
        same_chain = precedence in _CHAINS and left.precedence == precedence
        left_sql, left_strict = within(left, precedence if same_chain else own)
        right_sql, right_strict = within(right, own)
        strict = f"{left_strict} {operator} {right_strict}"
        failure = failures.first_of([left.failure, right.failure])
        kind = self.type_of(strict) if operator in _CHECKED else None
        if kind is not None and operator in ("/", "%"):
            if failures.is_exact(kind) and not right.number:
                number = self._fail_point(node, FailureKind.DIVISION_BY_ZERO, strict, right)
                failure = failures.first_of([failure, failures.at(f"({right.sql}) = 0", number)])
                right_sql = f"nullif({right_sql}, 0)"
        elif kind is not None and pa.types.is_signed_integer(kind):
            number = self._fail_point(node, FailureKind.OVERFLOW, strict, left)
            overflow = failures.overflow(operator, left.sql, right.sql, kind.bit_width)
            failure = failures.first_of([failure, failures.at(overflow, number)])
        growth = left.growth + right.growth if operator == "||" else None
        return self._make(
            node,
            f"{left_sql} {operator} {right_sql}",
            strict,
            (left, right),
            precedence,
            failure,
            growth=growth,
        )

    def connector(self, node: exp.Expr) -> Emitted:
        kind = type(node)
        operands: list[exp.Expr] = []
        rest: exp.Expr = node
        while type(rest) is kind:
            operands.append(rest.expression)
            rest = rest.this
        operands.append(rest)
        word, precedence, stop = ("AND", AND, "FALSE") if kind is exp.And else ("OR", OR, "TRUE")
        parts = self._all(operands[::-1])
        texts = [within(part, precedence + 1) for part in parts]
        return self._make(
            node,
            f" {word} ".join(text[0] for text in texts),
            f" {word} ".join(text[1] for text in texts),
            parts,
            precedence,
            failures.of_conjunction([(part.sql, part.failure) for part in parts], stop),
        )

    def like(self, node: exp.Expr) -> Emitted:
        return self._like(node, "\\")

    def escaped(self, node: exp.Expr) -> Emitted:
        inner, character = node.this, node.expression
        if not isinstance(inner, exp.Like | exp.ILike) or not (
            isinstance(character, exp.Literal) and character.is_string and len(character.this) == 1
        ):
            raise self._refuse(node, Reason.UNSUPPORTED_SYNTAX, "ESCAPE needs a literal of one character")
        return self._like(inner, str(character.this))

    def _like(self, node: exp.Expr, escape: str) -> Emitted:
        """The engine knows the backslash alone as the escape character, so others are translated to it."""
        word = "ILIKE" if isinstance(node, exp.ILike) else "LIKE"
        word = f"NOT {word}" if node.args.get("negate") else word
        value, pattern = self.emit(node.this), self.emit(node.expression)
        if pattern.text is None:
            raise self._refuse(node, Reason.UNSUPPORTED_SYNTAX, f"the pattern of {word} must be a literal")
        text = quote_text(_with_backslashes(pattern.text, escape))
        sql, strict = within(value, ADD)
        return self._make(
            node, f"{sql} {word} {text}", f"{strict} {word} {text}", (value, pattern), COMPARE, value.failure
        )

    def between(self, node: exp.Expr) -> Emitted:
        parts = self._all([node.this, node.args["low"], node.args["high"]])
        (value, value_strict), (low, low_strict), (high, high_strict) = (within(part, ADD) for part in parts)
        return self._make(
            node,
            f"{value} BETWEEN {low} AND {high}",
            f"{value_strict} BETWEEN {low_strict} AND {high_strict}",
            parts,
            COMPARE,
            failures.first_of([part.failure for part in parts]),
        )

    def membership(self, node: exp.Expr) -> Emitted:
        if node.args.get("query"):
            raise self._refuse(node, Reason.NOT_ROW_WISE, "a subquery needs more than one row")
        value = self.emit(node.this)
        literals = all(isinstance(item, exp.Literal) for item in node.expressions)
        items = (
            tuple(self.literal(item) for item in node.expressions)
            if literals
            else self._all(node.expressions)
        )
        sql, strict = within(value, ADD)
        children = (value, *items)
        return self._make(
            node,
            f"{sql} IN ({', '.join(item.sql for item in items)})",
            f"{strict} IN ({', '.join(item.strict for item in items)})",
            children,
            COMPARE,
            failures.first_of([child.failure for child in children]),
        )

    def is_test(self, node: exp.Expr) -> Emitted:
        if not isinstance(node.expression, exp.Null | exp.Boolean):
            raise self._refuse(node, Reason.UNSUPPORTED_SYNTAX, "IS needs NULL, TRUE, FALSE or DISTINCT FROM")
        inner, test = self.emit(node.this), self.constant(node.expression)
        sql, strict = within(inner, ADD)
        return self._make(
            node, f"{sql} IS {test.sql}", f"{strict} IS {test.sql}", (inner,), COMPARE, inner.failure
        )

    def case(self, node: exp.Expr) -> Emitted:
        subject = self.emit(node.this) if node.this else None
        branches: list[tuple[Emitted, Emitted]] = []
        for branch in node.args["ifs"]:
            branches.append((self.emit(branch.this), self.emit(branch.args["true"])))
        otherwise = self.emit(node.args["default"]) if node.args.get("default") else None
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
        return self._make(node, texts[0], texts[1], children, ATOM, failure, "case")

    def cast(self, node: exp.Expr) -> Emitted:
        data_type = node.args["to"]
        engine = engine_type(data_type) if isinstance(data_type, exp.DataType) else None
        if engine is None:
            raise self._refuse(
                node,
                Reason.UNSUPPORTED_TYPE,
                f"cannot cast to {data_type.sql()[:80]}",
                f"one of {TYPE_NAMES}",
            )
        inner = self.emit(node.this)
        trying = isinstance(node, exp.TryCast)
        sql = cast_sql(inner.sql, engine, trying=True)
        strict = cast_sql(inner.strict, engine, trying)
        failure = inner.failure
        if not trying and inner.constant:
            problem = self.constant_error(strict)
            if problem is not None:
                raise SqlError(
                    [
                        violation_at(
                            self.sql,
                            inner.position,
                            Reason.TYPE_ERROR,
                            f"cannot cast this value to {engine}",
                            "",
                            problem,
                        )
                    ]
                )
        elif not trying:
            number = self._fail_point(node, FailureKind.CAST, strict, inner)
            own = failures.at(f"{within(inner, ADD)[0]} IS NOT NULL AND {sql} IS NULL", number)
            failure = failures.first_of([inner.failure, own])
        made = self._make(node, sql, strict, (inner,), failure=failure, name=inner.name)
        return replace(made, constant=inner.constant)

    def _fail_point(self, node: exp.Expr, kind: FailureKind, expression: str, operand: Emitted) -> int:
        violation = violation_at(self.sql, position_of(node), Reason.TYPE_ERROR, "")
        number = len(self.fail_points) + 1
        if number > self.limits.fail_points:
            raise self._refuse(
                node,
                Reason.TOO_LARGE,
                f"more than {self.limits.fail_points} casts and operations that can fail",
                "use TRY_CAST, which gives null instead",
            )
        self.fail_points.append(
            FailPoint(number, kind, expression[:200], operand.sql, violation.line, violation.column)
        )
        return number

    # Functions

    def array(self, node: exp.Expr) -> Emitted:
        return self._call(node, "make_array", self._all(node.expressions))

    def extract(self, node: exp.Expr) -> Emitted:
        part = str(node.this.name).upper()
        if part not in _PARTS:
            raise self._refuse(node, Reason.UNSUPPORTED_SYNTAX, f"EXTRACT knows no part {part!r}")
        unit = Emitted(
            quote_text(part.lower()), quote_text(part.lower()), 1 << 30, text=part.lower(), constant=True
        )
        return self._call(node, "date_part", (unit, self.emit(node.expression)), name="extract")

    def position(self, node: exp.Expr) -> Emitted:
        return self._call(node, "strpos", self._all([node.this, node.args["substr"]]), name="position")

    def substring(self, node: exp.Expr) -> Emitted:
        arguments = [node.this, node.args.get("start"), node.args.get("length")]
        return self._call(
            node, "substr", self._all([item for item in arguments if item is not None]), name="substring"
        )

    def trim(self, node: exp.Expr) -> Emitted:
        function = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(
            str(node.args.get("position") or ""), "btrim"
        )
        arguments = [node.this, *([node.expression] if node.args.get("expression") else [])]
        return self._call(node, function, self._all(arguments), name="trim")

    def anonymous(self, node: exp.Expr) -> Emitted:
        name = str(node.name).lower()
        CallRules(self.sql).check_name(name, position_of(node))
        for argument in node.expressions:
            if isinstance(argument, exp.Star | exp.Distinct | exp.Kwarg | exp.Alias):
                raise self._refuse(
                    node, Reason.UNSUPPORTED_SYNTAX, f"{name} takes plain expressions as arguments"
                )
        return self._call(node, name, self._all(node.expressions))

    def _call(self, node: exp.Expr, function: str, arguments: tuple[Emitted, ...], name: str = "") -> Emitted:
        position = position_of(node)
        growth = CallRules(self.sql).check_arguments(function, arguments, position, self.constant_error)
        if function in ("coalesce", "nvl", "ifnull"):
            failure = failures.of_coalesce([(argument.sql, argument.failure) for argument in arguments])
        elif function == "nvl2" and len(arguments) == 3:
            test, some, none = arguments
            taken = failures.of_case([(f"({test.sql}) IS NOT NULL", None, some.failure)], none.failure)
            failure = failures.first_of([test.failure, taken])
        else:
            failure = failures.first_of([argument.failure for argument in arguments])
        return self._make(
            node,
            f"{function}({', '.join(argument.sql for argument in arguments)})",
            f"{function}({', '.join(argument.strict for argument in arguments)})",
            arguments,
            failure=failure,
            name=name or function,
            growth=growth,
        )


def _with_backslashes(pattern: str, escape: str) -> str:
    """A LIKE pattern with the escape character replaced by a backslash."""
    if escape == "\\":
        return pattern
    written, characters = "", iter(pattern)
    for character in characters:
        if character == escape:
            written += "\\" + next(characters, "")
        else:
            written += "\\\\" if character == "\\" else character
    return written


def _name(identifier: exp.Expr) -> Name:
    return Name(str(identifier.this), bool(identifier.args.get("quoted")), position_of(identifier))


_Writer = Callable[[Emitter, exp.Expr], Emitted]
_WRITERS: dict[type[exp.Expr], tuple[frozenset[str], _Writer]] = {
    exp.Column: (frozenset({"this", "table", "db", "catalog"}), Emitter.column),
    exp.Dot: (frozenset({"this", "expression"}), Emitter.dot),
    exp.Bracket: (frozenset({"this", "expressions", "offset"}), Emitter.bracket),
    exp.Literal: (frozenset({"this", "is_string"}), Emitter.literal),
    exp.Null: (frozenset(), Emitter.constant),
    exp.Boolean: (frozenset({"this"}), Emitter.constant),
    exp.HexString: (frozenset({"this", "is_integer"}), Emitter.hex_string),
    exp.Interval: (frozenset({"this", "unit"}), Emitter.interval),
    exp.Paren: (frozenset({"this"}), Emitter.paren),
    exp.Neg: (frozenset({"this"}), Emitter.negative),
    exp.Not: (frozenset({"this"}), Emitter.negation),
    **{kind: (frozenset({"this", "expression", "safe", "typed"}), Emitter.binary) for kind in _BINARY},
    exp.And: (frozenset({"this", "expression"}), Emitter.connector),
    exp.Or: (frozenset({"this", "expression"}), Emitter.connector),
    exp.Like: (frozenset({"this", "expression", "negate"}), Emitter.like),
    exp.ILike: (frozenset({"this", "expression", "negate"}), Emitter.like),
    exp.Escape: (frozenset({"this", "expression"}), Emitter.escaped),
    exp.Between: (frozenset({"this", "low", "high"}), Emitter.between),
    exp.In: (frozenset({"this", "expressions", "query"}), Emitter.membership),
    exp.Is: (frozenset({"this", "expression"}), Emitter.is_test),
    exp.Case: (frozenset({"this", "ifs", "default"}), Emitter.case),
    exp.Cast: (frozenset({"this", "to"}), Emitter.cast),
    exp.TryCast: (frozenset({"this", "to", "safe"}), Emitter.cast),
    exp.Array: (frozenset({"expressions"}), Emitter.array),
    exp.Extract: (frozenset({"this", "expression"}), Emitter.extract),
    exp.StrPosition: (frozenset({"this", "substr"}), Emitter.position),
    exp.Substring: (frozenset({"this", "start", "length"}), Emitter.substring),
    exp.Trim: (frozenset({"this", "expression", "position"}), Emitter.trim),
    exp.Anonymous: (frozenset({"this", "expressions"}), Emitter.anonymous),
}
