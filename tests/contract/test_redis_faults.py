"""What is left of the promises when Redis, or the way to it, fails."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from libs.bus import Consumer, ConsumerSettings, RedisBus
from libs.store import ABSENT, ANYTHING, AtRevision, Changed, Put, RedisStore, StoreUnavailable, connect
from libs.store.model import EntryId
from sluice.event.v1 import event_pb2
from tests.contract.backend import until
from tests.contract.cut_proxy import CutProxy
from tests.contract.messages import content_of, event_about
from tests.contract.redis_server import RedisServer

pytestmark = pytest.mark.integration


async def entries(store: RedisStore) -> list[str]:
    return [entry.subject for entry in (await store.read_events(EntryId(0, 0), 10_000)).entries]


async def test_a_commit_whose_answer_is_lost_succeeds_with_its_first_outcome(
    redis_server: RedisServer,
) -> None:
    proxy = CutProxy(redis_server.port)
    port = await proxy.start()
    async with connect(f"redis://127.0.0.1:{port}/0") as redis:
        store = RedisStore("subscription", redis)
        first = await store.commit([Put("a", b"1", ABSENT)], [event_about("a")])
        proxy.answers_to_lose = 1
        second = await store.commit([Put("a", b"2", AtRevision(first.revision))], [event_about("a")])
        assert proxy.answers_lost == 1
        assert (second.revision, second.replayed) == (2, True)
        assert await entries(store) == ["a", "a"]
    await proxy.stop()


async def test_a_commit_of_unknown_outcome_can_be_repeated_by_its_caller(redis_server: RedisServer) -> None:
    proxy = CutProxy(redis_server.port)
    port = await proxy.start()
    async with connect(f"redis://127.0.0.1:{port}/0") as redis:
        store = RedisStore("subscription", redis)
        await store.commit([Put("warm up", b"", ABSENT)])
        proxy.answers_to_lose = 100
        with pytest.raises(StoreUnavailable):
            await store.commit([Put("a", b"", ABSENT)], [event_about("a")], commit_id="mine")
        proxy.answers_to_lose = 0
        again = await store.commit([Put("a", b"", ABSENT)], [event_about("a")], commit_id="mine")
        assert (again.revision, again.replayed) == (2, True)
        assert await entries(store) == ["a"]
    await proxy.stop()


async def test_what_was_acknowledged_survives_kill_9_with_its_event(redis_server: RedisServer) -> None:
    acknowledged: list[str] = []
    async with connect(redis_server.url) as redis:
        store = RedisStore("subscription", redis)

        async def write(writer: int) -> None:
            for i in range(10_000):
                name = f"r/{writer}/{i}"
                await store.commit([Put(name, name.encode(), ABSENT)], [event_about(name)])
                acknowledged.append(name)

        writing = [asyncio.create_task(write(writer)) for writer in range(4)]
        await until(lambda: len(acknowledged) > 200)
        redis_server.kill()
        results = await asyncio.gather(*writing, return_exceptions=True)
        assert all(isinstance(result, StoreUnavailable) for result in results)
        redis_server.start()

        records, after = set[str](), ""
        while True:
            page = await store.list("r/", 1_000, after)
            records |= {record.name for record in page.records}
            if not (after := page.next_after):
                break
        told = await entries(store)
        assert set(acknowledged) <= records
        assert records == set(told)
        assert len(told) == page.revision


async def test_an_absent_redis_is_unavailable_for_every_operation(redis_server: RedisServer) -> None:
    async with connect(redis_server.url) as redis:
        store = RedisStore("subscription", redis)
        redis_server.kill()
        for operation in (
            store.get("a"),
            store.list(""),
            store.commit([Put("a", b"", ANYTHING)]),
            store.trim(1),
            anext(store.watch(1)),
        ):
            with pytest.raises(StoreUnavailable):
                await operation


async def test_watch_and_consumer_catch_up_after_an_outage(redis_server: RedisServer) -> None:
    watched: list[str] = []
    handled: list[str] = []

    async def handle(event: event_pb2.Event) -> None:
        handled.append(content_of(event))

    async with connect(redis_server.url) as redis:
        store = RedisStore("subscription", redis)

        async def watch() -> None:
            async with contextlib.aclosing(store.watch(1, progress_interval_seconds=0.1)) as changes:
                async for change in changes:
                    if isinstance(change, Changed):
                        watched.append(content_of(change.event))

        settings = ConsumerSettings(min_idle_seconds=0.5, block_seconds=0.1, outage_delay_seconds=0.05)
        consumer = Consumer(
            RedisBus(redis), group="deployer", sources=["subscription"], handler=handle, settings=settings
        )
        watching, consuming = asyncio.create_task(watch()), asyncio.create_task(consumer.run())
        await store.commit([], [event_about("a", "before")])
        await until(lambda: watched == ["before"] and handled == ["before"])

        redis_server.kill()
        with pytest.raises(StoreUnavailable):
            await store.get("a")
        redis_server.start()

        await store.commit([], [event_about("a", "after")])
        await until(lambda: watched == ["before", "after"] and handled[-1] == "after", 20)
        assert handled in (["before", "after"], ["before", "before", "after"])
        watching.cancel()
        await consumer.stop()
        await asyncio.gather(watching, consuming, return_exceptions=True)
        await store.close()
