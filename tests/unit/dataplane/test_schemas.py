"""Writer schemas: what the registry says counts, what it does not say does not."""

import pytest

from libs.codec.framing import SchemaId
from libs.dataplane.schemas import (
    FORGET_S,
    GIVEN_UP_S,
    Known,
    Pending,
    RegistryUnavailableError,
    Unknown,
    WriterSchemas,
)
from tests.unit.dataplane.fakes import AtOnce, FakeClock, FakeRegistry

ONE = SchemaId(1)


class World:
    def __init__(self) -> None:
        self.clock, self.registry, self.executor = FakeClock(), FakeRegistry(), AtOnce()
        self.schemas = WriterSchemas(self.registry, self.clock, not_found_bound_s=30, executor=self.executor)

    def ask_for(self, seconds: float) -> Known | Unknown | Pending:
        """Ask twice a second; the last answer."""
        until = self.clock.now + seconds
        answer = self.schemas.get(ONE)
        while self.clock.now < until:
            self.clock.now += 0.5
            answer = self.schemas.get(ONE)
        return answer


@pytest.fixture
def world() -> World:
    return World()


def test_a_known_schema_is_asked_for_once(world: World) -> None:
    world.registry.known[ONE] = '"string"'
    assert world.ask_for(5) == Known('"string"')
    assert world.registry.asked == [ONE]


def test_not_found_is_doubted_until_the_bound(world: World) -> None:
    assert world.ask_for(29) == Pending()
    assert world.ask_for(3) == Unknown()


def test_a_schema_registered_within_the_bound_is_found(world: World) -> None:
    world.ask_for(20)
    world.registry.known[ONE] = '"long"'
    assert world.ask_for(2) == Known('"long"')


def test_an_unavailable_registry_is_never_an_answer(world: World) -> None:
    world.registry.fails = RegistryUnavailableError("registry: UNAVAILABLE")
    assert world.ask_for(10_000) == Pending("registry: UNAVAILABLE")


def test_the_time_in_which_the_registry_was_away_does_not_count(world: World) -> None:
    world.ask_for(25)
    world.registry.fails = RegistryUnavailableError("away")
    world.ask_for(60)
    world.registry.fails = None
    assert world.ask_for(25) == Pending()
    assert world.ask_for(10) == Unknown()


def test_a_schema_that_was_given_up_is_found_soon_after_it_was_registered_without_holding_anything_back(
    world: World,
) -> None:
    assert world.ask_for(40) == Unknown()
    world.registry.known[ONE] = '"long"'
    assert world.schemas.get(ONE) == Unknown()
    assert world.ask_for(11) == Known('"long"')


def test_an_old_not_found_does_not_count_while_the_registry_is_away(world: World) -> None:
    assert world.ask_for(40) == Unknown()
    world.registry.fails = RegistryUnavailableError("away")
    assert world.ask_for(GIVEN_UP_S - 12) == Unknown()
    assert world.ask_for(20) == Pending("away")


def test_a_given_up_schema_is_given_up_again_at_the_first_answer(world: World) -> None:
    assert world.ask_for(40) == Unknown()
    world.clock.now += GIVEN_UP_S + 5
    assert world.ask_for(1) == Unknown()


def test_open_questions_go_on_while_nobody_looks(world: World) -> None:
    world.schemas.get(ONE)
    for _ in range(40):
        world.clock.now += 1
        world.schemas.tend()
    assert world.schemas.get(ONE) == Unknown()


def test_questions_that_no_message_raises_any_more_are_forgotten(world: World) -> None:
    world.schemas.get(ONE)
    world.clock.now += FORGET_S + 1
    world.schemas.tend()
    asked = len(world.registry.asked)
    world.clock.now += 10
    world.schemas.tend()
    assert len(world.registry.asked) == asked


def test_a_bug_in_the_look_up_is_not_taken_for_an_answer(world: World) -> None:
    world.registry.fails = ZeroDivisionError("bug")
    world.schemas.get(ONE)
    with pytest.raises(ZeroDivisionError):
        world.schemas.get(ONE)


def test_closing_ends_the_threads_and_the_connection(world: World) -> None:
    world.schemas.close()
    assert world.executor.is_shut_down
    assert world.registry.closed
