"""The other services as one hand-written fake: it remembers effects, counts calls, and fails when told to."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TypeVar

from services.subscription.compile import spec_digest
from services.subscription.model import CannotCompile, Problem, Surroundings, TopicPlace
from services.subscription.ports import Refused, Unavailable
from sluice.dataplane.v1 import job_spec_pb2
from sluice.deployer.v1 import job_pb2
from tests.support.jobs import EVENT_SCHEMA

T = TypeVar("T")
GUID = "7d0f7a54-0000-4000-8000-000000000001"


class ProcessDied(BaseException):
    """kill -9: nothing of the process catches this."""


def place(topic: str, cluster: str = "clusters/main", address: str = "kafka:9092") -> TopicPlace:
    return TopicPlace(cluster, address, topic)


@dataclass
class FakeWorld:
    """`fail` breaks every call of a method (or `all`); `strike` breaks the one call of that number, from 0."""

    datasets: dict[str, Surroundings] = field(
        default_factory=lambda: {"datasets/firewall": Surroundings((place("events"),), EVENT_SCHEMA, GUID)}
    )
    bound: frozenset[str] | None = None
    """The tenants with a binding; None: all."""
    own_topics: dict[str, str] = field(default_factory=dict)
    """Topics that exist besides Sluice's own, each with the dataset whose events it holds, or empty."""
    subjects: dict[str, str] = field(default_factory=dict)
    topics: Counter[str] = field(default_factory=Counter)
    schemas: set[tuple[str, str, bool]] = field(default_factory=set)
    jobs: dict[str, job_pb2.Job] = field(default_factory=dict)
    generations: Counter[str] = field(default_factory=Counter)
    """How often a job was really changed by an ApplyJob or DrainJob."""
    calls: list[str] = field(default_factory=list)
    fail: dict[str, BaseException] = field(default_factory=dict)
    strike: tuple[int, bool, BaseException] | None = None

    def count(self, method: str) -> int:
        return self.calls.count(method)

    async def surroundings(self, dataset: str, tenant: str) -> Surroundings:
        self.begin("surroundings")
        if dataset not in self.datasets:
            raise CannotCompile(
                Problem("subscription.dataset", f"there is no dataset {dataset}", "UNKNOWN_DATASET")
            )
        if self.bound is not None and tenant not in self.bound:
            raise CannotCompile(Problem("subscription.dataset", "not bound", "DATASET_NOT_BOUND"))
        return self.end(self.datasets[dataset])

    async def topic_exists(self, cluster: str, topic: str) -> bool:
        self.begin("topic_exists")
        return self.end(topic in self.own_topics)

    async def dataset_in(self, cluster: str, topic: str) -> str:
        self.begin("dataset_in")
        return self.end(self.own_topics.get(topic, ""))

    async def dataset_of(self, subject: str) -> str:
        self.begin("dataset_of")
        return self.end(self.subjects.get(subject, ""))

    async def ensure_topic(self, place: TopicPlace, partitions: int) -> None:
        self.begin("ensure_topic")
        self.topics[place.topic] = partitions
        self.end(None)

    async def register_output_schema(self, subject: str, schema: str, guid: str, *, managed: bool) -> None:
        self.begin("register_output_schema")
        self.schemas.add((subject, guid, managed))
        self.end(None)

    async def apply_job(
        self, job: str, spec: job_spec_pb2.JobSpec, *, paused: bool, reason: str
    ) -> job_pb2.Job:
        self.begin("apply_job")
        known = self.jobs.get(job)
        if known is not None and known.state in (job_pb2.JOB_STATE_DRAINED, job_pb2.JOB_STATE_CANCELLED):
            raise Refused("deployer", "the job ended for good")
        if known is None or known.spec != spec or known.desire.pause != paused:
            self.generations[job] += 1
            state = known.state if known is not None else job_pb2.JOB_STATE_PENDING
            running = known.running_spec_digest if known is not None else ""
            known = job_pb2.Job(name=job, spec=spec, state=state, running_spec_digest=running)
            known.desire.pause = paused
            self.jobs[job] = known
        return self.end(known)

    async def drain_job(self, job: str) -> job_pb2.Job | None:
        self.begin("drain_job")
        known = self.jobs.get(job)
        if known is not None and not known.desire.drain:
            known.desire.drain = True
            self.generations[job] += 1
            if known.state == job_pb2.JOB_STATE_PENDING:
                known.state = job_pb2.JOB_STATE_DRAINED
        return self.end(known)

    async def find_job(self, job: str) -> job_pb2.Job | None:
        self.begin("find_job")
        return self.end(self.jobs.get(job))

    def settle(self, job: str) -> job_pb2.Job:
        """The runner does what the job is told: runs, stops or drains."""
        known = self.jobs[job]
        if known.desire.drain:
            known.state = job_pb2.JOB_STATE_DRAINED
        elif known.desire.pause or known.desire.hibernate:
            known.state = job_pb2.JOB_STATE_STOPPED
        else:
            known.state = job_pb2.JOB_STATE_RUNNING
        runs = known.state == job_pb2.JOB_STATE_RUNNING
        known.running_spec_digest = spec_digest(known.spec) if runs else ""
        return known

    def away(self, *methods: str) -> None:
        """These methods get no answer until `back`."""
        for method in methods:
            self.fail[method] = Unavailable("deployer" if "job" in method else "schema registry", "away")

    def back(self) -> None:
        self.fail.clear()

    def begin(self, method: str) -> None:
        self.calls.append(method)
        if method in self.fail:
            raise self.fail[method]
        self._strike(after=False)

    def end(self, answer: T) -> T:
        self._strike(after=True)
        return answer

    def _strike(self, *, after: bool) -> None:
        if self.strike is not None and self.strike[:2] == (len(self.calls) - 1, after):
            error = self.strike[2]
            self.strike = None
            raise error
