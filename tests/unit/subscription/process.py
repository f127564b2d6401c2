"""The subscription service without its gRPC server: processes over one memory store and one fake world."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from libs.store import Changed, MemoryServer, MemoryStore, Stored, StoreUnavailable, new_event, utc_now
from libs.store.model import Commit, Page, Write
from services.subscription.commands import Commands
from services.subscription.compiling import Compiler
from services.subscription.events import Facts
from services.subscription.loop import Pace, Reconciler
from services.subscription.model import SOURCE
from services.subscription.ports import Refused, Unavailable
from services.subscription.records import Record, Subscriptions
from services.subscription.steps import Partitions, Steps
from sluice.deployer.v1 import job_pb2
from sluice.event.v1 import event_pb2
from sluice.self_healing.v1 import topology_pb2
from sluice.subscription.v1 import subscription_pb2
from sluice.subscription.v1 import subscription_service_pb2 as pb
from tests.unit.subscription.fake_world import FakeWorld, ProcessDied
from tests.unit.subscription.subscriptions import DEFAULTS, NAME, wish

QUICK = Pace(
    resync_seconds=0.02,
    first_retry_seconds=0.005,
    longest_retry_seconds=0.02,
    refused_retry_seconds=0.05,
    poison_retry_seconds=0.05,
)
PARTITIONS = Partitions(managed_topic=4, dead_letters=1)


class MortalStore(MemoryStore):
    """Its commits count among the world's calls, so that they can be struck like those."""

    def __init__(self, server: MemoryServer, world: FakeWorld) -> None:
        super().__init__(SOURCE, server)
        self._world = world
        self.lists = 0

    async def list(self, prefix: str, page_size: int = 100, after: str = "") -> Page:
        self.lists += 1
        return await super().list(prefix, page_size, after)

    async def commit(
        self,
        writes: Sequence[Write],
        events: Sequence[event_pb2.Event] = (),
        *,
        commit_id: str | None = None,
    ) -> Commit:
        self._world.begin("commit")
        return self._world.end(await super().commit(writes, events, commit_id=commit_id))


@dataclass
class Service:
    """What outlives a process, and the present process."""

    world: FakeWorld = field(default_factory=FakeWorld)
    server: MemoryServer = field(default_factory=MemoryServer)
    pace: Pace = QUICK
    deaths: int = 0

    def __post_init__(self) -> None:
        self.subscriptions = Subscriptions(MemoryStore(SOURCE, self.server), utc_now)
        self.restart()
        self._revision = 0
        self._told: dict[str, bytes] = {}

    def restart(self) -> None:
        """A new process: nothing but the store is remembered."""
        self.loops_store = MortalStore(self.server, self.world)
        mine = Subscriptions(self.loops_store, utc_now)
        compiler = Compiler(self.world, DEFAULTS)
        self.loop = Reconciler(mine, Steps(mine, self.world, compiler, PARTITIONS), self.pace)
        self.commands = Commands(self.subscriptions, compiler, self.loop.wake)
        self.facts = Facts(self.subscriptions, self.loop.wake)

    async def create(
        self, subscription_id: str = "blocked", tenant: str = "acme", sql: str = ""
    ) -> subscription_pb2.Subscription:
        request = pb.CreateSubscriptionRequest(
            parent=f"tenants/{tenant}", subscription_id=subscription_id, subscription=wish()
        )
        request.subscription.sql = sql or request.subscription.sql
        return await self.commands.create(request)

    async def update(self, sql: str, name: str = NAME) -> subscription_pb2.Subscription:
        return await self.commands.update(
            pb.UpdateSubscriptionRequest(subscription=subscription_pb2.Subscription(name=name, sql=sql))
        )

    async def pause(self, name: str = NAME) -> subscription_pb2.Subscription:
        return await self.commands.pause(pb.PauseSubscriptionRequest(name=name))

    async def resume(self, name: str = NAME) -> subscription_pb2.Subscription:
        return await self.commands.resume(pb.ResumeSubscriptionRequest(name=name))

    async def delete(self, name: str = NAME) -> subscription_pb2.Subscription | None:
        return await self.commands.delete(pb.DeleteSubscriptionRequest(name=name))

    async def stored(self, name: str = NAME) -> Stored[Record]:
        found = await self.subscriptions.get(name)
        assert found is not None
        return found

    async def shown(self, name: str = NAME) -> subscription_pb2.Subscription:
        return (await self.stored(name)).message.subscription

    async def job_of(self, name: str = NAME) -> job_pb2.Job:
        return self.world.jobs[(await self.shown(name)).job]

    async def tell_job(self, job: job_pb2.Job, revision: int = 0) -> None:
        """Deliver the fact that a job changed; with a revision of its own to deliver it late."""
        if not revision:
            self._revision += 1
            revision = self._revision
        await self.facts.handle(event(job_pb2.JobStateChanged(job=job), job.name, revision))

    async def tell_topology(self, changed: topology_pb2.TopologyChanged, subject: str = "x") -> None:
        await self.facts.handle(event(changed, subject, 1))

    async def reconcile(self, name: str = NAME) -> None:
        """As the loop does it, until no step is left; a death is followed by a new process, an outage by a retry."""
        for _ in range(5):
            try:
                await self.loop.reconcile(name)
                return
            except ProcessDied:
                self.deaths += 1
                self.restart()
            except (Unavailable, StoreUnavailable):
                continue
            except Refused:
                return
        raise AssertionError("does not converge")

    async def converge(self, name: str = NAME) -> None:
        """Take steps, let the runner follow, deliver its facts, until nothing changes any more."""
        for _ in range(10):
            await self.reconcile(name)
            changed = False
            for job in list(self.world.jobs):
                now = self.world.settle(job).SerializeToString(deterministic=True)
                if self._told.get(job) != now:
                    self._told[job] = now
                    await self.tell_job(self.world.jobs[job])
                    changed = True
            if not changed:
                return
        raise AssertionError("does not converge")

    async def history(self) -> list[subscription_pb2.SubscriptionChanged]:
        """Every fact so far, in order."""
        found = []
        async with contextlib.aclosing(self.subscriptions.store.watch(0, "tenants/")) as changes:
            async for change in changes:
                if not isinstance(change, Changed):
                    break
                fact = subscription_pb2.SubscriptionChanged()
                assert change.event.data.Unpack(fact)
                found.append(fact)
        return found


async def until(condition: Callable[[], Awaitable[bool]], what: str, seconds: float = 5.0) -> None:
    """Poll until the condition holds; AssertionError naming `what` after so long."""
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        await asyncio.sleep(0.002)


def event(
    fact: job_pb2.JobStateChanged | topology_pb2.TopologyChanged, subject: str, revision: int
) -> event_pb2.Event:
    source = "deployer" if isinstance(fact, job_pb2.JobStateChanged) else "self_healing"
    made = new_event(source=source, subject=subject, data=fact, time=datetime.now(UTC), traceparent="")
    made.revision = revision
    return made
