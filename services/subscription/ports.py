"""What the subscription service asks of the other services. All methods raise Unavailable when there is no answer."""

from typing import Protocol

from services.subscription.model import Surroundings, TopicPlace
from sluice.dataplane.v1 import job_spec_pb2
from sluice.deployer.v1 import job_pb2


class Unavailable(Exception):
    """Another service, named by the text, does not answer now."""


class Refused(Exception):
    """Another service refuses for good what was asked; the text says why."""


class World(Protocol):
    """The registry, self healing and the deployer, in this service's words."""

    async def surroundings(self, dataset: str, tenant: str) -> Surroundings:
        """Raises CannotCompile when the dataset, its binding for the tenant, or its schema does not exist."""

    async def topic_exists(self, cluster: str, topic: str) -> bool:
        """Whether a tenant's own sink is there."""

    async def ensure_topic(self, place: TopicPlace, partitions: int) -> None:
        """Create a managed topic unless it exists."""

    async def register_output_schema(self, subject: str, schema: str, guid: str, *, managed: bool) -> None:
        """Register the schema of output rows. Raises Refused."""

    async def apply_job(
        self, job: str, spec: job_spec_pb2.JobSpec, *, paused: bool, reason: str
    ) -> job_pb2.Job:
        """Raises Refused."""

    async def drain_job(self, job: str) -> job_pb2.Job | None:
        """End a job for good; None when the deployer never heard of it."""
