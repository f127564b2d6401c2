"""Names of this service, and what a record of it may become.

The records (HibernationPolicy, Activity) are the contract's messages: they are kept as they are shown.
"""

from dataclasses import dataclass

SOURCE = "cold_starter"
"""The namespace of this service's store and its consumer group on the bus."""

DEPLOYER = "deployer"
"""Whose events it acts on."""

EVERYBODY = "tenants/-"
"""The scope of a policy for all jobs."""


def activity_name(job: str) -> str:
    """`activities/{job id}` for `jobs/{job id}`."""
    return "activities/" + job.removeprefix("jobs/")


@dataclass(frozen=True, slots=True)
class JobNews:
    """What matters here of a JobStateChanged. `ended`: for good, by state or because the record is gone."""

    job: str
    subscription: str
    revision: int
    ended: bool


@dataclass(frozen=True, slots=True)
class KnownJob:
    """The newest revision of a job that was taken into account, and whether the job had ended by then."""

    revision: int
    ended: bool
