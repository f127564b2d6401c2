"""Which function calls are accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from libs.sql.columns import nearest_name
from libs.sql.emitted import Emitted
from libs.sql.errors import Reason, refuse
from libs.sql.functions import AGGREGATES, FORBIDDEN, FUNCTIONS, REGULAR_EXPRESSIONS, VOLATILE
from libs.sql.growth import UNBOUNDED, Argument, growth_of


@dataclass(frozen=True)
class CallRules:
    """The rules of calls in one statement."""

    sql: str

    def check_name(self, name: str, position: int) -> None:
        """Raises SqlError unless a tenant may call the function."""
        if name in FUNCTIONS:
            return
        if name in VOLATILE:
            raise refuse(
                self.sql,
                position,
                Reason.VOLATILE_FUNCTION,
                f"{name} differs from run to run, so a replay would not repeat the output",
                "use _timestamp, the time of the event's record"
                if "time" in name or name in ("now", "today")
                else "",
            )
        if name in AGGREGATES:
            raise refuse(
                self.sql,
                position,
                Reason.NOT_ROW_WISE,
                f"{name} needs more than one row; a statement works row by row",
            )
        if name in FORBIDDEN:
            raise refuse(
                self.sql, position, Reason.FORBIDDEN_FUNCTION, f"{name} is not allowed: {FORBIDDEN[name]}"
            )
        nearest = nearest_name(name, FUNCTIONS)
        raise refuse(
            self.sql,
            position,
            Reason.UNKNOWN_FUNCTION,
            f"unknown function {name[:80]!r}",
            f"did you mean {nearest}?" if nearest else "",
        )

    def check_arguments(
        self,
        function: str,
        arguments: tuple[Emitted, ...],
        position: int,
        constant_error: Callable[[str], str | None],
    ) -> int:
        """The growth of the call's value. Raises SqlError for a pattern that is no literal or no pattern."""
        if function in REGULAR_EXPRESSIONS and len(arguments) >= 2:
            pattern = arguments[1]
            if pattern.text is None:
                raise refuse(
                    self.sql,
                    pattern.position,
                    Reason.UNSUPPORTED_SYNTAX,
                    f"the pattern of {function} must be a literal",
                )
            problem = constant_error(f"regexp_like('', {pattern.sql})")
            if problem is not None:
                raise refuse(
                    self.sql,
                    pattern.position,
                    Reason.TYPE_ERROR,
                    "this pattern cannot be run (it has no look-around, no back-references, a bounded size)",
                    detail=problem,
                )
        growth = growth_of(
            function, [Argument(argument.growth, argument.text, argument.number) for argument in arguments]
        )
        if growth >= UNBOUNDED:
            raise refuse(
                self.sql,
                position,
                Reason.EXPANSION,
                f"the count of {function} must be a literal whole number",
            )
        return growth
