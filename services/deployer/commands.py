"""What the API's commands make of a job's record: pure, like `decide`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from services.deployer import reasons
from services.deployer.model import Desire, Incarnation, JobName, JobRecord, Spec, State


def created(name: JobName, spec: Spec, *, paused: bool, now: datetime) -> JobRecord:
    return JobRecord(
        name=name,
        spec=spec,
        desire=Desire(pause=paused),
        state=State.PENDING,
        state_reason=reasons.NEW_JOB,
        state_time=now,
        generation=1,
        observed_generation=0,
        incarnation=Incarnation(0),
        failures=0,
        create_time=now,
        update_time=now,
    )


def applied(record: JobRecord, spec: Spec, *, paused: bool) -> JobRecord:
    """`record` with this spec and pause flag; itself if that changes nothing. Wakes nobody by itself.

    A new spec starts with a clean slate: the failures of the old one, and the wait after them, are forgotten.
    """
    changed_spec = spec.digest != record.spec.digest
    if not changed_spec and paused == record.desire.pause:
        return record
    after = replace(
        record,
        spec=spec,
        desire=replace(record.desire, pause=paused),
        generation=record.generation + 1,
    )
    return replace(after, failures=0, next_start_time=None) if changed_spec else after


def drained(record: JobRecord) -> JobRecord:
    """`record` to be drained; itself if it ended already or is being drained or cancelled."""
    if record.state.is_terminal or record.desire.drain or record.desire.cancel:
        return record
    return replace(record, desire=replace(record.desire, drain=True), generation=record.generation + 1)


def cancelled(record: JobRecord) -> JobRecord:
    """`record` to be cancelled; itself if it ended already or is being cancelled."""
    if record.state.is_terminal or record.desire.cancel:
        return record
    return replace(record, desire=replace(record.desire, cancel=True), generation=record.generation + 1)
