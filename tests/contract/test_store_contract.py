"""What every Store promises, on memory and on Redis."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from libs.store import (
    ABSENT,
    ANYTHING,
    AtRevision,
    Collection,
    Conflict,
    Delete,
    Mutation,
    Mutations,
    Put,
    RequestIdReused,
    Write,
)
from libs.store.model import EntryId
from sluice.event.v1 import event_pb2
from tests.contract.backend import AnyStore, Backend
from tests.contract.messages import event_about


def put(name: str, value: bytes = b"") -> Put:
    return Put(name, value, ANYTHING)


async def stored_events(store: AnyStore) -> list[tuple[str, int]]:
    batch = await store.read_events(EntryId(0, 0), 1_000)
    return [(entry.subject, entry.id.revision) for entry in batch.entries]


async def test_a_record_comes_back_with_its_revisions(backend: Backend) -> None:
    store = backend.store()
    first = await store.commit([Put("jobs/ä", b"old", ABSENT)])
    second = await store.commit([put("jobs/b")])
    third = await store.commit([Put("jobs/ä", b"", AtRevision(first.revision))])
    record = await store.get("jobs/ä")
    assert record is not None
    assert (record.value, record.revision, record.created_revision) == (b"", third.revision, first.revision)
    assert [first.revision, second.revision, third.revision] == [1, 2, 3]
    assert await store.get("jobs/none") is None


async def test_binary_values_survive_unchanged(backend: Backend) -> None:
    store = backend.store()
    value = bytes(range(256)) + b"\n0 0 0\n"
    await store.commit([put("a", value)])
    record, missing = await store.get_many(["a", "b"])
    assert missing is None
    assert record is not None and record.value == value
    assert (await store.list("a")).records[0].value == value


async def test_each_expectation_that_fails_names_record_expected_and_actual(backend: Backend) -> None:
    store = backend.store()
    await store.commit([put("a")])
    cases: list[tuple[Write, int | None]] = [
        (Put("a", b"", ABSENT), 1),
        (Put("a", b"", AtRevision(7)), 1),
        (Delete("a", AtRevision(7)), 1),
        (Put("b", b"", AtRevision(1)), None),
        (Delete("b", AtRevision(1)), None),
    ]
    for write, actual in cases:
        with pytest.raises(Conflict) as raised:
            await store.commit([write])
        assert (raised.value.name, raised.value.expected) == (write.name, write.expect)
        assert raised.value.actual_revision == actual


async def test_one_failed_expectation_among_many_leaves_neither_record_nor_event(backend: Backend) -> None:
    store = backend.store()
    await store.commit([put("taken", b"old")], [event_about("taken")])
    writes = [put(f"new/{i}") for i in range(50)] + [Put("taken", b"new", ABSENT)]
    with pytest.raises(Conflict):
        await store.commit(writes, [event_about("new/0")])
    page = await store.list("")
    assert [(record.name, record.value) for record in page.records] == [("taken", b"old")]
    assert page.revision == 1
    assert await stored_events(store) == [("taken", 1)]


async def test_records_and_events_of_a_commit_share_its_revision(backend: Backend) -> None:
    store = backend.store()
    await store.commit([put("first")])
    commit = await store.commit([put("a"), put("b")], [event_about("a"), event_about("b"), event_about("a")])
    assert {record.revision for record in (await store.list("")).records if record.name != "first"} == {2}
    assert await stored_events(store) == [("a", 2), ("b", 2), ("a", 2)]
    assert commit.revision == 2


async def test_concurrent_writers_who_check_the_revision_lose_no_update(backend: Backend) -> None:
    stores = [backend.store() for _ in range(8)]
    await stores[0].commit([put("counter", b"0")])

    async def increment(store: AnyStore) -> None:
        done = 0
        while done < 10:
            record = await store.get("counter")
            assert record is not None
            value = str(int(record.value) + 1).encode()
            try:
                await store.commit(
                    [Put("counter", value, AtRevision(record.revision))], [event_about("counter")]
                )
            except Conflict:
                continue
            done += 1

    async with asyncio.TaskGroup() as tasks:
        for store in stores:
            tasks.create_task(increment(store))
    record = await stores[0].get("counter")
    assert record is not None and record.value == b"80"
    assert len(await stored_events(stores[0])) == 80


async def test_the_same_commit_id_reports_the_first_outcome_and_writes_nothing(backend: Backend) -> None:
    store = backend.store()
    first = await store.commit([Put("a", b"1", ABSENT)], [event_about("a")], commit_id="one")
    await store.commit([put("b")])
    again = await store.commit([Put("a", b"1", ABSENT)], [event_about("a")], commit_id="one")
    assert (first.revision, first.replayed) == (1, False)
    assert (again.revision, again.replayed) == (1, True)
    assert await stored_events(store) == [("a", 1)]


async def test_a_commit_that_failed_can_be_tried_again_under_its_commit_id(backend: Backend) -> None:
    store = backend.store()
    with pytest.raises(Conflict):
        await store.commit([Put("a", b"1", AtRevision(1))], commit_id="one")
    await store.commit([put("a")])
    assert not (await store.commit([Put("a", b"1", AtRevision(1))], commit_id="one")).replayed


async def test_an_expired_record_is_absent_for_reading_listing_and_writing(backend: Backend) -> None:
    store = backend.store()
    until = backend.clock() + timedelta(hours=1)
    await store.commit([Put("a", b"", ABSENT, until), Put("b", b"", ABSENT), Put("c", b"", ABSENT, until)])
    backend.clock.move(timedelta(minutes=59))
    assert len((await store.list("")).records) == 3
    backend.clock.move(timedelta(minutes=1))
    assert await store.get("a") is None
    page = await store.list("", page_size=1)
    assert ([record.name for record in page.records], page.next_after) == (["b"], "")
    with pytest.raises(Conflict):
        await store.commit([Put("a", b"", AtRevision(1))])
    await store.commit([Put("a", b"", ABSENT)])
    record = await store.get("a")
    assert record is not None and (record.revision, record.created_revision) == (2, 2)
    backend.clock.move(timedelta(days=1))
    assert await store.get("a") is not None


async def test_a_later_put_can_take_the_expiry_away_or_move_it(backend: Backend) -> None:
    store = backend.store()
    soon = backend.clock() + timedelta(hours=1)
    await store.commit([Put("a", b"", ABSENT, soon), Put("b", b"", ABSENT, soon)])
    await store.commit([put("a"), Put("b", b"", ANYTHING, soon + timedelta(hours=1))])
    backend.clock.move(timedelta(minutes=90))
    await store.commit([put("c")])
    assert [record.name for record in (await store.list("")).records] == ["a", "b", "c"]


async def test_many_expired_records_are_all_removed_in_the_end(backend: Backend) -> None:
    store = backend.store()
    soon = backend.clock() + timedelta(hours=1)
    await store.commit([Put(f"r/{i:03}", b"", ABSENT, soon) for i in range(250)])
    backend.clock.move(timedelta(hours=2))
    assert (await store.list("r/", page_size=3)).records == ()
    for _ in range(3):
        await store.commit([put("other")])
    assert [record.name for record in (await store.list("")).records] == ["other"]


async def test_a_deleted_record_is_gone_and_starts_anew(backend: Backend) -> None:
    store = backend.store()
    await store.commit([put("a")])
    await store.commit([Delete("a", AtRevision(1)), Delete("never there", ANYTHING)])
    assert await store.get("a") is None
    assert (await store.list("")).records == ()
    await store.commit([Put("a", b"", ABSENT)])
    record = await store.get("a")
    assert record is not None and record.created_revision == 3


async def test_a_list_holds_the_prefix_in_lexical_order_page_by_page(backend: Backend) -> None:
    store = backend.store()
    names = ["t/a", "t/a/x", "t/b", "t/ä", "t/\U0001f600", "t0", "s/z", "t"]
    await store.commit([put(name) for name in names])
    found, after = [], ""
    while True:
        page = await store.list("t/", 2, after)
        found += [record.name for record in page.records]
        if not (after := page.next_after):
            break
    assert found == ["t/a", "t/a/x", "t/b", "t/ä", "t/\U0001f600"]
    assert [record.name for record in (await store.list("t/", 10, "a")).records] == found
    assert (await store.list("t/", 10, "u")).records == ()
    assert (await store.list("none/")).records == ()


async def test_a_record_that_exists_throughout_is_listed_once_whatever_else_comes_and_goes(
    backend: Backend,
) -> None:
    store = backend.store()
    steady = [f"r/{i:03}" for i in range(0, 100, 2)]
    await store.commit([put(name) for name in steady])
    found, after, turn = [], "", 0
    while True:
        page = await store.list("r/", 7, after)
        found += [record.name for record in page.records]
        if not (after := page.next_after):
            break
        passing = f"r/{(turn * 37) % 100 | 1:03}"
        gone = [Delete(name, ANYTHING) for name in found[-2:] if name not in (*steady, passing)]
        await store.commit([put(passing), put(steady[turn]), put(f"{after}x"), *gone])
        turn += 1
    assert [name for name in found if name in steady] == steady
    assert len(found) == len(set(found))


@pytest.mark.parametrize("page_size", [0, -1, 1_001])
async def test_a_page_size_out_of_bounds_is_refused(backend: Backend, page_size: int) -> None:
    with pytest.raises(ValueError, match="page_size"):
        await backend.store().list("", page_size)


async def test_a_commit_of_a_thousand_items_and_a_page_of_a_thousand_work(backend: Backend) -> None:
    store = backend.store()
    await store.commit([put(f"r/{i:03}", b"x" * 100) for i in range(1_000)])
    assert len((await store.list("r/", 1_000)).records) == 1_000


async def test_senseless_commits_are_refused(backend: Backend) -> None:
    store = backend.store()
    with pytest.raises(ValueError, match="at least one"):
        await store.commit([])
    with pytest.raises(ValueError, match="each record once"):
        await store.commit([put("a"), put("a")])
    with pytest.raises(ValueError, match="needs a name"):
        await store.commit([put("")])
    with pytest.raises(ValueError, match="an event needs"):
        await store.commit([], [event_pb2.Event(id="1", subject="a")])


async def test_services_do_not_see_each_other(backend: Backend) -> None:
    one, other = backend.store("deployer"), backend.store("subscription")
    await one.commit([put("a")], [event_about("a")])
    assert (await other.list("")).revision == 0
    assert await stored_events(other) == []


async def test_a_collection_reads_and_writes_messages(backend: Backend) -> None:
    store = backend.store()
    jobs = Collection(store, StringValue, "jobs/")
    await store.commit([jobs.put(f"jobs/{i}", StringValue(value=str(i)), ABSENT) for i in range(3)])
    await store.commit([put("other"), jobs.delete("jobs/1", ANYTHING)])
    stored = await jobs.get("jobs/2")
    assert stored is not None
    assert (stored.message.value, stored.etag, stored.created_revision) == ("2", "r1", 1)
    assert [item.name for item in (await jobs.list_all()).items] == ["jobs/0", "jobs/2"]
    page = await jobs.list(page_size=1)
    assert [item.name for item in (await jobs.list(after=page.next_after)).items] == ["jobs/2"]
    with pytest.raises(ValueError, match="does not start with"):
        await jobs.get("other")


def creation_of(jobs: Collection[StringValue], name: str, value: str) -> Mutation[StringValue]:
    message = StringValue(value=value)
    return Mutation([jobs.put(name, message, ABSENT)], [event_about(name)], message)


async def test_a_repeated_request_gets_the_first_response_and_has_one_effect(backend: Backend) -> None:
    store = backend.store()
    jobs = Collection(store, StringValue, "jobs/")
    mutations = Mutations(store, backend.clock)

    async def run(value: str) -> tuple[str, int, bool]:
        async def decide() -> Mutation[StringValue]:
            return creation_of(jobs, "jobs/a", value)

        outcome = await mutations.run("id-1", StringValue(value="request"), StringValue, decide)
        return outcome.response.value, outcome.revision, outcome.replayed

    assert await run("first") == ("first", 1, False)
    assert await run("second") == ("first", 1, True)
    assert await stored_events(store) == [("jobs/a", 1)]
    backend.clock.move(timedelta(days=1))
    with pytest.raises(Conflict):
        await run("a day later")


async def test_a_request_id_of_another_request_is_refused(backend: Backend) -> None:
    store = backend.store()
    jobs = Collection(store, StringValue, "jobs/")
    mutations = Mutations(store, backend.clock)

    async def decide() -> Mutation[StringValue]:
        return creation_of(jobs, "jobs/a", "")

    await mutations.run("id-1", StringValue(value="this"), StringValue, decide)
    with pytest.raises(RequestIdReused):
        await mutations.run("id-1", StringValue(value="that"), StringValue, decide)


async def test_the_same_request_twice_at_once_has_one_effect_and_one_response(backend: Backend) -> None:
    jobs = Collection(backend.store(), StringValue, "jobs/")
    both_decided = asyncio.Barrier(2)

    async def run(value: str) -> str:
        async def decide() -> Mutation[StringValue]:
            await both_decided.wait()
            return creation_of(jobs, "jobs/a", value)

        mutations = Mutations(backend.store(), backend.clock)
        outcome = await mutations.run("id-1", StringValue(value="request"), StringValue, decide)
        return outcome.response.value

    responses = await asyncio.gather(run("one"), run("other"))
    assert responses[0] == responses[1]
    assert len(await stored_events(backend.store())) == 1


async def test_a_request_that_fails_is_not_remembered(backend: Backend) -> None:
    store = backend.store()
    jobs = Collection(store, StringValue, "jobs/")
    mutations = Mutations(store, backend.clock)

    async def refuse() -> Mutation[StringValue]:
        raise LookupError("no such dataset")

    async def accept() -> Mutation[StringValue]:
        return creation_of(jobs, "jobs/a", "made")

    with pytest.raises(LookupError):
        await mutations.run("id-1", StringValue(), StringValue, refuse)
    assert (await mutations.run("id-1", StringValue(), StringValue, accept)).response.value == "made"
