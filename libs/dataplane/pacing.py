"""When a shard commits, refreshes positions, and how long it waits after a loss. Pure: `now` comes in."""

from dataclasses import dataclass

# Commits may take this share of the time: it stretches the interval between them under load.
COMMIT_SHARE = 0.05
DAY_S = 86_400.0


@dataclass(slots=True)
class CommitPace:
    """The interval between commits: the shortest when they are quick, longer the longer they take."""

    shortest_s: float
    longest_s: float
    due_at: float = 0.0
    interval_s: float = 0.0

    def committed(self, now: float, took_s: float) -> None:
        """A commit (or the look that found nothing to commit) ended `now` and took this long."""
        longest = max(self.shortest_s, self.longest_s)
        self.interval_s = min(max(took_s / COMMIT_SHARE, self.shortest_s), longest)
        self.due_at = now + self.interval_s


@dataclass(slots=True)
class Backoff:
    """How long to wait before claiming again: nothing after a single loss, longer when they repeat.

    Two processes that run the same shard would otherwise fence each other as fast as they can, and a message that the
    brokers refuse would be written and aborted without end.
    """

    first_s: float = 0.5
    longest_s: float = 30.0
    # A shard that ran for so long since it claimed starts from nothing again.
    well_after_s: float = 60.0
    losses: int = 0
    claimed_at: float = 0.0

    def claimed(self, now: float) -> None:
        self.claimed_at = now

    def lost(self, now: float) -> float:
        """The pause in seconds after a loss at `now`."""
        self.losses = 1 if now - self.claimed_at >= self.well_after_s else self.losses + 1
        return (
            0.0 if self.losses == 1 else min(self.longest_s, self.first_s * 2.0 ** min(self.losses - 2, 10))
        )


def refresh_interval_s(offsets_retention_s: float) -> float:
    """How often all positions are committed, so that none expires: daily, or four times in a short retention."""
    return min(DAY_S, offsets_retention_s / 4)
