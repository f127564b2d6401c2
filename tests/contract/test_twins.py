"""The in-memory store behaves as the one on Redis, whatever is done to them (model-based, by Hypothesis)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.store import (
    ABSENT,
    ANYTHING,
    AtRevision,
    Conflict,
    Delete,
    MemoryStore,
    Put,
    RedisStore,
    Write,
    connect,
)
from libs.store.model import EntryId
from tests.contract.backend import AnyStore, ManualClock
from tests.contract.messages import event_about
from tests.contract.redis_server import RedisServer

NAMES = st.sampled_from(["a", "a/b", "a/c", "b", "ä", "z/\U0001f600"])
EXPECTATIONS = st.one_of(st.just(ABSENT), st.just(ANYTHING), st.integers(1, 12).map(AtRevision))
LIFETIMES = st.one_of(st.none(), st.integers(1, 5))

Operation = Callable[[AnyStore, ManualClock], Awaitable[object]]


@st.composite
def commits(draw: st.DrawFn) -> Operation:
    names = draw(st.lists(NAMES, max_size=3, unique=True))
    parts = [(name, draw(EXPECTATIONS), draw(st.booleans()), draw(LIFETIMES)) for name in names]
    events = [event_about(name) for name in draw(st.lists(NAMES, min_size=0 if names else 1, max_size=2))]
    commit_id = draw(st.one_of(st.none(), st.sampled_from(["one", "two"])))
    value = draw(st.binary(max_size=4))

    async def commit(store: AnyStore, clock: ManualClock) -> object:
        writes: list[Write] = [
            Delete(name, expect)
            if deleting
            else Put(name, value, expect, None if life is None else clock() + timedelta(minutes=life))
            for name, expect, deleting, life in parts
        ]
        try:
            return await store.commit(writes, events, commit_id=commit_id)
        except Conflict as conflict:
            return (conflict.name, conflict.expected, conflict.actual_revision)

    return commit


@st.composite
def lists(draw: st.DrawFn) -> Operation:
    prefix, page_size = draw(st.sampled_from(["", "a", "a/", "z"])), draw(st.integers(1, 3))
    after = draw(st.one_of(st.just(""), NAMES))
    return lambda store, clock: store.list(prefix, page_size, after)


@st.composite
def trims(draw: st.DrawFn) -> Operation:
    keep = draw(st.integers(0, 4))
    return lambda store, clock: store.trim(keep)


@st.composite
def reads(draw: st.DrawFn) -> Operation:
    start, count = EntryId(draw(st.integers(1, 8)), draw(st.integers(0, 1))), draw(st.integers(1, 5))
    return lambda store, clock: store.read_events(start, count)


@st.composite
def waits(draw: st.DrawFn) -> Operation:
    by = timedelta(minutes=draw(st.integers(1, 4)))

    async def wait(store: AnyStore, clock: ManualClock) -> object:
        clock.move(by)
        return None

    return wait


OPERATIONS = st.lists(st.one_of(commits(), commits(), lists(), trims(), reads(), waits()), max_size=25)


@pytest.mark.integration
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS)
def test_memory_and_redis_answer_the_same(
    shared_redis_server: RedisServer, operations: list[Operation]
) -> None:
    async def compare() -> None:
        shared_redis_server.flush()
        memory_clock, redis_clock = ManualClock(), ManualClock()
        async with connect(shared_redis_server.url) as redis:
            memory = MemoryStore("twins", clock=memory_clock)
            real = RedisStore("twins", redis, clock=redis_clock)
            for operation in operations:
                assert await operation(memory, memory_clock) == await operation(real, redis_clock)
            assert await memory.list("") == await real.list("")

    asyncio.run(compare())
