"""The loop that drops events which everybody has handled."""

import asyncio

import structlog

from libs.store import Store, StoreUnavailable

KEPT_REVISIONS = 100_000
REQUIRED_GROUPS = ("subscription",)
"""The services that act on SchemaChanged: until each has begun to read, nothing is dropped."""

_log = structlog.get_logger(__name__)


class Trimming:
    """Trims the service's own stream now and then; a store that is away is asked again the next time."""

    def __init__(self, store: Store, interval_seconds: float = 300.0) -> None:
        self._store = store
        self._interval_seconds = interval_seconds

    async def run(self) -> None:
        while True:
            try:
                await self._store.trim(KEPT_REVISIONS, REQUIRED_GROUPS)
            except StoreUnavailable as error:
                _log.warning("trim_postponed", error=str(error))
            await asyncio.sleep(self._interval_seconds)
