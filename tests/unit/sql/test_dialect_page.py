"""docs/sql.md lists what the code accepts, and the engine has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from datafusion import SessionConfig, SessionContext

from libs.sql import FailureKind, Reason
from libs.sql.functions import AGGREGATES, FORBIDDEN, FUNCTIONS, VOLATILE, NullRule
from tests.unit.sql.events import values

PAGE = (Path(__file__).parents[3] / "docs" / "sql.md").read_text()


def test_the_page_lists_exactly_the_functions_that_may_be_called() -> None:
    section = PAGE.split("<!-- functions -->")[1].split("<!-- /functions -->")[0]
    assert set(re.findall(r"`(\w+)`", section)) == set(FUNCTIONS)


def test_the_page_names_every_reason() -> None:
    for reason in [*Reason, *FailureKind]:
        assert f"`{reason.value}`" in PAGE


def _engine(kind: str) -> set[str]:
    context = SessionContext(SessionConfig().with_information_schema(True))
    sql = "SELECT DISTINCT routine_name AS name, function_type AS kind FROM information_schema.routines"
    return {row["name"] for row in context.sql(sql).to_pylist() if row["kind"] == kind}


def test_the_engine_has_every_function_of_the_catalogue() -> None:
    assert set(FUNCTIONS) <= _engine("SCALAR")


def test_no_aggregate_of_the_engine_is_in_the_catalogue() -> None:
    refused = AGGREGATES | VOLATILE | set(FORBIDDEN)
    assert _engine("AGGREGATE") | _engine("WINDOW") | _engine("TABLE") <= refused
    assert not refused & set(FUNCTIONS)


NULLS: list[tuple[str, NullRule]] = [
    ("upper(kind)", NullRule.PROPAGATES),
    ("abs(port)", NullRule.PROPAGATES),
    ("date_trunc('day', ts)", NullRule.PROPAGATES),
    ("substr(src_ip, port)", NullRule.PROPAGATES),
    ("array_length(tags)", NullRule.PROPAGATES),
    ("regexp_like(kind, 'a')", NullRule.PROPAGATES),
    ("sha256(raw)", NullRule.PROPAGATES),
    ("concat(kind, 'x')", NullRule.SKIPS),
    ("concat_ws('-', kind, 'x')", NullRule.SKIPS),
    ("greatest(port, 1)", NullRule.SKIPS),
    ("least(port, 1)", NullRule.SKIPS),
]


@pytest.mark.parametrize(("expression", "rule"), NULLS)
def test_null_arguments_have_the_documented_effect(expression: str, rule: NullRule) -> None:
    """The middle row has nulls in nearly all its columns."""
    assert (values(f"SELECT {expression} AS value FROM events")[1] is None) is (rule is NullRule.PROPAGATES)
    assert FUNCTIONS[expression.split("(")[0]].nulls is rule
