"""The decisions of the cold starter: pure. It does not put anything to sleep yet."""

import enum
from collections.abc import Mapping, Sequence

from services.cold_starter.model import EVERYBODY, JobNews, KnownJob


class Action(enum.Enum):
    """What to do with the activity record of a job."""

    IGNORE = "the news is not newer than what is known"
    RECORD_AWAKE = "the job is meant to run as far as this service is concerned"
    FORGET = "the job has ended for good"


def action_on(news: JobNews, known: KnownJob | None) -> Action:
    """The newest revision wins; a job that has ended stays ended, because its id is never used again."""
    if known is not None and (known.ended or news.revision <= known.revision):
        return Action.IGNORE
    return Action.FORGET if news.ended else Action.RECORD_AWAKE


def scopes_of(subscription: str) -> Sequence[str]:
    """The scopes that hold `tenants/{tenant}/subscriptions/{subscription}`, the most specific first."""
    tenant = "/".join(subscription.split("/")[:2])
    return (subscription, tenant, EVERYBODY)


def policy_in_force(subscription: str, policies: Mapping[str, str]) -> str:
    """Of `policies` (scope to name) the most specific one that holds the subscription; empty if none does."""
    return next((policies[scope] for scope in scopes_of(subscription) if scope in policies), "")
