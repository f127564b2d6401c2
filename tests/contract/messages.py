"""Small messages for tests of the store and the bus; the content does not matter to either."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.wrappers_pb2 import StringValue

from libs.store import new_event
from sluice.event.v1 import event_pb2

TIME = datetime(2026, 1, 1, tzinfo=UTC)


def event_about(subject: str, content: str = "", source: str = "subscription") -> event_pb2.Event:
    return new_event(source=source, subject=subject, data=StringValue(value=content), time=TIME)


def content_of(event: event_pb2.Event) -> str:
    data = StringValue()
    event.data.Unpack(data)
    return data.value
