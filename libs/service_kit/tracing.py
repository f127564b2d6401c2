"""W3C Trace Context (`traceparent`) of the work at hand, in a context variable that tasks inherit."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog

_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")
_current: ContextVar[str] = ContextVar("traceparent", default="")


def current_traceparent() -> str:
    """The `traceparent` of the request or event being handled; empty outside of both. Goes into every
    Event.
    """
    return _current.get()


def trace_id(traceparent: str) -> str:
    """The 32 hex digits that all work of one request shares; empty if `traceparent` is."""
    return traceparent[3:35]


def child_of(traceparent: str) -> str:
    """A `traceparent` of the same trace with a new parent id; of a new trace if the given one is empty or
    malformed.
    """
    known = _TRACEPARENT.fullmatch(traceparent)
    trace, flags = known.groups() if known else (secrets.token_hex(16), "01")
    return f"00-{trace}-{secrets.token_hex(8)}-{flags}"


@contextmanager
def traced(traceparent: str) -> Iterator[str]:
    """Work inside belongs to this trace (a new one if empty or malformed): events, calls and log lines
    carry it.
    """
    child = child_of(traceparent)
    token = _current.set(child)
    try:
        with structlog.contextvars.bound_contextvars(trace_id=trace_id(child)):
            yield child
    finally:
        _current.reset(token)
