"""What other services' facts mean for subscriptions. Idempotent: a fact is only a reason to look again."""

from collections.abc import Callable
from typing import TypeVar

import structlog

from libs.bus import PermanentError, TemporaryError
from libs.service_kit.errors import InvalidArgument
from libs.service_kit.errors import Unavailable as UnavailableError
from libs.service_kit.tracing import traced
from libs.store import AtRevision, Conflict, Stored, StoreUnavailable
from services.subscription.commands import Commands
from services.subscription.compile import spec_digest
from services.subscription.decide import is_deleting
from services.subscription.loop import job_view
from services.subscription.records import Record, Subscriptions, copy_of, set_spec
from sluice.deployer.v1 import job_pb2
from sluice.event.v1 import event_pb2
from sluice.self_healing.v1 import topology_pb2

_log = structlog.get_logger(__name__)
FactT = TypeVar("FactT", job_pb2.JobStateChanged, topology_pb2.TopologyChanged)
SOURCES = ("deployer", "self_healing")


class Facts:
    """Handles the events of the deployer and of self healing."""

    def __init__(self, subscriptions: Subscriptions, commands: Commands, wake: Callable[[str], None]) -> None:
        self._subscriptions = subscriptions
        self._commands = commands
        self._wake = wake

    async def handle(self, event: event_pb2.Event) -> None:
        """The bus handler."""
        with traced(event.traceparent):
            try:
                if event.data.TypeName() == job_pb2.JobStateChanged.DESCRIPTOR.full_name:
                    await self._job_changed(_unpacked(event, job_pb2.JobStateChanged()), event.revision)
                elif event.data.TypeName() == topology_pb2.TopologyChanged.DESCRIPTOR.full_name:
                    await self._topology_changed(_unpacked(event, topology_pb2.TopologyChanged()))
            except (StoreUnavailable, UnavailableError) as error:
                raise TemporaryError(str(error), delay_seconds=1.0) from error
            except Conflict as conflict:
                raise TemporaryError(str(conflict), delay_seconds=0.05) from conflict

    async def _job_changed(self, changed: job_pb2.JobStateChanged, revision: int) -> None:
        outputs = changed.job.spec.outputs
        name = outputs[0].subscription if outputs else ""
        stored = await self._subscriptions.get(name) if name.startswith("tenants/") else None
        if stored is None or stored.message.subscription.job != changed.job.name:
            return
        if revision <= stored.message.job.revision:
            return
        record = copy_of(stored.message)
        record.job.CopyFrom(job_view(changed.job, revision=revision))
        await self._write(stored, record)
        self._wake(name)

    async def _topology_changed(self, changed: topology_pb2.TopologyChanged) -> None:
        """Recompile just the subscriptions that a changed binding or cluster touches."""
        if changed.deleted:
            return
        match changed.WhichOneof("resource"):
            case "binding":
                _, dataset, _, tenant = changed.binding.name.split("/")
                for stored in await self._subscriptions.all(f"tenants/{tenant}"):
                    if stored.message.subscription.dataset == f"datasets/{dataset}":
                        await self._recompile(stored)
            case "cluster":
                for stored in await self._subscriptions.all():
                    if any(t.cluster == changed.cluster.name for t in stored.message.spec.source.topics):
                        await self._recompile(stored)

    async def _recompile(self, stored: Stored[Record]) -> None:
        if is_deleting(stored.message):
            return
        record = copy_of(stored.message)
        try:
            spec = await self._commands.compile(record.subscription)
        except InvalidArgument as error:
            # The running job goes on as it is; the tenant is told why it cannot follow.
            record.problem, record.problem_is_final = f"cannot follow the topology: {error.message}", True
            await self._write(stored, record)
            return
        if spec_digest(spec) == spec_digest(record.spec):
            return
        _log.info("subscription recompiled", subscription=stored.name, digest=spec_digest(spec))
        set_spec(record, spec)
        await self._write(stored, record)
        self._wake(stored.name)

    async def _write(self, stored: Stored[Record], record: Record) -> None:
        writes, events = self._subscriptions.writing(record, AtRevision(stored.revision))
        await self._subscriptions.store.commit(writes, events)


def _unpacked(event: event_pb2.Event, into: FactT) -> FactT:
    if not event.data.Unpack(into):
        raise PermanentError(f"event {event.id} of {event.source} cannot be read")
    return into
