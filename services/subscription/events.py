"""What other services' facts mean for subscriptions. Idempotent: a fact is only a reason to look again."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from libs.bus import PermanentError, TemporaryError
from libs.service_kit.tracing import traced
from libs.store import Conflict, Stored, StoreUnavailable
from services.subscription.decide import is_deleting
from services.subscription.records import Record, Subscriptions, copy_of, job_view
from sluice.deployer.v1 import job_pb2
from sluice.event.v1 import event_pb2
from sluice.self_healing.v1 import topology_pb2

_log = structlog.get_logger(__name__)
FactT = TypeVar("FactT", job_pb2.JobStateChanged, topology_pb2.TopologyChanged)
SOURCES = ("deployer", "self_healing")


class Facts:
    """Handles the events of the deployer and of self healing; the work that follows from them is the loop's."""

    def __init__(self, subscriptions: Subscriptions, wake: Callable[[str], None]) -> None:
        self._subscriptions = subscriptions
        self._wake = wake

    async def handle(self, event: event_pb2.Event) -> None:
        """The bus handler. Raises TemporaryError and PermanentError."""
        with traced(event.traceparent):
            try:
                if event.data.TypeName() == job_pb2.JobStateChanged.DESCRIPTOR.full_name:
                    await self._job_changed(_unpacked(event, job_pb2.JobStateChanged()), event.revision)
                elif event.data.TypeName() == topology_pb2.TopologyChanged.DESCRIPTOR.full_name:
                    await self._topology_changed(_unpacked(event, topology_pb2.TopologyChanged()))
            except StoreUnavailable as error:
                raise TemporaryError(str(error), delay_seconds=1.0) from error

    async def _job_changed(self, changed: job_pb2.JobStateChanged, revision: int) -> None:
        outputs = changed.job.spec.outputs
        name = outputs[0].subscription if outputs else ""
        if not name.startswith("tenants/"):
            return

        def take_over(record: Record) -> bool:
            if record.subscription.job != changed.job.name or revision <= record.job.revision:
                return False
            record.job.CopyFrom(job_view(changed.job, revision=revision))
            return True

        await self._change(name, take_over)

    async def _topology_changed(self, changed: topology_pb2.TopologyChanged) -> None:
        """Have just those subscriptions compiled again that a changed or deleted resource touches."""
        parent, touches = "tenants/-", _touched_by(changed)
        if changed.WhichOneof("resource") == "binding":
            parent = f"tenants/{changed.binding.name.split('/')[3]}"
        touched = [stored for stored in await self._subscriptions.all(parent) if touches(stored)]
        for stored in touched:
            await self._change(stored.name, _make_due)
        if touched:
            _log.info("topology changed", resource=_name_of(changed), subscriptions=len(touched))

    async def _change(self, name: str, change: Callable[[Record], bool]) -> None:
        """Apply `change`, which says whether it changed anything, to the record as it is now."""
        while True:
            stored = await self._subscriptions.get(name)
            if stored is None:
                return
            record = copy_of(stored.message)
            if not change(record):
                return
            try:
                await self._subscriptions.write(stored, record)
            except Conflict:
                continue
            self._wake(name)
            return


def _touched_by(changed: topology_pb2.TopologyChanged) -> Callable[[Stored[Record]], bool]:
    resource, name = changed.WhichOneof("resource"), _name_of(changed)
    if resource == "cluster":
        return lambda stored: any(topic.cluster == name for topic in stored.message.spec.source.topics)
    dataset = "/".join(name.split("/")[:2])
    return lambda stored: stored.message.subscription.dataset == dataset


def _name_of(changed: topology_pb2.TopologyChanged) -> str:
    match changed.WhichOneof("resource"):
        case "cluster":
            return changed.cluster.name
        case "dataset":
            return changed.dataset.name
        case "binding":
            return changed.binding.name
    raise PermanentError("a TopologyChanged that names no resource")


def _make_due(record: Record) -> bool:
    # Written even when it is due already: a compilation under way has read the topology as it was before.
    if is_deleting(record):
        return False
    record.compile_due = True
    return True


def _unpacked(event: event_pb2.Event, into: FactT) -> FactT:
    if not event.data.Unpack(into):
        raise PermanentError(f"event {event.id} of {event.source} cannot be read")
    return into
