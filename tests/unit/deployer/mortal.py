"""Processes that die, and dependencies that break, at a chosen external call."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from libs.store import StoreUnavailable
from services.deployer.journal import Journal
from services.deployer.loop import Reconciler, World
from services.deployer.ports import BuilderUnavailable, ControlUnavailable, RunnerUnavailable
from tests.unit.deployer.conftest import Deployer

T = TypeVar("T")

READS = frozenset({"list_jobs", "phase", "root_cause"})


class ProcessDied(BaseException):
    """kill -9: nothing of the process catches this."""


@dataclass
class Fate:
    """Strikes once, at the external call number `at` (from 0): before it happens, or after it happened."""

    at: int
    after: bool
    dies: bool = True
    calls: int = 0
    struck: str = ""

    async def meet(self, name: str, call: Callable[[], Awaitable[T]], outage: type[Exception]) -> T:
        mine = self.calls == self.at
        self.calls += 1
        if not mine:
            return await call()
        self.struck = name
        error: BaseException = ProcessDied(name) if self.dies else outage(f"{name} was told to break")
        if self.after:
            await call()
        raise error


class Mortal:
    """Stands before a dependency: each of its coroutine methods meets the fate."""

    def __init__(self, target: Any, fate: Fate, outage: type[Exception], methods: frozenset[str]) -> None:
        self._target = target
        self._fate = fate
        self._outage = outage
        self._methods = methods

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._target, name)
        if name not in self._methods:
            return attribute

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._fate.meet(name, lambda: attribute(*args, **kwargs), self._outage)

        return call


def mortal_process(deployer: Deployer, fate: Fate) -> Reconciler:
    """A new process of this deployer, whose every external call but those of start-up meets `fate`."""
    runner = Mortal(deployer.runner, fate, RunnerUnavailable, READS | {"submit", "cancel"})
    control = Mortal(deployer.control, fate, ControlUnavailable, frozenset({"write", "clear", "fence"}))
    builder = Mortal(deployer.builder, fate, BuilderUnavailable, frozenset({"build"}))
    store = Mortal(deployer.store, fate, StoreUnavailable, frozenset({"commit"}))
    world = World(runner, builder, control, deployer.reports, deployer.clock, jitter=lambda: 0.0)
    return Reconciler(Journal(store, "simulated"), world, deployer.policy)
