"""Deliveries of one source in lanes: one after another within a subject, subjects side by side."""

from __future__ import annotations

import asyncio
import bisect
from collections.abc import Awaitable, Callable, Collection

from libs.bus.cancellation import cancel_all
from libs.bus.model import Delivery
from libs.store.model import EntryId


class Lanes:
    """Calls `process` for each delivery: in the order of the stream per subject, never twice at once.

    An event waits for the earlier ones of its subject, also while one of them waits for its next try; so a
    subject that fails again and again can fill the window. `process` returns whether it is done with the
    delivery; if not, the lane ends there. What it raises is the result of `failed`.
    """

    def __init__(self, process: Callable[[Delivery], Awaitable[bool]], window: int) -> None:
        self._process = process
        self._window = window
        self._waiting: dict[str, list[Delivery]] = {}
        self._held: dict[EntryId, Delivery] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._left = asyncio.Event()
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def held(self) -> Collection[EntryId]:
        """What is waiting or in work."""
        return tuple(self._held)

    async def room(self) -> int:
        """How many deliveries can be added; waits until it is at least one."""
        while len(self._held) >= self._window:
            self._left.clear()
            await self._left.wait()
        return self._window - len(self._held)

    def add(self, delivery: Delivery) -> None:
        """A delivery that is held already is ignored."""
        entry = delivery.entry
        if entry.id in self._held:
            return
        self._held[entry.id] = delivery
        if entry.subject in self._waiting:
            bisect.insort(self._waiting[entry.subject], delivery, key=lambda waiting: waiting.entry.id)
            return
        self._waiting[entry.subject] = [delivery]
        task = asyncio.create_task(self._run(entry.subject), name=f"lane {entry.subject}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def forget(self, entry_ids: Collection[EntryId]) -> None:
        """Drop deliveries that wait (another consumer has them now); those in work go on."""
        for entry_id in entry_ids:
            delivery = self._held.get(entry_id)
            lane = self._waiting.get(delivery.entry.subject, []) if delivery else []
            if delivery in lane:
                lane.remove(delivery)
                self._release(entry_id)

    async def close(self, grace_seconds: float) -> Collection[EntryId]:
        """Let what is in work finish, at most so long. Returns what was not processed."""
        for lane in self._waiting.values():
            lane.clear()
        if self._tasks:
            _, unfinished = await asyncio.wait(set(self._tasks), timeout=grace_seconds)
            await cancel_all(unfinished)
        return self.held

    async def _run(self, subject: str) -> None:
        lane = self._waiting[subject]
        try:
            while lane:
                delivery = lane.pop(0)
                if not await self._process(delivery):
                    return
                self._release(delivery.entry.id)
        finally:
            del self._waiting[subject]

    def _release(self, entry_id: EntryId) -> None:
        del self._held[entry_id]
        self._left.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)
