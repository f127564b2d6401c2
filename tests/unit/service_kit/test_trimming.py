"""The loop that trims a service's events goes on through outages of the store."""

import asyncio

from google.protobuf.wrappers_pb2 import StringValue

from libs.service_kit.trimming import Trimming
from libs.store import MemoryServer, MemoryStore, new_event, utc_now

BOUND_SECONDS = 5


async def _store_with_events(server: MemoryServer, events: int) -> MemoryStore:
    store = MemoryStore("deployer", server)
    for number in range(events):
        fact = StringValue(value=str(number))
        event = new_event(source="deployer", subject="jobs/a", data=fact, time=utc_now(), traceparent="")
        await store.commit([], [event])
    return store


async def _compacted(store: MemoryStore) -> int:
    return await store.trim(1_000_000)


async def test_old_events_go_and_the_newest_stay_also_after_an_outage() -> None:
    server = MemoryServer()
    store = await _store_with_events(server, 10)
    server.available = False
    trimming = asyncio.create_task(Trimming(store, keep_revisions=3, interval_seconds=0.001).run())
    await asyncio.wait({trimming}, timeout=0.02)
    assert not trimming.done()
    server.available = True
    async with asyncio.timeout(BOUND_SECONDS):
        while await _compacted(store) != 7:
            await asyncio.wait({trimming}, timeout=0.001)
    trimming.cancel()
    await asyncio.wait({trimming})


async def test_nothing_goes_until_those_who_act_on_it_have_begun_to_read() -> None:
    store = await _store_with_events(MemoryServer(), 10)
    looks = 0

    class Counting(MemoryStore):
        async def trim(self, keep_revisions: int, required_groups: object = ()) -> int:
            nonlocal looks
            looks += 1
            assert required_groups == ("subscription",)
            return await store.trim(keep_revisions, ("subscription",))

    trimming = asyncio.create_task(
        Trimming(Counting("deployer"), ["subscription"], keep_revisions=3, interval_seconds=0.001).run()
    )
    async with asyncio.timeout(BOUND_SECONDS):
        while looks < 3:
            await asyncio.wait({trimming}, timeout=0.001)
    assert await _compacted(store) == 0
    trimming.cancel()
    await asyncio.wait({trimming})
