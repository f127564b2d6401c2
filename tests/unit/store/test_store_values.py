"""Etags, retry delays, verdicts and the watchers' window: the parts of store and bus that need no backend."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from libs.bus import ConsumerSettings, PermanentError, TemporaryError
from libs.bus.source_consumer import Hopeless, TryAgain, verdict_on
from libs.store import (
    ANYTHING,
    AtRevision,
    Changed,
    MalformedEtag,
    MemoryServer,
    MemoryStore,
    StoreUnavailable,
    etag_of,
    expectation_of,
)
from libs.store.watch import WatchHub
from tests.contract.messages import event_about


def test_an_etag_demands_the_revision_it_was_made_of() -> None:
    assert expectation_of(etag_of(42)) == AtRevision(42)
    assert expectation_of("") == ANYTHING


@pytest.mark.parametrize("etag", ["42", "r", "r-1", "rx", "r4²", "R4", "r" + "9" * 19, "r 4"])
def test_an_etag_that_was_never_issued_is_refused(etag: str) -> None:
    with pytest.raises(MalformedEtag):
        expectation_of(etag)


def test_delays_double_up_to_the_longest() -> None:
    settings = ConsumerSettings(first_delay_seconds=0.5, max_delay_seconds=3.0)
    assert [settings.delay_seconds_after(n) for n in (1, 2, 3, 4, 5_000)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_failure_is_judged_by_its_kind_and_by_how_often_it_happened() -> None:
    settings = ConsumerSettings(max_deliveries=3, first_delay_seconds=0.5)
    assert verdict_on(PermanentError("no"), 1, settings) == Hopeless("PermanentError: no")
    assert verdict_on(TemporaryError("away", 7.0), 3, settings) == TryAgain(7.0, 1)
    assert verdict_on(KeyError("x"), 2, settings) == TryAgain(1.0, 3)
    assert verdict_on(KeyError("x"), 3, settings) == Hopeless("KeyError: 'x'")


async def test_a_watcher_that_falls_behind_the_window_still_sees_everything() -> None:
    store = MemoryStore("subscription")
    hub = WatchHub(store, window_entries=5)
    seen: list[int] = []
    async with contextlib.aclosing(hub.watch(1, "", 60.0)) as slow, asyncio.timeout(10):
        await anext(slow)
        for _ in range(50):
            await store.commit([], [event_about("a")])
            await asyncio.sleep(0)
        while len(seen) < 50:
            change = await anext(slow)
            assert isinstance(change, Changed)
            seen.append(change.revision)
    assert seen == list(range(1, 51))


async def test_a_memory_store_told_to_be_away_is_unavailable() -> None:
    server = MemoryServer()
    store = MemoryStore("subscription", server)
    server.available = False
    with pytest.raises(StoreUnavailable):
        await store.get("a")
    server.available = True
    assert await store.get("a") is None
