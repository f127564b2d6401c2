"""Subscriptions in the store: every write carries the fact that it happened."""

import copy
from collections.abc import Callable
from datetime import datetime

from libs.service_kit.tracing import current_traceparent
from libs.store import (
    AtRevision,
    Collection,
    Expectation,
    Store,
    Stored,
    StoredPage,
    Write,
    etag_of,
    new_event,
)
from services.subscription.compile import spec_digest
from services.subscription.decide import status_of
from services.subscription.model import SOURCE
from sluice.dataplane.v1 import job_spec_pb2
from sluice.deployer.v1 import job_pb2
from sluice.event.v1 import event_pb2
from sluice.subscription.v1 import record_pb2, subscription_pb2

Record = record_pb2.SubscriptionRecord

PREFIX = "tenants/"


class Subscriptions:
    """The records of one store."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self.store = store
        self.clock = clock
        self._records = Collection(store, Record, PREFIX)

    async def get(self, name: str) -> Stored[Record] | None:
        return await self._records.get(name)

    async def page(self, parent: str, page_size: int, after: str) -> StoredPage[Record]:
        """Subscriptions of `tenants/{tenant}`, or of all tenants for `tenants/-`, by name."""
        return await self._records.list(page_size, after, within=within(parent))

    async def all(self, parent: str = "tenants/-") -> list[Stored[Record]]:
        return list((await self._records.list_all(within=within(parent))).items)

    async def write(self, stored: Stored[Record], record: Record) -> None:
        """Commit a changed record with its fact. Raises Conflict when it is not as it was read."""
        writes, events = self.writing(record, AtRevision(stored.revision))
        await self.store.commit(writes, events)

    async def forget(self, stored: Stored[Record]) -> None:
        """Commit that a record is gone. Raises Conflict when it is not as it was read."""
        writes, events = self.forgetting(stored.message, AtRevision(stored.revision))
        await self.store.commit(writes, events)

    def writing(self, record: Record, expect: Expectation) -> tuple[list[Write], list[event_pb2.Event]]:
        """The writes and events of a changed record; brings its status up to date first."""
        settle(record, self.clock())
        name = record.subscription.name
        changed = subscription_pb2.SubscriptionChanged(subscription=record.subscription)
        return [self._records.put(name, record, expect)], [self._event(name, changed)]

    def forgetting(self, record: Record, expect: Expectation) -> tuple[list[Write], list[event_pb2.Event]]:
        """The writes and events of a record that goes."""
        name = record.subscription.name
        changed = subscription_pb2.SubscriptionChanged(subscription=record.subscription, deleted=True)
        return [self._records.delete(name, expect)], [self._event(name, changed)]

    def _event(self, name: str, changed: subscription_pb2.SubscriptionChanged) -> event_pb2.Event:
        return new_event(
            source=SOURCE, subject=name, data=changed, time=self.clock(), traceparent=current_traceparent()
        )


def within(parent: str) -> str:
    """The names below a parent."""
    return "" if parent == "tenants/-" else f"{parent}/subscriptions/"


def shown(stored: Stored[Record]) -> subscription_pb2.Subscription:
    """A record as the API shows it."""
    subscription = subscription_pb2.Subscription()
    subscription.CopyFrom(stored.message.subscription)
    subscription.etag = etag_of(stored.revision)
    return subscription


def set_spec(record: Record, spec: job_spec_pb2.JobSpec) -> None:
    """Take over a compiled spec, with the output-only fields that follow from it."""
    record.spec.CopyFrom(spec)
    subscription = record.subscription
    subscription.effective_sink.CopyFrom(spec.outputs[0].sink)
    subscription.effective_dead_letters.CopyFrom(spec.dead_letters)
    subscription.output_schema = spec.outputs[0].schema
    subscription.schema_guid = spec.source.schema_guid
    subscription.referenced_fields[:] = spec.source.referenced_fields
    subscription.spec_digest = spec_digest(spec)
    record.problem, record.problem_is_final = "", False


def job_view(job: job_pb2.Job, *, revision: int) -> record_pb2.JobView:
    """What matters here of a job.

    `revision` is that of the newest event seen of it: a view that came with an answer is newer than those, and
    the events that are still to come end at the newest state whatever they say on the way.
    """
    return record_pb2.JobView(
        revision=revision,
        state=job.state,
        state_reason=job.state_reason,
        running_spec_digest=job.running_spec_digest,
        hibernate=job.desire.hibernate,
        reconciling=job.reconciling,
    )


def settle(record: Record, now: datetime) -> None:
    """Derive state, reason and generations from the rest of the record."""
    subscription = record.subscription
    status = status_of(record)
    if subscription.state != status.state or not subscription.HasField("state_time"):
        subscription.state_time.FromDatetime(now)
    subscription.state = status.state
    subscription.state_reason = status.reason
    subscription.reconciling = status.reconciling
    if not status.reconciling:
        subscription.observed_generation = subscription.generation
    subscription.update_time.FromDatetime(now)


def copy_of(record: Record) -> Record:
    """A copy that may be changed."""
    return copy.deepcopy(record)
