"""What the front tells the parent: one packet each."""

import json
from dataclasses import asdict, dataclass

MAX_PACKET_BYTES = 65536


@dataclass(frozen=True)
class StartWorker:
    """Fork a worker that connects to the runner's control endpoint (`host:port`)."""

    worker_id: str
    control_address: str


@dataclass(frozen=True)
class StopWorker:
    worker_id: str


Message = StartWorker | StopWorker


def encode(message: Message) -> bytes:
    return json.dumps({"kind": type(message).__name__, **asdict(message)}).encode()


def decode(packet: bytes) -> Message:
    """The inverse of `encode`; ValueError for anything else."""
    fields = json.loads(packet)
    kind = fields.pop("kind")
    if kind == "StartWorker":
        return StartWorker(**fields)
    if kind == "StopWorker":
        return StopWorker(**fields)
    raise ValueError(f"unknown message {kind!r}")
