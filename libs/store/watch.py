"""Many watchers of one store on a single read loop.

One task per store object follows the end of the stream and keeps the last entries in memory; watchers read
from there and only those further behind ask the store. The loop runs while there is at least one watcher.
"""

from __future__ import annotations

import asyncio
import bisect
import time
from collections.abc import AsyncGenerator

import structlog

from libs.store.errors import Compacted, StoreUnavailable
from libs.store.model import Changed, Entry, EntryId, EventBatch, Notification, Progress
from libs.store.ports import EventReader

READ_COUNT = 500
BLOCK_SECONDS = 1.0
RETRY_SECONDS = 0.5

_log = structlog.get_logger(__name__)


def place_after(start: EntryId, batch: EventBatch, count: int) -> EntryId:
    """Where to read on after a batch that was read from `start`. Raises Compacted if entries from `start` on
    are gone.

    A store whose revision is below what was read from it has lost its history (restored from a backup).
    """
    if start.revision <= batch.compact_revision:
        raise Compacted(batch.compact_revision)
    if start.revision > batch.revision + 1:
        raise Compacted(batch.revision)
    if len(batch.entries) == count:
        return batch.entries[-1].id.following()
    return EntryId(batch.revision + 1, 0)


class WatchHub:
    """Serves any number of watches of one store."""

    def __init__(self, reader: EventReader, *, window_entries: int = 10_000) -> None:
        self._reader = reader
        self._window_entries = window_entries
        self._watchers = 0
        self._tail: asyncio.Task[None] | None = None
        self._advanced = asyncio.Event()
        self._window: list[Entry] = []
        self._window_start: EntryId | None = None
        self._next = EntryId(0, 0)

    async def watch(
        self, start_revision: int, prefix: str, progress_interval_seconds: float
    ) -> AsyncGenerator[Notification, None]:
        if start_revision < 0:
            raise ValueError(f"start_revision {start_revision} is negative")
        place = EntryId(max(start_revision, 1), 0)
        batch = await self._reader.read_events(place, READ_COUNT)
        place_after(place, batch, READ_COUNT)
        self._enter(EntryId(batch.revision + 1, 0))
        try:
            progress_due = time.monotonic()
            while self._tail is not None:
                if self._tail.done():
                    self._tail.result()
                advanced = self._advanced
                entries, place, caught_up = await self._read(place)
                for entry in entries:
                    if entry.subject.startswith(prefix):
                        yield Changed(entry.id.revision, entry.event())
                if not caught_up:
                    continue
                if time.monotonic() >= progress_due:
                    yield Progress(place.revision - 1)
                    progress_due = time.monotonic() + progress_interval_seconds
                await _wait(advanced, progress_due - time.monotonic())
        finally:
            self._leave()

    def close(self) -> None:
        if self._tail is not None:
            self._tail.cancel()
            self._tail = None
            self._advanced.set()

    async def _read(self, place: EntryId) -> tuple[list[Entry], EntryId, bool]:
        """Entries from `place` on, the place after them, and whether that is the end of the stream as known
        here.
        """
        if self._window_start is not None and self._window_start <= place <= self._next:
            first = bisect.bisect_left(self._window, place, key=lambda entry: entry.id)
            return self._window[first:], self._next, True
        while True:
            try:
                batch = await self._reader.read_events(place, READ_COUNT)
                break
            except StoreUnavailable as error:
                _log.warning("watch_paused", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
        after = place_after(place, batch, READ_COUNT)
        return list(batch.entries), after, after.index == 0

    def _enter(self, place: EntryId) -> None:
        self._watchers += 1
        if self._tail is None:
            self._window, self._window_start, self._next = [], place, place
            # close() left the old one set, for those who still waited; waiting for it would never yield again.
            self._advanced = asyncio.Event()
            self._tail = asyncio.create_task(self._follow(), name="store-watch-tail")

    def _leave(self) -> None:
        self._watchers -= 1
        if self._watchers == 0:
            self.close()

    async def _follow(self) -> None:
        # The Redis client loses a cancellation that coincides with the end of one of its timeouts: look as well.
        while asyncio.current_task() is self._tail:
            try:
                await self._reader.wait_for_events(self._next, BLOCK_SECONDS)
                batch = await self._reader.read_events(self._next, READ_COUNT)
            except StoreUnavailable as error:
                _log.warning("watch_tail_paused", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if asyncio.current_task() is self._tail:
                self._extend_window(batch)

    def _extend_window(self, batch: EventBatch) -> None:
        try:
            following = place_after(self._next, batch, READ_COUNT)
            self._window.extend(batch.entries)
        except Compacted:
            # Watchers that still stand before the gap find out by reading for themselves.
            following = EntryId(batch.revision + 1, 0)
            self._window, self._window_start = [], following
        surplus = len(self._window) - self._window_entries
        if surplus > 0:
            self._window_start = self._window[surplus].id
            del self._window[:surplus]
        if following != self._next:
            self._next = following
            self._advanced.set()
            self._advanced = asyncio.Event()


async def _wait(advanced: asyncio.Event, timeout_seconds: float) -> None:
    try:
        async with asyncio.timeout(max(timeout_seconds, 0)):
            await advanced.wait()
    except TimeoutError:
        return
