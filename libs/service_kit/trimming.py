"""The loop that drops events which everybody has handled."""

import asyncio
from collections.abc import Sequence

import structlog

from libs.store.errors import StoreUnavailable
from libs.store.ports import Store

_log = structlog.get_logger(__name__)


class Trimming:
    """Trims the service's own stream now and then; a store that is away is asked again the next time.

    `required_groups`: the services that act on these events; until each has begun to read, nothing is
    dropped. `keep_revisions` are kept in any case, for those who watch.
    """

    def __init__(
        self,
        store: Store,
        required_groups: Sequence[str] = (),
        *,
        keep_revisions: int = 100_000,
        interval_seconds: float = 300.0,
    ) -> None:
        self._store = store
        self._required_groups = tuple(required_groups)
        self._keep_revisions = keep_revisions
        self._interval_seconds = interval_seconds

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._store.trim(self._keep_revisions, self._required_groups)
            except StoreUnavailable as error:
                _log.warning("trimming postponed", error=str(error))
            await asyncio.sleep(self._interval_seconds)
