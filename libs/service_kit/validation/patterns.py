"""Patterns of `buf.validate` are RE2; Python's `re` runs them, so just the part that both share is allowed.

Patterns come from our own .proto files, never from a client, and are tried only on values whose length
rules hold.
"""

import re


class UnsupportedPattern(ValueError):
    """The pattern uses something that `re` does not treat as RE2 does."""


_SAME_ESCAPES = frozenset("dDwW.\\+*?()[]{}|^$-/nrtfv\"'#&~=<>:;,@!%_ ")
_QUANTIFIERS = "*+?}"


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A `re` pattern that finds in a text what RE2 finds; `$` is the end of the text, as in RE2 without
    flags.
    """
    translated: list[str] = []
    in_class = False
    position = 0
    previous_quantifier = False
    while position < len(pattern):
        character = pattern[position]
        following = pattern[position + 1 : position + 2]
        quantifier = False
        if character == "\\":
            if following == "z":
                translated.append(r"\Z")
            elif following and following in _SAME_ESCAPES:
                translated.append(character + following)
            else:
                raise UnsupportedPattern(f"pattern {pattern!r}: \\{following} is not supported")
            position += 2
            previous_quantifier = False
            continue
        if in_class:
            if character == "[":
                if following == ":":
                    raise UnsupportedPattern(f"pattern {pattern!r}: [:class:] is not supported")
                translated.append("\\")
            if character in "-&~|" and following == character:
                raise UnsupportedPattern(f"pattern {pattern!r}: {character * 2} in a class is not supported")
            in_class = character != "]"
        elif character == "[":
            in_class = True
            if following in ("]", "^") and pattern[position + 1 : position + 3] in ("]", "^]"):
                raise UnsupportedPattern(
                    f"pattern {pattern!r}: an empty class or a class with `]` is not supported"
                )
        elif character == "(" and following == "?" and pattern[position + 2 : position + 3] != ":":
            raise UnsupportedPattern(f"pattern {pattern!r}: (? other than (?: is not supported")
        elif character == "$":
            translated.append(r"\Z")
            position += 1
            previous_quantifier = False
            continue
        elif character == "{" and not re.match(r"\{\d+(,\d*)?\}", pattern[position:]):
            raise UnsupportedPattern(f"pattern {pattern!r}: a literal {{ must be escaped")
        elif character in _QUANTIFIERS:
            if previous_quantifier and character == "+":
                raise UnsupportedPattern(f"pattern {pattern!r}: possessive quantifiers are not supported")
            quantifier = True
        translated.append(character)
        previous_quantifier = quantifier
        position += 1
    try:
        return re.compile("".join(translated), re.ASCII)
    except re.error as error:
        raise UnsupportedPattern(f"pattern {pattern!r}: {error}") from None
