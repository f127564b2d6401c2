"""What the subscription service asks of the other services. All methods raise Unavailable when there is no answer."""

from typing import Protocol

from services.subscription.model import Surroundings, TopicPlace
from sluice.dataplane.v1 import job_spec_pb2
from sluice.deployer.v1 import job_pb2


class Unavailable(Exception):
    """`service` does not answer now, or says that it cannot; the same call may succeed later.

    `detail` may be shown to tenants; `cause`, with addresses and the like, goes into the log only.
    """

    def __init__(self, service: str, detail: str = "no answer", cause: str = "") -> None:
        super().__init__(f"{service}: {detail}")
        self.service = service
        self.cause = cause


class Refused(Exception):
    """`service` refuses what was asked; `detail` says why, and until somebody acts it will again."""

    def __init__(self, service: str, detail: str) -> None:
        super().__init__(f"{service}: {detail}")
        self.service = service
        self.detail = detail


class World(Protocol):
    """The registry, self healing and the deployer, in this service's words."""

    async def surroundings(self, dataset: str, tenant: str) -> Surroundings:
        """Raises CannotCompile when the dataset, its binding for the tenant, or its schema does not exist."""

    async def topic_exists(self, cluster: str, topic: str) -> bool:
        """Whether a tenant's own sink is there."""

    async def dataset_in(self, cluster: str, topic: str) -> str:
        """The dataset whose events the topic holds for any tenant; empty if it holds none."""

    async def dataset_of(self, subject: str) -> str:
        """The dataset whose events the registry subject describes; empty if it describes none."""

    async def ensure_topic(self, place: TopicPlace, partitions: int) -> None:
        """Create a topic of Sluice's own unless it exists. Raises Refused."""

    async def register_output_schema(self, subject: str, schema: str, guid: str, *, managed: bool) -> None:
        """Register the schema of output rows. Raises Refused."""

    async def apply_job(
        self, job: str, spec: job_spec_pb2.JobSpec, *, paused: bool, reason: str
    ) -> job_pb2.Job:
        """Raises Refused."""

    async def drain_job(self, job: str) -> job_pb2.Job | None:
        """End a job for good; None when the deployer never heard of it. Raises Refused."""

    async def find_job(self, job: str) -> job_pb2.Job | None:
        """The job as it is now; None when the deployer does not know it. Raises Refused."""
