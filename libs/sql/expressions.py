"""The expressions a statement may have: for each, the arguments that are known and who writes it."""

from __future__ import annotations

from sqlglot import exp

from libs.sql import branches, literals, operators, references
from libs.sql.emitter import Writer

WRITERS: dict[type[exp.Expr], Writer] = {
    exp.Column: (frozenset({"this", "table", "db", "catalog"}), references.column),
    exp.Dot: (frozenset({"this", "expression"}), references.dot),
    exp.Bracket: (frozenset({"this", "expressions", "offset"}), references.bracket),
    exp.Literal: (frozenset({"this", "is_string"}), literals.literal),
    exp.Null: (frozenset(), literals.constant),
    exp.Boolean: (frozenset({"this"}), literals.constant),
    exp.HexString: (frozenset({"this", "is_integer"}), literals.hex_string),
    exp.Interval: (frozenset({"this", "unit"}), literals.interval),
    exp.Paren: (frozenset({"this"}), operators.paren),
    exp.Neg: (frozenset({"this"}), operators.negative),
    exp.Not: (frozenset({"this"}), operators.negation),
    **{
        kind: (frozenset({"this", "expression", "safe", "typed"}), operators.binary)
        for kind in operators.BINARY
    },
    exp.And: (frozenset({"this", "expression"}), operators.connector),
    exp.Or: (frozenset({"this", "expression"}), operators.connector),
    exp.Like: (frozenset({"this", "expression", "negate"}), operators.like),
    exp.ILike: (frozenset({"this", "expression", "negate"}), operators.like),
    exp.Escape: (frozenset({"this", "expression"}), operators.escaped),
    exp.Between: (frozenset({"this", "low", "high"}), operators.between),
    exp.In: (frozenset({"this", "expressions", "query"}), operators.membership),
    exp.Is: (frozenset({"this", "expression"}), operators.is_test),
    exp.Case: (frozenset({"this", "ifs", "default"}), branches.case),
    exp.Cast: (frozenset({"this", "to"}), branches.cast),
    exp.TryCast: (frozenset({"this", "to", "safe"}), branches.cast),
    exp.Array: (frozenset({"expressions"}), branches.array),
    exp.Extract: (frozenset({"this", "expression"}), branches.extract),
    exp.StrPosition: (frozenset({"this", "substr"}), branches.position),
    exp.Substring: (frozenset({"this", "start", "length"}), branches.substring),
    exp.Trim: (frozenset({"this", "expression", "position"}), branches.trim),
    exp.Anonymous: (frozenset({"this", "expressions"}), branches.anonymous),
}
