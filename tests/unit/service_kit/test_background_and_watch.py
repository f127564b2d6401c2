"""Supervised tasks, progress of watches, and how the store's errors are mapped."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.service_kit.background import BackgroundTask, delay_after, supervise
from libs.service_kit.error_mapping import register_error_mapping, to_service_error, to_status
from libs.service_kit.errors import Aborted, FieldViolation, InvalidArgument, ServiceError
from libs.service_kit.store_errors import register_store_errors
from libs.service_kit.watch import with_progress
from libs.store.errors import Compacted, Conflict, MalformedEtag, RequestIdReused, StoreUnavailable
from libs.store.model import ABSENT, AtRevision

BOUND_SECONDS = 5


async def no_report(_task: str, _healthy: bool) -> None:
    return None


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.5), (2, 1.0), (5, 8.0), (7, 30.0), (10_000, 30.0)])
def test_the_delay_doubles_up_to_a_limit(failures: int, seconds: float) -> None:
    async def run() -> None:
        return None

    assert delay_after(BackgroundTask("x", run), failures) == seconds


async def test_a_task_that_returns_is_done() -> None:
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1

    await asyncio.wait_for(supervise(BackgroundTask("x", run), no_report), BOUND_SECONDS)
    assert runs == 1


async def test_cancelling_the_supervisor_cancels_the_run_and_waits_for_it() -> None:
    entered, cleaned = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    supervisor = asyncio.create_task(supervise(BackgroundTask("x", run), no_report))
    await asyncio.wait_for(entered.wait(), BOUND_SECONDS)
    supervisor.cancel()
    with pytest.raises(asyncio.CancelledError):
        await supervisor
    assert cleaned.is_set()


async def test_a_run_that_cancels_itself_counts_as_crashed_and_starts_again() -> None:
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise asyncio.CancelledError

    task = BackgroundTask("x", run, first_delay_seconds=0.01)
    await asyncio.wait_for(supervise(task, no_report), BOUND_SECONDS)
    assert runs == 2


async def test_progress_fills_the_pauses_of_a_watch_and_loses_no_change() -> None:
    second = asyncio.Event()

    async def changes() -> AsyncIterator[str]:
        yield "one"
        await second.wait()
        yield "two"

    seen: list[str] = []
    async for response in with_progress(changes(), lambda: "progress", 0.01):
        seen.append(response)
        if seen.count("progress") == 2:
            second.set()
    assert [response for response in seen if response != "progress"] == ["one", "two"]
    assert seen[:3] == ["one", "progress", "progress"]


async def test_leaving_a_watch_closes_its_source() -> None:
    closed = asyncio.Event()

    async def changes() -> AsyncIterator[str]:
        try:
            yield "one"
            await asyncio.Event().wait()
        finally:
            closed.set()

    responses = with_progress(changes(), lambda: "progress", 0.01)
    assert [await anext(responses), await anext(responses)] == ["one", "progress"]
    await responses.aclose()  # type: ignore[attr-defined]  # an async generator
    assert closed.is_set()


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (Conflict("things/x", AtRevision(3), 4), grpc.StatusCode.ABORTED, "CONCURRENT_CHANGE"),
        (Conflict("things/x", AtRevision(3), None), grpc.StatusCode.ABORTED, "CONCURRENT_CHANGE"),
        (Conflict("things/x", ABSENT, 4), grpc.StatusCode.ALREADY_EXISTS, "RESOURCE_ALREADY_EXISTS"),
        (StoreUnavailable("redis"), grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE"),
        (Compacted(9), grpc.StatusCode.OUT_OF_RANGE, "REVISION_COMPACTED"),
        (RequestIdReused("r"), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        (MalformedEtag("e"), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        (KeyError("secret"), grpc.StatusCode.INTERNAL, "INTERNAL"),
    ],
)
def test_errors_of_the_store_have_their_codes(error: Exception, code: grpc.StatusCode, reason: str) -> None:
    register_store_errors()
    mapped = to_service_error(error)
    assert (mapped.code, mapped.reason) == (code, reason)
    assert "secret" not in mapped.message


def test_a_mapping_holds_for_subclasses() -> None:
    class Base(Exception):
        pass

    class Derived(Base):
        pass

    register_error_mapping(Base, lambda error: Aborted("changed"))
    assert isinstance(to_service_error(Derived()), Aborted)


@given(
    violations=st.lists(st.tuples(st.text(max_size=400), st.text(max_size=400)), max_size=60),
    message=st.text(max_size=3000),
)
def test_a_status_always_fits_into_trailers(violations: list[tuple[str, str]], message: str) -> None:
    error: ServiceError = InvalidArgument([FieldViolation(*pair) for pair in violations], message=message)
    status = to_status(error)
    assert status.ByteSize() * 4 / 3 + len(status.message.encode()) * 3 < 16 * 1024
    assert status.details[0].TypeName() == "google.rpc.ErrorInfo"
