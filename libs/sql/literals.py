"""Write literals."""

from __future__ import annotations

import re

from sqlglot import exp

from libs.sql.columns import quote_text
from libs.sql.dialect import position_of
from libs.sql.emitted import Emitted
from libs.sql.emitter import Emitter
from libs.sql.errors import Reason

_NUMBER = re.compile(r"(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z")
INTERVAL_UNITS = {"YEAR", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND"}


def literal(emitter: Emitter, node: exp.Expr) -> Emitted:
    position = position_of(node)
    if node.args.get("is_string"):
        text = str(node.this)
        return Emitted(quote_text(text), quote_text(text), position, text=text, constant=True)
    number = str(node.this)
    if not _NUMBER.match(number) or len(number) > 80:
        raise emitter.refuse(node, Reason.SYNTAX, f"{number[:80]!r} is no number")
    whole = int(number) if number.isdigit() else None
    return Emitted(number, number, position, number=whole, constant=True)


def constant(emitter: Emitter, node: exp.Expr) -> Emitted:
    text = "NULL" if isinstance(node, exp.Null) else ("TRUE" if node.this else "FALSE")
    return Emitted(text, text, position_of(node, 1 << 30), constant=True)


def hex_string(emitter: Emitter, node: exp.Expr) -> Emitted:
    digits = str(node.this)
    if not re.fullmatch(r"([0-9a-fA-F]{2})*", digits) or node.args.get("is_integer"):
        raise emitter.refuse(node, Reason.SYNTAX, "a binary literal is X'…' with pairs of hexadecimal digits")
    return Emitted(f"X'{digits}'", f"X'{digits}'", position_of(node), constant=True)


def interval(emitter: Emitter, node: exp.Expr) -> Emitted:
    unit = str(node.args["unit"].this).upper() if isinstance(node.args.get("unit"), exp.Var) else ""
    singular = unit[:-1] if unit.endswith("S") else unit
    amount = node.this
    if singular not in INTERVAL_UNITS or not isinstance(amount, exp.Literal):
        raise emitter.refuse(
            node,
            Reason.UNSUPPORTED_SYNTAX,
            "an interval is a literal with one unit",
            "write INTERVAL '5' MINUTE",
        )
    number = str(amount.this)
    if not re.fullmatch(r"-?\d{1,9}", number):
        raise emitter.refuse(node, Reason.SYNTAX, "the amount of an interval is a whole number")
    text = f"INTERVAL '{number} {singular}'"
    return Emitted(text, text, position_of(node), constant=True)
