"""What every Store promises about watching and trimming, on memory and on Redis."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from types import FrameType

import pytest

from libs.bus import Bus
from libs.store import ANYTHING, Changed, Compacted, Notification, Progress, Put
from tests.contract.backend import AnyStore, Backend
from tests.contract.messages import content_of, event_about

GROUP = "deployer"


async def change(store: AnyStore, name: str, content: str = "") -> int:
    commit = await store.commit([Put(name, content.encode(), ANYTHING)], [event_about(name, content)])
    return commit.revision


async def read_until_progress(changes: AsyncIterator[Notification], revision: int) -> list[Changed]:
    found: list[Changed] = []
    async with asyncio.timeout(10):
        async for notification in changes:
            if isinstance(notification, Changed):
                found.append(notification)
            elif notification.revision >= revision:
                return found
    raise AssertionError("the watch ended")


async def test_a_watch_delivers_the_past_from_its_start_and_then_the_present(backend: Backend) -> None:
    store = backend.store()
    for name in ("a", "b", "c"):
        await change(store, name)
    async with contextlib.aclosing(store.watch(2, progress_interval_seconds=0.05)) as changes:
        assert [change.event.subject for change in await read_until_progress(changes, 3)] == ["b", "c"]
        await change(store, "d")
        [last] = await read_until_progress(changes, 4)
    assert (last.revision, last.event.revision, last.event.subject) == (4, 4, "d")


async def test_a_watch_delivers_only_its_prefix_but_progresses_past_the_rest(backend: Backend) -> None:
    store = backend.store()
    async with contextlib.aclosing(store.watch(1, "t/a/", progress_interval_seconds=0.05)) as changes:
        await change(store, "t/a/1")
        await change(store, "t/b/1")
        await store.commit([Put("without event", b"", ANYTHING)])
        found = await read_until_progress(changes, 3)
    assert [change.event.subject for change in found] == ["t/a/1"]


async def test_a_watch_from_the_lists_revision_misses_nothing_while_others_write(backend: Backend) -> None:
    writer, store = backend.store(), backend.store()
    total = 200

    under_way = asyncio.Event()

    async def write() -> None:
        for i in range(total):
            if i == total // 4:
                under_way.set()
                await asyncio.sleep(0)
            await change(writer, f"r/{i % 7}", str(i))

    writing = asyncio.create_task(write())
    await under_way.wait()
    page = await store.list("r/")
    state = {record.name: int(record.value) for record in page.records}
    async with contextlib.aclosing(store.watch(page.revision + 1, progress_interval_seconds=0.05)) as changes:
        found = await read_until_progress(changes, total)
    await writing
    assert [change.revision for change in found] == list(range(page.revision + 1, total + 1))
    for change_seen in found:
        state[change_seen.event.subject] = int(content_of(change_seen.event))
    end = await store.list("r/")
    assert state == {record.name: int(record.value) for record in end.records}


async def test_many_watchers_of_one_store_each_see_everything(backend: Backend) -> None:
    store = backend.store()
    for i in range(20):
        await change(store, f"r/{i}")

    async def watch(start: int) -> list[int]:
        async with contextlib.aclosing(store.watch(start, progress_interval_seconds=0.05)) as changes:
            return [change.revision for change in await read_until_progress(changes, 60)]

    watching = [asyncio.create_task(watch(start)) for start in range(1, 21)]
    for i in range(40):
        await change(store, f"r/{i}")
    results = await asyncio.gather(*watching)
    assert results == [list(range(start, 61)) for start in range(1, 21)]


async def test_all_events_of_a_large_backlog_and_of_a_large_commit_arrive_in_order(backend: Backend) -> None:
    store = backend.store()
    for _ in range(3):
        await store.commit([], [event_about("r", str(i)) for i in range(400)])
    async with contextlib.aclosing(store.watch(0, progress_interval_seconds=0.05)) as changes:
        found = await read_until_progress(changes, 3)
        await store.commit([], [event_about("r", str(i)) for i in range(700)])
        more = await read_until_progress(changes, 4)
    assert [int(content_of(change.event)) for change in found] == list(range(400)) * 3
    assert [int(content_of(change.event)) for change in more] == list(range(700))


async def test_a_watch_from_before_the_compaction_must_list_again(backend: Backend) -> None:
    store = backend.store()
    for name in "abcde":
        await change(store, name)
    assert await store.trim(keep_revisions=2) == 3
    with pytest.raises(Compacted) as raised:
        await anext(store.watch(3))
    assert raised.value.compact_revision == 3
    async with contextlib.aclosing(store.watch(4, progress_interval_seconds=0.05)) as changes:
        assert [change.event.subject for change in await read_until_progress(changes, 5)] == ["d", "e"]


async def test_a_watch_from_a_revision_the_store_never_had_must_list_again(backend: Backend) -> None:
    store = backend.store()
    await change(store, "a")
    with pytest.raises(Compacted):
        await anext(store.watch(3))


@contextlib.contextmanager
def failing_when_the_event_loop_starves(seconds: float) -> Iterator[None]:
    """A starved loop fires no timeout of its own; a signal ends it."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise AssertionError("a watch kept the event loop to itself")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


async def test_a_watch_after_the_last_one_ended_waits_without_keeping_the_event_loop(
    backend: Backend,
) -> None:
    store = backend.store()
    await change(store, "a")
    with failing_when_the_event_loop_starves(20):
        for revision in (1, 2):
            async with contextlib.aclosing(store.watch(revision, progress_interval_seconds=60)) as changes:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.3):
                        async for _ in changes:
                            pass


async def test_closing_the_store_ends_its_watches(backend: Backend) -> None:
    store = backend.store()
    changes = store.watch(1, progress_interval_seconds=60)
    assert await anext(changes) == Progress(0)
    waiting = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0)
    await store.close()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(waiting, 10)


async def deliver(bus: Bus, count: int) -> list[str]:
    deliveries = await bus.read_new("subscription", GROUP, "one", count, 0.01)
    return [delivery.entry.subject for delivery in deliveries]


async def test_trimming_keeps_what_a_group_has_not_been_given(backend: Backend) -> None:
    store, bus = backend.store(), backend.bus()
    await bus.ensure_group("subscription", GROUP)
    for name in "abcd":
        await change(store, name)
    assert await store.trim(keep_revisions=0) == 0
    assert await deliver(bus, 100) == ["a", "b", "c", "d"]


async def test_trimming_keeps_what_a_group_has_not_acknowledged(backend: Backend) -> None:
    store, bus = backend.store(), backend.bus()
    for name in "abcd":
        await change(store, name)
    await bus.ensure_group("subscription", GROUP)
    deliveries = await bus.read_new("subscription", GROUP, "dead", 3, 0.01)
    await bus.acknowledge("subscription", GROUP, deliveries[0].entry.id)
    await bus.acknowledge("subscription", GROUP, deliveries[2].entry.id)
    assert await store.trim(keep_revisions=0) == 1
    claim = await bus.claim_idle("subscription", GROUP, "one", 0.0, deliveries[0].entry.id, 10)
    assert [delivery.entry.subject for delivery in claim.deliveries] == ["b"]
    await bus.acknowledge("subscription", GROUP, claim.deliveries[0].entry.id)
    assert await store.trim(keep_revisions=0) == 3
    assert await deliver(bus, 10) == ["d"]


async def test_trimming_keeps_a_commit_that_is_only_partly_delivered(backend: Backend) -> None:
    store, bus = backend.store(), backend.bus()
    await bus.ensure_group("subscription", GROUP)
    await store.commit([], [event_about("a"), event_about("b"), event_about("c")])
    [first] = await bus.read_new("subscription", GROUP, "one", 1, 0.01)
    await bus.acknowledge("subscription", GROUP, first.entry.id)
    assert await store.trim(keep_revisions=0) == 0
    assert await deliver(bus, 10) == ["b", "c"]


async def test_trimming_waits_for_the_groups_that_must_exist(backend: Backend) -> None:
    store, bus = backend.store(), backend.bus()
    for name in "ab":
        await change(store, name)
    assert await store.trim(keep_revisions=0, required_groups=[GROUP]) == 0
    await bus.ensure_group("subscription", GROUP)
    assert await deliver(bus, 10) == ["a", "b"]


async def test_trimming_keeps_the_newest_revisions_for_watchers(backend: Backend) -> None:
    store = backend.store()
    assert await store.trim(keep_revisions=2) == 0
    for name in "abcd":
        await change(store, name)
    assert await store.trim(keep_revisions=10) == 0
    assert await store.trim(keep_revisions=2) == 2
    assert await store.trim(keep_revisions=3) == 2


async def test_trimming_while_consumers_read_loses_no_event(backend: Backend) -> None:
    store, bus = backend.store(), backend.bus()
    seen: list[int] = []
    total = 150

    async def consume(consumer: str) -> None:
        while len(seen) < total:
            for delivery in await bus.read_new("subscription", GROUP, consumer, 3, 0.01):
                seen.append(delivery.entry.id.revision)
                await bus.acknowledge("subscription", GROUP, delivery.entry.id)

    async def write() -> None:
        for i in range(total):
            await change(store, f"r/{i}")

    async def trim() -> None:
        while len(seen) < total:
            await store.trim(keep_revisions=1)

    await bus.ensure_group("subscription", GROUP)
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        for work in (consume("one"), consume("two"), write(), trim()):
            tasks.create_task(work)
    assert sorted(seen) == list(range(1, total + 1))
