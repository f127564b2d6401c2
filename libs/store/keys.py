"""The Redis keys of one service.

All share the hash tag `{service}`, so that on Redis Cluster they live in one slot and one script may touch
them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServiceKeys:
    service: str

    def _key(self, kind: str) -> str:
        return f"sluice:{{{self.service}}}:{kind}"

    @property
    def revision(self) -> str:
        return self._key("revision")

    @property
    def compact_revision(self) -> str:
        return self._key("compact_revision")

    @property
    def records(self) -> str:
        return self._key("records")

    @property
    def names(self) -> str:
        """The same members as `records`, all with score 0: Redis keeps them in the order of their bytes."""
        return self._key("names")

    @property
    def expiries(self) -> str:
        return self._key("expiries")

    @property
    def events(self) -> str:
        return self._key("events")

    def commit(self, commit_id: str) -> str:
        return self._key(f"commit:{commit_id}")

    def dead_letters(self, group: str) -> str:
        """The events of this service that consumer group `group` could not handle."""
        return self._key(f"dead_letters:{group}")
