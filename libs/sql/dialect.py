"""Parse a tenant's text with sqlglot: every function call stays as it was written.

sqlglot usually rewrites the functions it knows into its own vocabulary. Here nothing may be rewritten,
because the
engine's meaning of a function is the one that counts; so the dialect knows no functions but those with a
syntax
of their own. Nothing of sqlglot's generator is used either: the writers of `expressions.py` make the executable text.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from sqlglot import exp, parser, tokens
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from libs.sql.errors import Reason, refuse
from libs.sql.limits import Limits

_FUNCTIONS_WITH_SYNTAX = ("CAST", "TRY_CAST", "EXTRACT", "POSITION", "SUBSTRING", "TRIM")
_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END}
_PREFIX = {TokenType.NOT, TokenType.DASH, TokenType.PLUS, TokenType.TILDE}
_ESCAPES = re.compile("\u001b\\[[0-9;]*m")
_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)


class SluiceDialect(Dialect):
    """Standard SQL tokens; functions are left alone; array indices are not shifted."""

    class Tokenizer(tokens.Tokenizer):
        QUOTES: ClassVar[Any] = ["'"]
        IDENTIFIERS: ClassVar[Any] = ['"']
        COMMENTS: ClassVar[Any] = ["--", ("/*", "*/")]
        HEX_STRINGS: ClassVar[Any] = [("x'", "'"), ("X'", "'")]

    class Parser(parser.Parser):
        FUNCTIONS: ClassVar[Any] = {}
        FUNCTION_PARSERS: ClassVar[Any] = {
            name: parser.Parser.FUNCTION_PARSERS[name]
            for name in _FUNCTIONS_WITH_SYNTAX
            if name in parser.Parser.FUNCTION_PARSERS
        }

        def expression(self, instance: Any, token: Any = None, comments: Any = None) -> Any:
            """Give nodes without a positioned part (NULL, TRUE, current_date, ?) the position of
            their token."""
            made = super().expression(instance, token, comments)
            if not made.meta.get("start") and not any(made.iter_expressions()) and self._prev:
                made.meta["start"] = self._prev.start
            return made

        NO_PAREN_FUNCTION_PARSERS: ClassVar[Any] = {"CASE": parser.Parser.NO_PAREN_FUNCTION_PARSERS["CASE"]}


def tokenize(sql: str, limits: Limits) -> list[Token]:
    """The tokens of a statement within its limits of size and nesting.

    Raises SqlError: TOO_LARGE, TOO_DEEP, or SYNTAX for an unreadable text.
    """
    size = len(sql.encode("utf-8", "surrogatepass"))
    if size > limits.statement_bytes:
        raise refuse(
            "",
            0,
            Reason.TOO_LARGE,
            f"the statement has {size} bytes; the limit is {limits.statement_bytes}",
        )
    found = _INVISIBLE.search(sql)
    if found is not None:
        code = f"U+{ord(found.group()):04X}"
        raise refuse(sql, found.start(), Reason.SYNTAX, f"invisible or control character {code}", "remove it")
    try:
        sql.encode("utf-8")
        found_tokens = list(SluiceDialect().tokenize(sql))
    except (TokenError, UnicodeEncodeError) as error:
        raise refuse(
            sql,
            len(sql),
            Reason.SYNTAX,
            "the text cannot be read: is a quote or comment left open?",
            detail=str(error),
        ) from error
    _check_nesting(sql, found_tokens, limits)
    return found_tokens


def _check_nesting(sql: str, found_tokens: list[Token], limits: Limits) -> None:
    depth = prefixes = 0
    for token in found_tokens:
        if token.token_type in _OPENING:
            depth += 1
        elif token.token_type in _CLOSING:
            depth = max(0, depth - 1)
        prefixes = prefixes + 1 if token.token_type in _PREFIX else 0
        if depth + prefixes > limits.depth:
            raise refuse(
                sql,
                token.start,
                Reason.TOO_DEEP,
                f"nesting is deeper than {limits.depth}",
                "split the expression",
            )


def parse(sql: str, found_tokens: list[Token]) -> exp.Expr:
    """The one statement of the text.

    Raises SqlError: SYNTAX, MULTIPLE_STATEMENTS, TOO_DEEP.
    """
    statement_tokens = list(found_tokens)
    while statement_tokens and statement_tokens[-1].token_type == TokenType.SEMICOLON:
        statement_tokens.pop()
    for token in statement_tokens:
        if token.token_type == TokenType.SEMICOLON:
            raise refuse(
                sql,
                token.start,
                Reason.MULTIPLE_STATEMENTS,
                "only one statement is allowed",
                "remove what follows ';'",
            )
    if not statement_tokens:
        raise refuse(sql, 0, Reason.SYNTAX, "the statement is empty", "write SELECT … FROM events")
    if statement_tokens[0].text.upper() not in ("SELECT", "WITH", "("):
        raise refuse(
            sql,
            statement_tokens[0].start,
            Reason.NOT_A_SELECT,
            "only SELECT … FROM events is allowed",
            "start with SELECT",
        )
    try:
        statements = SluiceDialect().parser().parse(statement_tokens, sql)
    except ParseError as error:
        raise _syntax_error(sql, error) from error
    except RecursionError as error:
        raise refuse(sql, 0, Reason.TOO_DEEP, "the statement is nested too deeply") from error
    if len(statements) != 1 or statements[0] is None:
        raise refuse(sql, 0, Reason.MULTIPLE_STATEMENTS, "exactly one statement is needed")
    return statements[0]


def _syntax_error(sql: str, error: ParseError) -> Exception:
    first = error.errors[0] if error.errors else {}
    line, column = int(first.get("line") or 1), int(first.get("col") or 1)
    highlight = str(first.get("highlight") or "")
    starts = [0, *(match.end() for match in re.finditer("\n", sql))]
    end = starts[min(line, len(starts)) - 1] + column
    position = max(0, end - max(1, len(highlight)))
    description = str(first.get("description") or "cannot be parsed").rstrip(".")
    if description.startswith("Required keyword"):
        description = "something is missing after it"
    elif description.startswith("Invalid expression"):
        description = "it is not expected here"
    near = f" near {highlight!r}" if highlight else ""
    return refuse(
        sql,
        position,
        Reason.SYNTAX,
        f"syntax error{near}: {description}",
        detail=_ESCAPES.sub("", str(error))[:500],
    )


def position_of(node: exp.Expr, default: int = 0) -> int:
    """The offset of the first character that a node's leaves carry, or `default`."""
    starts = [int(part.meta["start"]) for part in node.walk() if "start" in part.meta]
    return min(starts, default=default)
