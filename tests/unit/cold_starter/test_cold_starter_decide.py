"""The cold starter's decisions, as tables and properties."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cold_starter.decide import Action, action_on, policy_in_force
from services.cold_starter.model import JobNews, KnownJob

SUBSCRIPTION = "tenants/acme/subscriptions/blocked"
EVERYBODY, TENANT, OWN = ("tenants/-", "p0"), ("tenants/acme", "p1"), (SUBSCRIPTION, "p2")
OTHERS = [("tenants/acme/subscriptions/blocked2", "x"), ("tenants/acm", "y")]


def _news(revision: int, *, ended: bool = False) -> JobNews:
    return JobNews("jobs/a", SUBSCRIPTION, revision, ended)


@pytest.mark.parametrize(
    ("policies", "in_force"),
    [
        ([EVERYBODY, TENANT, OWN, *OTHERS], "p2"),
        ([EVERYBODY, TENANT, *OTHERS], "p1"),
        ([EVERYBODY, *OTHERS], "p0"),
        (OTHERS, ""),
        ([], ""),
    ],
)
def test_the_most_specific_policy_is_in_force(policies: list[tuple[str, str]], in_force: str) -> None:
    known: Mapping[str, str] = dict(policies)
    assert policy_in_force(SUBSCRIPTION, known) == in_force


@pytest.mark.parametrize(
    ("news", "known", "action"),
    [
        (_news(5), None, Action.RECORD_AWAKE),
        (_news(5), KnownJob(4, ended=False), Action.RECORD_AWAKE),
        (_news(5), KnownJob(5, ended=False), Action.IGNORE),
        (_news(5), KnownJob(6, ended=False), Action.IGNORE),
        (_news(5, ended=True), None, Action.FORGET),
        (_news(5, ended=True), KnownJob(4, ended=False), Action.FORGET),
        (_news(5, ended=True), KnownJob(6, ended=False), Action.IGNORE),
        (_news(7), KnownJob(6, ended=True), Action.IGNORE),
        (_news(7, ended=True), KnownJob(6, ended=True), Action.IGNORE),
    ],
)
def test_only_newer_news_counts_and_the_end_is_final(
    news: JobNews, known: KnownJob | None, action: Action
) -> None:
    assert action_on(news, known) is action


@given(st.permutations(range(1, 7)), st.lists(st.integers(1, 6)))
def test_any_order_and_any_repetition_of_events_ends_in_the_same_state(
    order: list[int], repeated: list[int]
) -> None:
    known: KnownJob | None = None
    for revision in [*order, *repeated]:
        news = _news(revision, ended=revision == 6)
        if action_on(news, known) is not Action.IGNORE:
            known = KnownJob(news.revision, news.ended)
    assert known == KnownJob(6, ended=True)
