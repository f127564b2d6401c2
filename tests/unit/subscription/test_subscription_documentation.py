"""docs/subscription.md is held against the code."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from services.subscription import __file__ as package
from services.subscription.compile import spec_digest
from services.subscription.decide import Step, is_deleting, job_ended, next_step, status_of
from services.subscription.records import Record
from sluice.deployer.v1 import job_pb2
from sluice.subscription.v1 import subscription_pb2
from tests.unit.subscription.test_subscription_decide import every_record

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "subscription.md"


def _as_asked(record: Record) -> bool:
    return record.HasField("applied_spec") and spec_digest(record.applied_spec) == spec_digest(record.spec)


def _is_due(record: Record) -> bool:
    step = next_step(record)
    return step is not Step.NOTHING and not (step is Step.COMPILE and _as_asked(record))


def _runs(record: Record) -> bool:
    newest = record.job.running_spec_digest == spec_digest(record.spec)
    return record.job.state == job_pb2.JOB_STATE_RUNNING and newest and not record.subscription.paused


QUESTIONS: Mapping[str, Callable[[Record], bool]] = {
    "deleting": is_deleting,
    "ended": job_ended,
    "problem": lambda record: bool(record.problem),
    "refused": lambda record: record.problem_is_final,
    "accepted": lambda record: record.HasField("applied_spec"),
    "due": _is_due,
    "backoff": lambda record: record.job.state == job_pb2.JOB_STATE_BACKOFF,
    "stopped": lambda record: record.job.state == job_pb2.JOB_STATE_STOPPED,
    "paused": lambda record: record.subscription.paused,
    "hibernates": lambda record: record.job.hibernate,
    "running": _runs,
}


def diagram() -> dict[tuple[str, bool], str]:
    """(question, answer) → question or state, as drawn."""
    drawn = re.findall(r"^    (\w+)(?:\{[^}]*\})? -- (yes|no) --> (\w+)", DOCUMENT.read_text(), re.MULTILINE)
    return {(question, answer == "yes"): target for question, answer, target in drawn}


def test_the_diagram_asks_every_question_and_ends_in_every_state() -> None:
    drawn = diagram()
    assert set(drawn) == {(question, answer) for question in QUESTIONS for answer in (True, False)}
    states = {
        name.removeprefix("SUBSCRIPTION_STATE_") for name in subscription_pb2.SubscriptionState.keys()[1:]
    }
    assert set(drawn.values()) - set(QUESTIONS) == states


def test_the_diagram_leads_every_record_to_its_state() -> None:
    drawn = diagram()
    for record in every_record():
        for hibernate in (False, True) if record.HasField("job") else (False,):
            for problem, final in (("", False), ("away", False), ("refused", True)):
                for running in ("", spec_digest(record.spec)) if record.HasField("job") else ("",):
                    record.problem, record.problem_is_final = problem, final
                    if record.HasField("job"):
                        record.job.hibernate, record.job.running_spec_digest = hibernate, running
                    place = "deleting"
                    while place in QUESTIONS:
                        place = drawn[place, QUESTIONS[place](record)]
                    state = subscription_pb2.SubscriptionState.Name(status_of(record).state)
                    assert state == f"SUBSCRIPTION_STATE_{place}"


def test_every_reason_that_the_code_gives_has_its_next_step() -> None:
    text = DOCUMENT.read_text()
    sources = [path.read_text() for path in Path(str(package)).parent.rglob("*.py")]
    reasons = {found for source in sources for found in re.findall(r'"([A-Z]+(?:_[A-Z0-9]+)+)"', source)}
    reasons -= {name for name in reasons if name.startswith(("SUBSCRIPTION_STATE_", "JOB_STATE_"))}
    assert len(reasons) > 8
    assert not {reason for reason in reasons if f"`{reason}`" not in text}
