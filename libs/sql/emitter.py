"""The walk from sqlglot's tree to the engine's SQL, by a closed table of writers.

What is not in the table is refused, so nothing reaches the engine that was not thought about; an argument of a
node that its writer does not know (SYMMETRIC, FORMAT, a collation …) is refused too, never dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from sqlglot import exp

from libs.sql.dialect import position_of
from libs.sql.emitted import ATOM, Emitted
from libs.sql.errors import Reason, SqlError, refuse, violation_at
from libs.sql.failures import FailPoint, Failure, FailureKind
from libs.sql.limits import Limits

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
    writers: Mapping[type[exp.Expr], Writer]
    fail_points: list[FailPoint] = field(default_factory=list)
    _count: int = 0
    _depth: int = 0

    def emit(self, node: exp.Expr, default_position: int = 0) -> Emitted:
        """Compile one expression. Raises SqlError with the first thing refused."""
        self._count += 1
        if self._count > self.limits.operands:
            raise self.refuse(
                node, Reason.TOO_LARGE, f"more than {self.limits.operands} expressions in one statement"
            )
        writer = self.writers.get(type(node))
        if writer is None:
            raise self._unsupported(node, default_position)
        known, write = writer
        unknown = [name for name, value in node.args.items() if value and name not in known]
        if unknown:
            what = f"{unknown[0].upper()} in {type(node).__name__.upper()}"
            raise self.refuse(
                node, Reason.UNSUPPORTED_SYNTAX, f"{what} is not supported", default=default_position
            )
        self._depth += 1
        if self._depth > 2 * self.limits.depth:
            raise self.refuse(
                node, Reason.TOO_DEEP, "the expression is nested too deeply", "split the expression"
            )
        try:
            emitted = write(self, node)
        finally:
            self._depth -= 1
        if emitted.failure is not None and emitted.failure.size > self.limits.executable_bytes:
            raise self.refuse(
                node,
                Reason.TOO_LARGE,
                "the expression needs too many checks",
                "use fewer casts and operations",
            )
        if emitted.growth > self.limits.expansion:
            raise self.refuse(
                node,
                Reason.EXPANSION,
                f"the value may become more than {self.limits.expansion} times as long as its input",
                "use literal, smaller counts and replacements",
            )
        return emitted

    def refuse(
        self, node: exp.Expr, reason: Reason, message: str, suggestion: str = "", default: int = 0
    ) -> SqlError:
        """A refusal at the node's place (at `default` if it has none); the caller raises it."""
        return refuse(self.sql, position_of(node, default), reason, message, suggestion)

    def _unsupported(self, node: exp.Expr, default: int) -> SqlError:
        name = getattr(node, "key", type(node).__name__).upper()
        if isinstance(node, exp.CurrentDate | exp.CurrentTime | exp.CurrentTimestamp | exp.CurrentUser):
            return self.refuse(
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
            return self.refuse(node, Reason.NOT_ROW_WISE, f"{what} needs more than one row", "", default)
        return self.refuse(node, Reason.UNSUPPORTED_SYNTAX, f"{name} is not supported", "", default)

    def make(
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
        """An expression made of its children, whose position, growth and constancy follow from theirs."""
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

    def all(self, nodes: Sequence[exp.Expr]) -> tuple[Emitted, ...]:
        """Compile several expressions."""
        return tuple(self.emit(node) for node in nodes)

    def fail_point(self, node: exp.Expr, kind: FailureKind, expression: str, operand: Emitted) -> int:
        """Register an operation that can fail; its number."""
        violation = violation_at(self.sql, position_of(node), Reason.TYPE_ERROR, "")
        number = len(self.fail_points) + 1
        if number > self.limits.fail_points:
            raise self.refuse(
                node,
                Reason.TOO_LARGE,
                f"more than {self.limits.fail_points} casts and operations that can fail",
                "use TRY_CAST, which gives null instead",
            )
        self.fail_points.append(
            FailPoint(number, kind, expression[:200], operand.sql, violation.line, violation.column)
        )
        return number


Writer = tuple[frozenset[str], Callable[[Emitter, exp.Expr], Emitted]]
"""The arguments of a kind of node that its function writes, and the function."""
