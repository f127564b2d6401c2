"""Page tokens, etags and resource names."""

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.service_kit.errors import EtagMismatch, InvalidArgument
from libs.service_kit.etag import check_etag, compute_etag
from libs.service_kit.pagination import read_page
from libs.service_kit.resource_names import ResourcePattern

SUBSCRIPTIONS = ResourcePattern("tenants/{tenant}/subscriptions/{subscription}")
VERSIONS = ResourcePattern(
    "subjects/{subject}/versions/{version}", subject=r"[A-Za-z0-9._-]{1,249}", version=r"[0-9]+"
)


def refusal(call: Any) -> tuple[str, str]:
    with pytest.raises(InvalidArgument) as raised:
        call()
    (violation,) = raised.value.violations
    return violation.field, violation.reason


def test_a_page_without_a_size_has_the_default_one(kit_test: ModuleType) -> None:
    page = read_page(kit_test.ListThingsRequest(), default_size=7)
    assert (page.size, page.cursor) == (7, "")


def test_a_page_is_at_most_the_limit(kit_test: ModuleType) -> None:
    assert read_page(kit_test.ListThingsRequest(page_size=5000), max_size=100).size == 100


def test_a_negative_page_size_is_refused(kit_test: ModuleType) -> None:
    request = kit_test.ListThingsRequest(page_size=-1)
    assert refusal(lambda: read_page(request)) == ("page_size", "INVALID_PAGE_SIZE")


@pytest.mark.parametrize("cursor", ["a", "tenants/ä/things/日本", "x" * 500])
def test_a_token_goes_on_where_the_page_ended_even_with_another_size(
    kit_test: ModuleType, cursor: str
) -> None:
    token = read_page(kit_test.ListThingsRequest(parent="p", page_size=5)).token_after(cursor)
    assert read_page(kit_test.ListThingsRequest(parent="p", page_size=9, page_token=token)).cursor == cursor


def test_a_token_with_another_filter_is_refused(kit_test: ModuleType) -> None:
    token = read_page(kit_test.ListThingsRequest(filter="a")).token_after("x")
    request = kit_test.ListThingsRequest(filter="b", page_token=token)
    assert refusal(lambda: read_page(request)) == ("page_token", "PAGE_TOKEN_OF_ANOTHER_REQUEST")


@given(token=st.text(min_size=1, max_size=40))
def test_any_other_text_is_no_token(kit_test: ModuleType, token: str) -> None:
    field, reason = refusal(lambda: read_page(kit_test.ListThingsRequest(page_token=token)))
    assert field == "page_token"
    assert reason in ("INVALID_PAGE_TOKEN", "PAGE_TOKEN_OF_ANOTHER_REQUEST")


def test_an_etag_depends_on_all_but_itself(kit_test: ModuleType) -> None:
    thing = kit_test.Thing(name="x", labels={"a": "1", "b": "2"})
    same = kit_test.Thing(name="x", labels={"b": "2", "a": "1"}, etag="old")
    assert compute_etag(thing) == compute_etag(same)
    assert compute_etag(thing) != compute_etag(kit_test.Thing(name="y"))


def test_only_a_given_etag_is_checked() -> None:
    check_etag("", "current", "things/x")
    check_etag("current", "current", "things/x")
    with pytest.raises(EtagMismatch) as raised:
        check_etag("old", "current", "things/x")
    assert raised.value.metadata == {"resource": "things/x", "current_etag": "current"}


def test_a_name_parses_to_its_parts_and_formats_back() -> None:
    assert SUBSCRIPTIONS.parse("tenants/acme/subscriptions/blocked") == ("acme", "blocked")
    assert SUBSCRIPTIONS.format("acme", "blocked") == "tenants/acme/subscriptions/blocked"
    assert VERSIONS.parse("subjects/fw.Traffic-value/versions/3") == ("fw.Traffic-value", "3")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "tenants/acme",
        "tenant/acme/subscriptions/x",
        "tenants/Acme/subscriptions/x",
        "tenants/acme/subscriptions/x\n",
        "tenants/acme/subscriptions/x-",
        "tenants/acme/subscriptions/" + "x" * 64,
        "tenants/-/subscriptions/x",
        "/tenants/acme/subscriptions/x",
    ],
)
def test_a_wrong_name_is_refused_with_its_field(name: str) -> None:
    assert refusal(lambda: SUBSCRIPTIONS.parse(name, field="parent")) == ("parent", "INVALID_RESOURCE_NAME")
    assert not SUBSCRIPTIONS.matches(name)


def test_the_wildcard_is_a_part_where_it_is_allowed() -> None:
    assert SUBSCRIPTIONS.parse("tenants/-/subscriptions/x", wildcard=True) == ("-", "x")


def test_formatting_a_wrong_part_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="tenant 'a/b' must match"):
        SUBSCRIPTIONS.format("a/b", "x")
