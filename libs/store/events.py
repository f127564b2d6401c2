"""How a service makes an event for its commit."""

from __future__ import annotations

import uuid
from datetime import datetime

from google.protobuf.message import Message

from sluice.event.v1 import event_pb2


def new_event(
    *, source: str, subject: str, data: Message, time: datetime, traceparent: str = ""
) -> event_pb2.Event:
    """The envelope of `data` with a new id; the store fills in the revision when it is read."""
    event = event_pb2.Event(
        id=str(uuid.uuid4()),
        source=source,
        type=data.DESCRIPTOR.full_name,
        subject=subject,
        traceparent=traceparent,
    )
    event.time.FromDatetime(time)
    event.data.Pack(data, deterministic=True)
    return event
