"""Write operators, conditions and parentheses."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
from sqlglot import exp

from libs.sql import failures
from libs.sql.columns import quote_text
from libs.sql.emitted import ATOM, Emitted, within
from libs.sql.emitter import Emitter
from libs.sql.errors import Reason
from libs.sql.failures import FailureKind
from libs.sql.literals import constant, literal

OR, AND, NOT, COMPARE, BIT, CONCAT, ADD, MULTIPLY, UNARY = 1, 2, 3, 4, 5, 6, 7, 8, 9
"""How strongly operators bind, for parentheses; what stands by itself is an ATOM."""

BINARY: dict[type[exp.Expr], tuple[str, int]] = {
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


def paren(emitter: Emitter, node: exp.Expr) -> Emitted:
    inner = emitter.emit(node.this)
    return replace(inner, sql=f"({inner.sql})", strict=f"({inner.strict})", precedence=ATOM)


def negative(emitter: Emitter, node: exp.Expr) -> Emitted:
    inner = emitter.emit(node.this)
    sql, strict = within(inner, ATOM)
    if not sql[0].isdigit():
        sql, strict = f"({sql})", f"({strict})"
    made = emitter.make(node, f"-{sql}", f"-{strict}", (inner,), UNARY, inner.failure)
    return replace(made, number=-inner.number if inner.number is not None else None)


def negation(emitter: Emitter, node: exp.Expr) -> Emitted:
    inner = emitter.emit(node.this)
    return emitter.make(node, f"NOT ({inner.sql})", f"NOT ({inner.strict})", (inner,), NOT, inner.failure)


def binary(emitter: Emitter, node: exp.Expr) -> Emitted:
    """A chain of operators of one precedence is walked with a loop: it may be thousands long."""
    precedence = BINARY[type(node)][1]
    chain: list[exp.Expr] = []
    leftmost = node
    while type(leftmost) in BINARY and BINARY[type(leftmost)][1] == precedence and precedence > COMPARE:
        chain.append(leftmost)
        leftmost = leftmost.this
    if not chain:
        chain, leftmost = [node], node.this
    made = emitter.emit(leftmost)
    for link in reversed(chain):
        made = _binary_link(emitter, link, made, emitter.emit(link.expression))
    return made


def _binary_link(emitter: Emitter, node: exp.Expr, left: Emitted, right: Emitted) -> Emitted:
    operator, precedence = BINARY[type(node)]
    own = ADD if precedence == COMPARE else UNARY
    same_chain = precedence in _CHAINS and left.precedence == precedence
    left_sql, left_strict = within(left, precedence if same_chain else own)
    right_sql, right_strict = within(right, own)
    strict = f"{left_strict} {operator} {right_strict}"
    failure = failures.first_of([left.failure, right.failure])
    kind = emitter.type_of(strict) if operator in _CHECKED else None
    if kind is not None and operator in ("/", "%"):
        if failures.is_exact(kind) and not right.number:
            number = emitter.fail_point(node, FailureKind.DIVISION_BY_ZERO, strict, right)
            failure = failures.first_of([failure, failures.at(f"({right.sql}) = 0", number)])
            right_sql = f"nullif({right_sql}, 0)"
    elif kind is not None and pa.types.is_signed_integer(kind):
        number = emitter.fail_point(node, FailureKind.OVERFLOW, strict, left)
        overflow = failures.overflow(operator, left.sql, right.sql, kind.bit_width)
        failure = failures.first_of([failure, failures.at(overflow, number)])
    growth = left.growth + right.growth if operator == "||" else None
    return emitter.make(
        node,
        f"{left_sql} {operator} {right_sql}",
        strict,
        (left, right),
        precedence,
        failure,
        growth=growth,
    )


def connector(emitter: Emitter, node: exp.Expr) -> Emitted:
    kind = type(node)
    operands: list[exp.Expr] = []
    rest: exp.Expr = node
    while type(rest) is kind:
        operands.append(rest.expression)
        rest = rest.this
    operands.append(rest)
    word, precedence, stop = ("AND", AND, "FALSE") if kind is exp.And else ("OR", OR, "TRUE")
    parts = emitter.all(operands[::-1])
    texts = [within(part, precedence + 1) for part in parts]
    return emitter.make(
        node,
        f" {word} ".join(text[0] for text in texts),
        f" {word} ".join(text[1] for text in texts),
        parts,
        precedence,
        failures.of_conjunction([(part.sql, part.failure) for part in parts], stop),
    )


def like(emitter: Emitter, node: exp.Expr) -> Emitted:
    return _like(emitter, node, "\\")


def escaped(emitter: Emitter, node: exp.Expr) -> Emitted:
    inner, character = node.this, node.expression
    if not isinstance(inner, exp.Like | exp.ILike) or not (
        isinstance(character, exp.Literal) and character.is_string and len(character.this) == 1
    ):
        raise emitter.refuse(node, Reason.UNSUPPORTED_SYNTAX, "ESCAPE needs a literal of one character")
    return _like(emitter, inner, str(character.this))


def _like(emitter: Emitter, node: exp.Expr, escape: str) -> Emitted:
    """The engine knows the backslash alone as the escape character, so others are translated to it."""
    word = "ILIKE" if isinstance(node, exp.ILike) else "LIKE"
    word = f"NOT {word}" if node.args.get("negate") else word
    value, pattern = emitter.emit(node.this), emitter.emit(node.expression)
    if pattern.text is None:
        raise emitter.refuse(node, Reason.UNSUPPORTED_SYNTAX, f"the pattern of {word} must be a literal")
    text = quote_text(_with_backslashes(pattern.text, escape))
    sql, strict = within(value, ADD)
    return emitter.make(
        node, f"{sql} {word} {text}", f"{strict} {word} {text}", (value, pattern), COMPARE, value.failure
    )


def between(emitter: Emitter, node: exp.Expr) -> Emitted:
    parts = emitter.all([node.this, node.args["low"], node.args["high"]])
    (value, value_strict), (low, low_strict), (high, high_strict) = (within(part, ADD) for part in parts)
    return emitter.make(
        node,
        f"{value} BETWEEN {low} AND {high}",
        f"{value_strict} BETWEEN {low_strict} AND {high_strict}",
        parts,
        COMPARE,
        failures.first_of([part.failure for part in parts]),
    )


def membership(emitter: Emitter, node: exp.Expr) -> Emitted:
    if node.args.get("query"):
        raise emitter.refuse(node, Reason.NOT_ROW_WISE, "a subquery needs more than one row")
    value = emitter.emit(node.this)
    literals = all(isinstance(item, exp.Literal) for item in node.expressions)
    items = (
        tuple(literal(emitter, item) for item in node.expressions)
        if literals
        else emitter.all(node.expressions)
    )
    sql, strict = within(value, ADD)
    children = (value, *items)
    return emitter.make(
        node,
        f"{sql} IN ({', '.join(item.sql for item in items)})",
        f"{strict} IN ({', '.join(item.strict for item in items)})",
        children,
        COMPARE,
        failures.first_of([child.failure for child in children]),
    )


def is_test(emitter: Emitter, node: exp.Expr) -> Emitted:
    if not isinstance(node.expression, exp.Null | exp.Boolean):
        raise emitter.refuse(node, Reason.UNSUPPORTED_SYNTAX, "IS needs NULL, TRUE, FALSE or DISTINCT FROM")
    inner, test = emitter.emit(node.this), constant(emitter, node.expression)
    sql, strict = within(inner, ADD)
    return emitter.make(
        node, f"{sql} IS {test.sql}", f"{strict} IS {test.sql}", (inner,), COMPARE, inner.failure
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
