"""Names that the running job, the deployer and the operators must agree on."""

import hashlib
import zlib

CONTROL_TOPIC = "sluice.control"
REPORTS_TOPIC = "sluice.reports"

# Part of every JobSpec: raise it when a change of the data plane must replace running jobs.
PIPELINE_VERSION = "1"

_JOBS = "jobs/"


def job_id(job: str) -> str:
    """The id in a job's resource name: `jobs/j-7f3k` → `j-7f3k`."""
    if not job.startswith(_JOBS) or len(job) == len(_JOBS):
        raise ValueError(f"{job!r} is not a job's resource name (jobs/...)")
    return job.removeprefix(_JOBS)


def transactional_id(job: str, shard: int) -> str:
    """The `transactional.id` of one shard's producer: the same for every incarnation, so that each fences the last."""
    return f"sluice.{job_id(job)}.{shard}"


def consumer_group(job: str) -> str:
    """The consumer group that holds the job's positions, for life."""
    return f"sluice.{job_id(job)}"


def runner_job_name(job: str) -> str:
    """The job's name on the runner, the same for every incarnation."""
    return f"sluice-{job_id(job)}"


def runner_job_id(job: str, incarnation: int) -> str:
    """32 hex digits that name one incarnation on a runner: submitting it twice is refused instead of doubled."""
    return hashlib.sha256(f"{job}#{incarnation}".encode()).hexdigest()[:32]


def control_partition(job: str, partitions: int) -> int:
    """The partition of `sluice.control` that holds the job's record; writers and readers compute it alike."""
    return zlib.crc32(job.encode()) % partitions


def managed_topic(tenant: str, subscription: str) -> str:
    """The managed output topic of a subscription, from the two ids."""
    return f"sluice.out.{tenant}.{subscription}"


def dead_letter_topic(tenant: str) -> str:
    """The tenant's dead-letter topic, from the tenant's id."""
    return f"sluice.dead-letters.{tenant}"
