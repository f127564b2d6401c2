"""What the bus promises to a service that consumes others' events, on memory and on Redis."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

from libs.bus import Bus, Consumer, ConsumerSettings, DeadLetter, Handler, PermanentError, TemporaryError
from libs.store.model import EntryId
from sluice.event.v1 import event_pb2
from tests.contract.backend import AnyStore, Backend, until
from tests.contract.messages import content_of, event_about

SOURCE = "subscription"
GROUP = "deployer"
FIRST = EntryId(0, 0)
FAST = ConsumerSettings(
    min_idle_seconds=0.3,
    max_deliveries=3,
    first_delay_seconds=0.01,
    max_delay_seconds=0.05,
    block_seconds=0.05,
    outage_delay_seconds=0.01,
    shutdown_grace_seconds=0.5,
)


async def publish(store: AnyStore, subject: str, content: str = "") -> None:
    await store.commit([], [event_about(subject, content)])


@contextlib.asynccontextmanager
async def consuming(
    bus: Bus, handler: Handler, settings: ConsumerSettings = FAST, sources: tuple[str, ...] = (SOURCE,)
) -> AsyncIterator[Consumer]:
    consumer = Consumer(bus, group=GROUP, sources=sources, handler=handler, settings=settings)
    running = asyncio.create_task(consumer.run())
    try:
        yield consumer
    finally:
        await consumer.stop()
        await running


async def nothing_pending(bus: Bus) -> bool:
    claim = await bus.claim_idle(SOURCE, GROUP, "inspector", 0.0, FIRST, 100)
    return not claim.deliveries


async def first_letters(bus: Bus) -> tuple[DeadLetter, ...]:
    for _ in range(1_000):
        if letters := await bus.dead_letters(SOURCE, GROUP):
            return letters
        await asyncio.sleep(0.01)
    raise AssertionError("no dead letter in time")


class Recorder:
    """Remembers what it was given; fails where `failing` says so."""

    def __init__(self) -> None:
        self.events: list[event_pb2.Event] = []
        self.attempts: Counter[str] = Counter()
        self.failing: dict[str, Exception] = {}

    async def __call__(self, event: event_pb2.Event) -> None:
        content = content_of(event)
        self.attempts[content] += 1
        if content in self.failing:
            raise self.failing[content]
        self.events.append(event)

    @property
    def contents(self) -> list[str]:
        return [content_of(event) for event in self.events]


async def test_events_published_before_the_first_consumer_are_delivered(backend: Backend) -> None:
    store, handler = backend.store(), Recorder()
    await publish(store, "a", "early")
    async with consuming(backend.bus(), handler):
        await publish(store, "b", "late")
        await until(lambda: len(handler.events) == 2)
    assert [(event.subject, event.revision) for event in handler.events] == [("a", 1), ("b", 2)]
    assert handler.contents == ["early", "late"]


async def test_handled_events_are_not_delivered_again_to_the_next_consumer(backend: Backend) -> None:
    store, first, second = backend.store(), Recorder(), Recorder()
    await publish(store, "a", "1")
    async with consuming(backend.bus(), first):
        await until(lambda: len(first.events) == 1)
    await publish(store, "a", "2")
    async with consuming(backend.bus(), second):
        await until(lambda: len(second.events) == 1)
    assert second.contents == ["2"]


async def test_each_group_gets_every_event(backend: Backend) -> None:
    store, handlers = backend.store(), [Recorder(), Recorder()]
    consumers = [
        Consumer(backend.bus(), group=f"group-{i}", sources=[SOURCE], handler=handler, settings=FAST)
        for i, handler in enumerate(handlers)
    ]
    async with asyncio.TaskGroup() as tasks:
        for consumer in consumers:
            tasks.create_task(consumer.run())
        await publish(store, "a", "1")
        await until(lambda: all(handler.contents == ["1"] for handler in handlers))
        for consumer in consumers:
            await consumer.stop()


async def test_one_consumer_reads_several_sources(backend: Backend) -> None:
    handler = Recorder()
    async with consuming(backend.bus(), handler, sources=("schema_registry", "self_healing")):
        await publish(backend.store("schema_registry"), "subjects/a", "schema")
        await publish(backend.store("self_healing"), "datasets/a", "topology")
        await publish(backend.store("other"), "x", "other")
        await until(lambda: len(handler.events) == 2)
    assert sorted(handler.contents) == ["schema", "topology"]


async def test_events_of_a_subject_are_handled_in_order_one_at_a_time(backend: Backend) -> None:
    store = backend.store()
    at_work: set[str] = set()
    seen: list[tuple[str, int]] = []

    async def handle(event: event_pb2.Event) -> None:
        assert event.subject not in at_work
        at_work.add(event.subject)
        await asyncio.sleep(0.001 * (event.revision % 3))
        at_work.discard(event.subject)
        seen.append((event.subject, event.revision))

    for i in range(120):
        await publish(store, f"r/{i % 7}")
    async with consuming(backend.bus(), handle):
        await until(lambda: len(seen) == 120)
    for subject in {subject for subject, _ in seen}:
        revisions = [revision for found, revision in seen if found == subject]
        assert revisions == sorted(revisions)


async def test_an_event_that_keeps_failing_goes_to_dead_letters_while_others_flow(
    backend: Backend,
) -> None:
    store, bus, handler = backend.store(), backend.bus(), Recorder()
    handler.failing["poison"] = LookupError("no such binding")
    await publish(store, "bad", "poison")
    await publish(store, "bad", "after the poison")
    original = event_about("good", "1")
    await store.commit([], [original])
    async with consuming(bus, handler):
        await until(lambda: len(handler.events) == 2)
    assert handler.contents == ["1", "after the poison"]
    [letter] = await bus.dead_letters(SOURCE, GROUP)
    assert (letter.subject, letter.error, letter.deliveries) == ("bad", "LookupError: no such binding", 3)
    assert handler.attempts["poison"] == 3
    assert content_of(event_pb2.Event.FromString(letter.payload)) == "poison"
    assert letter.entry_id.revision == 1
    assert await bus.dead_letters(SOURCE, GROUP, after=letter.id) == ()


async def test_a_permanent_error_goes_to_the_dead_letters_at_once(backend: Backend) -> None:
    store, bus, handler = backend.store(), backend.bus(), Recorder()
    handler.failing["poison"] = PermanentError("unknown type")
    await publish(store, "a", "poison")
    await publish(store, "a", "fine")
    async with consuming(bus, handler):
        await until(lambda: handler.contents == ["fine"])
    assert handler.attempts["poison"] == 1
    assert len(await bus.dead_letters(SOURCE, GROUP)) == 1


async def test_a_temporary_error_is_retried_beyond_every_bound(backend: Backend) -> None:
    store, bus, handler = backend.store(), backend.bus(), Recorder()
    handler.failing["patience"] = TemporaryError("registry away", delay_seconds=0.001)
    await publish(store, "a", "patience")
    async with consuming(bus, handler):
        await until(lambda: handler.attempts["patience"] > 3 * FAST.max_deliveries)
        del handler.failing["patience"]
        await until(lambda: handler.contents == ["patience"])
    assert await bus.dead_letters(SOURCE, GROUP) == ()


async def test_undecodable_bytes_go_to_the_dead_letters_unchanged(backend: Backend) -> None:
    store, bus, handler = backend.store(), backend.bus(), Recorder()
    await publish(store, "a", "fine")
    await bus.ensure_group(SOURCE, GROUP)
    await backend.append_raw(SOURCE, "a", b"\xff\xff")
    async with consuming(bus, handler):
        await until(lambda: handler.contents == ["fine"])
        letters = await first_letters(bus)
    assert letters[0].payload == b"\xff\xff"


async def test_entries_of_a_dead_consumer_are_claimed_once_it_is_silent_for_long(backend: Backend) -> None:
    store, bus, handler = backend.store(), backend.bus(), Recorder()
    await bus.ensure_group(SOURCE, GROUP)
    for i in range(100):
        await publish(store, f"r/{i}", str(i))
    assert len(await bus.read_new(SOURCE, GROUP, "dead", 100, 0.01)) == 100
    async with consuming(bus, handler):
        await until(lambda: len(handler.events) == 100)
    assert sorted(handler.contents, key=int) == [str(i) for i in range(100)]


async def test_a_slow_handler_keeps_its_entries_from_being_claimed(backend: Backend) -> None:
    store, slow, other = backend.store(), Recorder(), Recorder()
    released = asyncio.Event()

    async def handle_slowly(event: event_pb2.Event) -> None:
        await slow(event)
        await released.wait()

    async with consuming(backend.bus(), handle_slowly):
        await publish(store, "a", "1")
        await publish(store, "a", "waiting behind it")
        await until(lambda: len(slow.events) == 1)
        async with consuming(backend.bus(), other):
            await publish(store, "b", "2")
            await asyncio.sleep(3 * FAST.min_idle_seconds)
            assert "1" not in other.contents
            assert "waiting behind it" not in other.contents
            released.set()
            await until(lambda: len(slow.events) + len(other.events) == 3)


async def test_an_event_that_kills_its_process_each_time_goes_to_the_dead_letters(backend: Backend) -> None:
    store, bus, handler = backend.store(), backend.bus(), Recorder()
    await bus.ensure_group(SOURCE, GROUP)
    await publish(store, "a", "killer")
    await bus.read_new(SOURCE, GROUP, "dead 1", 1, 0.01)
    for i in range(2, FAST.max_deliveries + 1):
        await bus.claim_idle(SOURCE, GROUP, f"dead {i}", 0.0, FIRST, 1)
    async with consuming(bus, handler):
        letters = await first_letters(bus)
    assert letters[0].deliveries == FAST.max_deliveries + 1
    assert handler.attempts["killer"] == 0


async def test_stopping_lets_the_handler_at_work_finish(backend: Backend) -> None:
    store, bus, handler = backend.store(), backend.bus(), Recorder()
    started = asyncio.Event()

    async def handle(event: event_pb2.Event) -> None:
        started.set()
        await asyncio.sleep(0.1)
        await handler(event)

    await publish(store, "a", "1")
    async with consuming(bus, handle):
        await started.wait()
    assert handler.contents == ["1"]
    assert await nothing_pending(bus)


async def test_what_a_stopped_consumer_leaves_can_be_claimed_at_once(backend: Backend) -> None:
    store, bus, handler = backend.store(), backend.bus(), Recorder()
    started = asyncio.Event()

    async def hang(event: event_pb2.Event) -> None:
        started.set()
        await asyncio.Event().wait()

    await publish(store, "a", "in work")
    await publish(store, "a", "waiting")
    patient = ConsumerSettings(min_idle_seconds=600, block_seconds=0.05, shutdown_grace_seconds=0.05)
    async with consuming(bus, hang, patient):
        await started.wait()
    async with consuming(bus, handler, patient):
        await until(lambda: handler.contents == ["in work", "waiting"])


async def test_a_handler_that_takes_too_long_has_failed(backend: Backend) -> None:
    store, bus = backend.store(), backend.bus()

    async def hang(event: event_pb2.Event) -> None:
        await asyncio.Event().wait()

    await publish(store, "a")
    settings = ConsumerSettings(
        handler_timeout_seconds=0.02, max_deliveries=2, first_delay_seconds=0.01, block_seconds=0.05
    )
    async with consuming(bus, hang, settings):
        letters = await first_letters(bus)
    assert letters[0].error.startswith("TimeoutError")


async def test_a_dead_letter_is_written_once_and_only_while_the_entry_is_pending(backend: Backend) -> None:
    store, bus = backend.store(), backend.bus()
    await bus.ensure_group(SOURCE, GROUP)
    await publish(store, "a")
    [delivery] = await bus.read_new(SOURCE, GROUP, "one", 1, 0.01)
    await bus.bury(SOURCE, GROUP, delivery, "first", backend.clock())
    await bus.bury(SOURCE, GROUP, delivery, "second", backend.clock())
    assert [letter.error for letter in await bus.dead_letters(SOURCE, GROUP)] == ["first"]
    assert await nothing_pending(bus)


async def test_an_entry_claimed_by_another_is_no_longer_held(backend: Backend) -> None:
    store, bus = backend.store(), backend.bus()
    await bus.ensure_group(SOURCE, GROUP)
    await publish(store, "a")
    await publish(store, "b")
    first, second = await bus.read_new(SOURCE, GROUP, "one", 2, 0.01)
    await bus.claim_idle(SOURCE, GROUP, "two", 0.0, FIRST, 1)
    held = await bus.hold(SOURCE, GROUP, "one", [first.entry.id, second.entry.id])
    assert held == {second.entry.id}


async def test_two_consumers_share_the_work_and_lose_nothing(backend: Backend) -> None:
    store, handlers = backend.store(), [Recorder(), Recorder()]
    async with consuming(backend.bus(), handlers[0]), consuming(backend.bus(), handlers[1]):
        for i in range(200):
            await publish(store, f"r/{i % 20}", str(i))
        await until(lambda: len(handlers[0].events) + len(handlers[1].events) >= 200)
    contents = handlers[0].contents + handlers[1].contents
    assert sorted(contents, key=int) == [str(i) for i in range(200)]
