"""One activity record for each job, kept from the deployer's JobStateChanged."""

from datetime import datetime, timedelta

import tenacity

from libs.bus import PermanentError, TemporaryError
from libs.service_kit.errors import NotFound
from libs.service_kit.tracing import traced
from libs.store import (
    ABSENT,
    ANYTHING,
    AtRevision,
    Clock,
    Collection,
    Conflict,
    Store,
    StoreUnavailable,
    Write,
    utc_now,
)
from services.cold_starter.decide import Action, action_on
from services.cold_starter.model import JobNews, KnownJob, activity_name
from sluice.cold_starter.v1 import cold_starter_pb2 as pb
from sluice.cold_starter.v1 import record_pb2
from sluice.deployer.v1 import job_pb2
from sluice.event.v1 import event_pb2

ACTIVITIES = "activities/"
SEEN_JOBS = "seen-jobs/"
ENDED_JOBS_KEPT = timedelta(days=30)
"""How late an event of an ended job may come and still be known as old."""

_ENDED_STATES = (job_pb2.JOB_STATE_DRAINED, job_pb2.JOB_STATE_CANCELLED)


def job_news(event: event_pb2.Event) -> JobNews | None:
    """None for events of other types. Raises PermanentError for one that cannot be read or understood."""
    if event.data.TypeName() != job_pb2.JobStateChanged.DESCRIPTOR.full_name:
        return None
    changed = job_pb2.JobStateChanged()
    if not event.data.Unpack(changed) or not changed.job.name.startswith("jobs/"):
        raise PermanentError(f"event {event.id} of {event.source} names no job")
    outputs = changed.job.spec.outputs
    return JobNews(
        job=changed.job.name,
        subscription=outputs[0].subscription if outputs else "",
        revision=event.revision,
        ended=changed.deleted or changed.job.state in _ENDED_STATES,
    )


class Activities:
    """The activity records of one store."""

    def __init__(self, store: Store, clock: Clock = utc_now) -> None:
        self._store = store
        self._clock = clock
        self._activities = Collection(store, pb.Activity, ACTIVITIES)
        self._seen = Collection(store, record_pb2.SeenJob, SEEN_JOBS)

    async def get(self, name: str) -> pb.Activity:
        """Raises NotFound."""
        stored = await self._activities.get(name)
        if stored is None:
            raise NotFound(name, resource_type="sluice.dev/Activity")
        return stored.message

    async def page(self, page_size: int, after: str) -> tuple[list[pb.Activity], str]:
        """A page in the order of names, and the cursor of the next one."""
        found = await self._activities.list(page_size, after)
        return [stored.message for stored in found.items], found.next_after

    async def handle(self, event: event_pb2.Event) -> None:
        """The bus handler: idempotent, and blind to revisions older than what it knows."""
        with traced(event.traceparent):
            news = job_news(event)
            if news is None:
                return
            try:
                await self._take_in(news)
            except StoreUnavailable as error:
                raise TemporaryError(str(error), delay_seconds=1.0) from error

    @tenacity.retry(
        retry=tenacity.retry_if_exception_type(Conflict),
        stop=tenacity.stop_after_attempt(10),
        wait=tenacity.wait_random(0, 0.05),
        reraise=True,
    )
    async def _take_in(self, news: JobNews) -> None:
        """Another process of this service may take in another event of the same job at the same time."""
        seen = await self._seen.get(SEEN_JOBS + news.job)
        known = None if seen is None else KnownJob(seen.message.job_revision, seen.message.ended)
        now = self._clock()
        match action_on(news, known):
            case Action.IGNORE:
                return
            case Action.RECORD_AWAKE:
                activity = _awake(news, now)
                write: Write = self._activities.put(activity.name, activity, ANYTHING)
                expires_at = None
            case Action.FORGET:
                write = self._activities.delete(activity_name(news.job), ANYTHING)
                expires_at = now + ENDED_JOBS_KEPT
        mark = record_pb2.SeenJob(job_revision=news.revision, ended=news.ended)
        expect = ABSENT if seen is None else AtRevision(seen.revision)
        await self._store.commit([self._seen.put(SEEN_JOBS + news.job, mark, expect, expires_at), write])


def _awake(news: JobNews, now: datetime) -> pb.Activity:
    activity = pb.Activity(
        name=activity_name(news.job),
        job=news.job,
        subscription=news.subscription,
        state=pb.ACTIVITY_STATE_AWAKE,
        job_revision=news.revision,
    )
    activity.update_time.FromDatetime(now)
    return activity
