"""Resource names (AIP-122): patterns that parse to their parts and format back."""

import re

from libs.service_kit.errors import invalid_field

# AIP-122: RFC 1034 labels, lower case.
DEFAULT_SEGMENT = r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
WILDCARD = "-"


class ResourcePattern:
    """For example `ResourcePattern("subjects/{subject}/versions/{version}", version="[0-9]+")`.

    `segments` gives a variable another regular expression than the default, a lower-case label of up to 63
    characters.
    """

    def __init__(self, pattern: str, **segments: str) -> None:
        self.pattern = pattern
        self.variables = tuple(re.findall(r"\{(\w+)\}", pattern))
        unknown = set(segments) - set(self.variables)
        if unknown:
            raise ValueError(f"{pattern} has no {{{sorted(unknown)[0]}}}")
        self._segments = {name: re.compile(segments.get(name, DEFAULT_SEGMENT)) for name in self.variables}
        self._parts = [(part, part[1:-1] if part.startswith("{") else "") for part in pattern.split("/")]

    def parse(self, name: str, *, field: str = "name", wildcard: bool = False) -> tuple[str, ...]:
        """The variables' values, in the pattern's order. With `wildcard` a value may be `-` (AIP-159).

        InvalidArgument on `field` that says which segment is wrong and what is allowed.
        """
        found = name.split("/")
        if len(found) != len(self._parts):
            raise invalid_field(
                field, f"{name[:100]!r} must have the form {self.pattern}", "INVALID_RESOURCE_NAME"
            )
        values = []
        for given, (literal, variable) in zip(found, self._parts, strict=True):
            if not variable:
                if given != literal:
                    text = f"{name[:100]!r} must have the form {self.pattern}"
                    raise invalid_field(field, text, "INVALID_RESOURCE_NAME")
                continue
            if not (wildcard and given == WILDCARD) and not self._segments[variable].fullmatch(given):
                text = (
                    f"{name[:100]!r}: {variable} {given[:70]!r} must match {self._segments[variable].pattern}"
                    f" (form {self.pattern})"
                )
                raise invalid_field(field, text, "INVALID_RESOURCE_NAME")
            values.append(given)
        return tuple(values)

    def format(self, *values: str) -> str:
        """The name with these values, in the pattern's order. ValueError if one does not fit: names are
        ours by then.
        """
        if len(values) != len(self.variables):
            raise ValueError(f"{self.pattern} takes {len(self.variables)} values, got {len(values)}")
        for variable, value in zip(self.variables, values, strict=True):
            if not self._segments[variable].fullmatch(value):
                raise ValueError(f"{variable} {value[:70]!r} must match {self._segments[variable].pattern}")
        rest = iter(values)
        return "/".join(next(rest) if variable else literal for literal, variable in self._parts)

    def matches(self, name: str) -> bool:
        found = name.split("/")
        return len(found) == len(self._parts) and all(
            self._segments[variable].fullmatch(given) if variable else given == literal
            for given, (literal, variable) in zip(found, self._parts, strict=True)
        )
