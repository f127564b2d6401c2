"""Waiting in tests: a condition is polled, with a bound."""

import time
from collections.abc import Callable


def eventually(
    condition: Callable[[], bool], seconds: float = 30.0, what: str = "the condition", every_s: float = 0.1
) -> None:
    """Poll until the condition holds; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds:g} s"
        time.sleep(every_s)
