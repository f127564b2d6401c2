"""Compile a tenant's statement: a pure function of its text and the dataset's schema."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pyarrow as pa
from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from libs.sql import failures
from libs.sql.columns import PSEUDO_COLUMNS, TABLE, flat_schema, planning_schema, quote
from libs.sql.dialect import parse, position_of, tokenize
from libs.sql.emitted import Emitted, paths_of
from libs.sql.emitter import Emitter
from libs.sql.errors import Reason, SqlError, Violation, refuse, violation_at
from libs.sql.expressions import WRITERS
from libs.sql.failures import FailPoint
from libs.sql.limits import Limits
from libs.sql.output_types import plain_type
from libs.sql.planner import Planner, explain

_AVRO_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class CompiledQuery:
    """A statement ready to run.

    `executable_sql` selects the output columns in order, then `failure_column` (the number of a
    `FailPoint`, null for
    a good row; only if `fail_points` is not empty), then `ordinal_column` (int32, the row's index in its
    batch), from
    a table `events` that has one flat column a path (`flat_name`) and the ordinal column. `referenced`
    are paths of the dataset's
    fields (a record read whole is one path), `pseudo_columns` those of Kafka's; the two together are
    never empty, so
    that a batch always has a column to count rows by. `output_schema` has the names, types and
    nullability of the
    rows a query gives.
    """

    statement: str
    executable_sql: str
    referenced: frozenset[tuple[str, ...]]
    pseudo_columns: frozenset[str]
    output_schema: pa.Schema
    fail_points: tuple[FailPoint, ...]
    ordinal_column: str
    failure_column: str


@dataclass(frozen=True)
class _Output:
    name: str
    expression: Emitted


def compile_query(sql: str, input_schema: pa.Schema, limits: Limits | None = None) -> CompiledQuery:
    """Compile one SELECT over the table `events`, whose columns are `input_schema` and the pseudo-columns.

    Deterministic: the same text, schema and limits give the same result. Raises SqlError.
    """
    limits = limits or Limits()
    tokens = tokenize(sql, limits)
    try:
        select = _row_wise_select(sql, tokens, parse(sql, tokens))
        schema = planning_schema(input_schema)
        ordinal, failure = _free_name("__ordinal", schema), _free_name("__failure", schema)
        planner = Planner(flat_schema(schema).append(pa.field(ordinal, pa.int32(), nullable=False)))
        emitter = Emitter(
            sql, schema, _table_names(sql, select), limits, planner.type_of, planner.constant_error, WRITERS
        )
        where = emitter.emit(select.args["where"].this) if select.args.get("where") else None
        outputs = _outputs(sql, select, emitter, input_schema, limits)
    except RecursionError as error:
        raise refuse(sql, 0, Reason.TOO_DEEP, "the statement is nested too deeply") from error
    return _assemble(sql, planner, emitter, outputs, where, ordinal, failure, limits)


def _free_name(wanted: str, schema: pa.Schema) -> str:
    name = wanted
    while name in schema.names:
        name = f"_{name}"
    return name


_REFUSED_CLAUSES: dict[str, tuple[str, tuple[TokenType, ...]]] = {
    "with_": ("WITH", (TokenType.WITH,)),
    "distinct": ("DISTINCT", (TokenType.DISTINCT,)),
    "joins": ("a join or a second table", (TokenType.JOIN, TokenType.COMMA)),
    "laterals": ("LATERAL", (TokenType.LATERAL,)),
    "group": ("GROUP BY", (TokenType.GROUP_BY,)),
    "having": ("HAVING", (TokenType.HAVING,)),
    "qualify": ("QUALIFY", (TokenType.QUALIFY,)),
    "windows": ("WINDOW", (TokenType.WINDOW,)),
    "order": ("ORDER BY", (TokenType.ORDER_BY,)),
    "limit": ("LIMIT", (TokenType.LIMIT, TokenType.FETCH)),
    "offset": ("OFFSET", (TokenType.OFFSET,)),
}
_ALLOWED_CLAUSES = {"expressions", "from_", "where"}


def _token_position(tokens: list[Token], kinds: tuple[TokenType, ...], after: int = 0) -> int:
    return next(
        (token.start for token in tokens if token.token_type in kinds and token.start >= after), after
    )


def _row_wise_select(sql: str, tokens: list[Token], statement: exp.Expr) -> exp.Select:
    """The statement, if it is one SELECT of projection and filter. Raises SqlError for all that is
    refused."""
    if isinstance(statement, exp.SetOperation):
        position = _token_position(tokens, (TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT))
        raise refuse(
            sql, position, Reason.NOT_ROW_WISE, f"{statement.key.upper()} is not allowed", "subscribe twice"
        )
    if not isinstance(statement, exp.Select):
        raise refuse(
            sql,
            tokens[0].start,
            Reason.NOT_A_SELECT,
            "only SELECT … FROM events is allowed",
            "start with SELECT",
        )
    violations: list[Violation] = []
    after = position_of(statement.args["from_"], 0) if statement.args.get("from_") else 0
    for name, value in statement.args.items():
        if not value or name in _ALLOWED_CLAUSES:
            continue
        what, kinds = _REFUSED_CLAUSES.get(name, (name.strip("_").upper(), ()))
        start = 0 if name in ("with_", "distinct") else after
        reason = Reason.NOT_ROW_WISE if name in _REFUSED_CLAUSES else Reason.UNSUPPORTED_SYNTAX
        violations.append(
            violation_at(
                sql,
                _token_position(tokens, kinds, start),
                reason,
                f"{what} is not allowed: a statement looks at one event of one table at a time",
            )
        )
    if violations:
        raise SqlError(violations)
    return statement


def _table_names(sql: str, select: exp.Select) -> frozenset[str]:
    """The names by which columns may be qualified, in lower case."""
    source = select.args.get("from_")
    if source is None:
        raise refuse(sql, len(sql), Reason.UNKNOWN_TABLE, "FROM is missing", f"add FROM {TABLE}")
    table = source.this
    if not isinstance(table, exp.Table) or not isinstance(table.this, exp.Identifier):
        what = "a subquery" if isinstance(table, exp.Subquery) else "this source"
        reason = Reason.NOT_ROW_WISE if isinstance(table, exp.Subquery) else Reason.FORBIDDEN_FUNCTION
        raise refuse(sql, position_of(source), reason, f"{what} is not allowed", f"write FROM {TABLE}")
    name = str(table.this.this)
    if table.args.get("db") or table.args.get("catalog") or name.lower() != TABLE:
        written = ".".join(str(part.this) for part in table.parts)
        raise refuse(
            sql,
            position_of(table),
            Reason.UNKNOWN_TABLE,
            f"unknown table {written[:80]!r}",
            f"the table is {TABLE}",
        )
    unknown = [key for key, value in table.args.items() if value and key not in ("this", "alias")]
    alias = table.args.get("alias")
    if unknown or (alias is not None and alias.args.get("columns")):
        joined = "joins" in unknown
        raise refuse(
            sql,
            position_of(table),
            Reason.NOT_ROW_WISE if joined else Reason.UNSUPPORTED_SYNTAX,
            "a join is not allowed" if joined else "only a name can follow the table",
        )
    return frozenset({TABLE} if alias is None else {str(alias.name).lower()})


def _outputs(
    sql: str, select: exp.Select, emitter: Emitter, input_schema: pa.Schema, limits: Limits
) -> list[_Output]:
    outputs: list[_Output] = []
    violations: list[Violation] = []
    for node in select.expressions:
        try:
            if isinstance(node, exp.Star):
                outputs += _star(sql, node, emitter, input_schema)
            else:
                outputs.append(_named(sql, node, emitter, len(outputs) + 1))
        except SqlError as error:
            violations += error.violations
        if len(outputs) > limits.output_columns:
            raise refuse(
                sql,
                position_of(node),
                Reason.TOO_MANY_COLUMNS,
                f"more than {limits.output_columns} output columns",
            )
        if len(violations) >= 20:
            break
    violations += _name_violations(sql, outputs)
    if violations:
        raise SqlError(violations)
    if sum(output.expression.growth - 1 for output in outputs) > limits.expansion:
        raise refuse(
            sql,
            0,
            Reason.EXPANSION,
            f"the row may become more than {limits.expansion} times as long as its input",
        )
    return outputs


def _star(sql: str, node: exp.Expr, emitter: Emitter, input_schema: pa.Schema) -> list[_Output]:
    if any(value for value in node.args.values()):
        raise refuse(sql, position_of(node), Reason.UNSUPPORTED_SYNTAX, "nothing can follow '*'")
    hidden = [name for name in input_schema.names if name in PSEUDO_COLUMNS.names]
    if hidden:
        raise refuse(
            sql,
            position_of(node),
            Reason.AMBIGUOUS_COLUMN,
            f"the dataset has a field named like the pseudo-column {hidden[0]}",
            "name the columns instead of '*'",
        )
    outputs = []
    for field in input_schema:
        column = exp.Column(this=exp.Identifier(this=field.name, quoted=True))
        outputs.append(_Output(field.name, replace(emitter.emit(column), position=position_of(node))))
    return outputs


def _named(sql: str, node: exp.Expr, emitter: Emitter, number: int) -> _Output:
    if isinstance(node, exp.Alias):
        alias = node.args["alias"]
        name = str(alias.this) if isinstance(alias, exp.Identifier) else str(alias.name)
        emitted = emitter.emit(node.this)
        if not _AVRO_NAME.match(name):
            raise refuse(
                sql,
                position_of(alias, emitted.position),
                Reason.INVALID_NAME,
                f"{name[:80]!r} cannot be the name of an output field",
                "use letters, digits and _, not starting with a digit",
            )
        return _Output(name, emitted)
    emitted = emitter.emit(node)
    return _Output(emitted.name if _AVRO_NAME.match(emitted.name) else f"column_{number}", emitted)


def _name_violations(sql: str, outputs: list[_Output]) -> list[Violation]:
    seen: set[str] = set()
    violations = []
    for output in outputs:
        if output.name in seen:
            violations.append(
                violation_at(
                    sql,
                    output.expression.position,
                    Reason.DUPLICATE_NAME,
                    f"two output fields are named {output.name!r}",
                    "give one of them another name with AS",
                )
            )
        seen.add(output.name)
    return violations


def _assemble(
    sql: str,
    planner: Planner,
    emitter: Emitter,
    outputs: list[_Output],
    where: Emitted | None,
    ordinal: str,
    failure: str,
    limits: Limits,
) -> CompiledQuery:
    table = f" FROM {quote(TABLE)}"
    strict = (
        "SELECT "
        + ", ".join(f"{output.expression.strict} AS {quote(output.name)}" for output in outputs)
        + table
    )
    values = [f"{output.expression.sql} AS {quote(output.name)}" for output in outputs]
    row_failure = failures.first_of(
        [where.failure if where else None, *(o.expression.failure for o in outputs)]
    )
    if row_failure is not None:
        values.append(f"{row_failure.sql()} AS {quote(failure)}")
    values.append(quote(ordinal))
    executable = f"SELECT {', '.join(values)}{table}"
    if where is not None:
        strict += f" WHERE {where.strict}"
        executable += f" WHERE ({where.sql})"
        executable += f" OR ({where.failure.sql()}) IS NOT NULL" if where.failure else ""
    if len(executable) > limits.executable_bytes:
        raise refuse(
            sql, 0, Reason.TOO_LARGE, "the statement needs too many checks", "use fewer casts in nested CASE"
        )
    roots = [output.expression for output in outputs] + ([where] if where is not None else [])
    try:
        schema = planner.schema(strict)
        problem = planner.run_empty(strict) or planner.run_empty(executable)
        if problem is not None:
            raise ValueError(problem)
    except ValueError as error:
        raise SqlError(_type_violations(sql, planner, outputs, where, str(error))) from error
    paths = paths_of(roots)
    pseudo = {path[0] for path in paths if path[0] in PSEUDO_COLUMNS.names}
    return CompiledQuery(
        statement=sql,
        executable_sql=executable,
        referenced=frozenset(path for path in paths if path[0] not in pseudo),
        pseudo_columns=frozenset(pseudo if paths else {"_offset"}),
        output_schema=_output_schema(sql, schema, outputs),
        fail_points=tuple(emitter.fail_points),
        ordinal_column=ordinal,
        failure_column=failure,
    )


def _output_schema(sql: str, schema: pa.Schema, outputs: list[_Output]) -> pa.Schema:
    fields = []
    for field, output in zip(schema, outputs, strict=True):
        if pa.types.is_null(field.type):
            raise refuse(
                sql,
                output.expression.position,
                Reason.UNSUPPORTED_TYPE,
                f"{output.name!r} is always null and has no type",
                "give it one, as in CAST(NULL AS VARCHAR)",
            )
        if pa.types.is_interval(field.type) or pa.types.is_duration(field.type):
            raise refuse(
                sql,
                output.expression.position,
                Reason.UNSUPPORTED_TYPE,
                f"{output.name!r} is a length of time, which has no place in an output",
                "give it as a number, as in date_part('epoch', later) - date_part('epoch', earlier)",
            )
        plain = field.type if output.expression.path is not None else plain_type(field.type)
        metadata = field.metadata if output.expression.path is not None else None
        fields.append(pa.field(output.name, plain, field.nullable, metadata))
    return pa.schema(fields)


def _type_violations(
    sql: str, planner: Planner, outputs: list[_Output], where: Emitted | None, message: str
) -> list[Violation]:
    """Where the engine's refusal comes from: the smallest expression that it refuses by itself."""
    violations = []
    for root in [output.expression for output in outputs]:
        problem = planner.expression_error(root.strict)
        if problem is not None:
            violations.append(_smallest(sql, planner, root, problem))
    if where is not None:
        problem = planner.expression_error(where.strict)
        if problem is not None:
            violations.append(_smallest(sql, planner, where, problem))
        elif not violations and planner.type_of(where.strict) not in (pa.bool_(), None):
            violations.append(
                violation_at(
                    sql,
                    where.position,
                    Reason.TYPE_ERROR,
                    "the condition of WHERE must be true or false",
                    "",
                    message,
                )
            )
    return violations or [violation_at(sql, 0, Reason.TYPE_ERROR, explain(message), "", message)]


def _smallest(sql: str, planner: Planner, root: Emitted, problem: str) -> Violation:
    node, budget = root, 200
    descended = True
    while descended:
        descended = False
        for child in node.children:
            budget -= 1
            inner = planner.expression_error(child.strict) if budget > 0 and not child.constant else None
            if inner is not None:
                node, problem, descended = child, inner, True
                break
    return violation_at(sql, node.position, Reason.TYPE_ERROR, explain(problem), "", problem)
