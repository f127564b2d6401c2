"""Why a job is in its state, for a person, with the next step if one is needed. docs/deployer.md lists them all.

The texts hold no time or counter that changes by itself: a reason is recorded, and published, whenever it changes.
"""

from collections.abc import Sequence

from services.deployer.model import RunnerJobId, RunnerPhase, State, Wish

MAX_CAUSE_CHARACTERS = 500

NEW_JOB = "Just applied."
NEW_SPEC = "A new spec was applied: the running incarnation stops after committing what it read."
REPLACEMENT = "Started to replace the incarnation before it."
ANNOUNCE = "Tell older incarnations that a newer one starts."
ANNOUNCED = "Older incarnations are told and fenced."
FENCE = "Fence the transactional ids of every predecessor."
SUBMIT = "Submit the newest incarnation."
SUBMITTED = "Submitted; the runner deploys it."
ADOPTED = "The runner already has this incarnation."
STOP = "Shards are told to commit what they read and end."
ALL_ENDED = "Every shard has ended."
OVERDUE = "The shards did not end in time; cancelling keeps the output exactly once."
CANCEL_WISHED = "The job is to be cancelled at once."
STRAY = "Nothing of this incarnation should run: cancelled."
PREDECESSOR_LIVES = "Waiting for an older incarnation to end on the runner."
FORGOTTEN = "The runner no longer knows the job (a new job manager): started again where its positions are."
HEALTHY = "The job is healthy again."
REPORTS_UNREADABLE = (
    "sluice.reports cannot be read, so nothing is known of the shards: check the sink's cluster."
)
DRAINED = "Drained: everything that was read is committed."
DRAINED_IDLE = "Drained: nothing was running."
CANCELLED = "Cancelled."
LONG_ENDED = "The job ended long ago: its control record is removed."


def asleep(wish: Wish) -> str:
    if wish is Wish.PAUSE:
        return "Paused by the tenant; apply it with paused=false to go on."
    return "Hibernated by the cold starter."


def stop_because(wish: Wish) -> str:
    return {
        Wish.PAUSE: "Paused by the tenant: stopping.",
        Wish.HIBERNATE: "Hibernated by the cold starter: stopping.",
        Wish.DRAIN: "To be drained: stopping.",
        Wish.CANCEL: "To be cancelled: stopping.",
        Wish.RUN: "Stopping.",
    }[wish]


def start_because(state: State) -> str:
    return {
        State.PENDING: "First start.",
        State.STOPPED: "Started again after a sleep.",
        State.BACKOFF: "Started again after a failure.",
    }.get(state, "Started.")


def all_running(shards: int) -> str:
    return "The only shard is running." if shards == 1 else f"All {shards} shards are running."


def waiting_for(shards: Sequence[int], complaint: str) -> str:
    named = ", ".join(map(str, shards[:10])) + (", ..." if len(shards) > 10 else "")
    text = f"On the runner; not running yet: shard{'s' if len(shards) > 1 else ''} {named}."
    return f"{text} {trimmed(complaint)}" if complaint else text


def stalled(shard: int, error: str) -> str:
    return f"Running, but shard {shard} complains: {trimmed(error)}"


def on_its_way(phase: RunnerPhase) -> str:
    if phase is RunnerPhase.ENDING:
        return "The runner is ending the job, though nobody here asked for it."
    return "The runner deploys it."


def restarting(cause: str) -> str:
    return f"The runner restarts it after a failure: {trimmed(cause)}" if cause else "The runner restarts it."


def ended_by_itself(phase: RunnerPhase, cause: str) -> str:
    match phase:
        case RunnerPhase.FAILED:
            return f"Failed: {trimmed(cause) or 'the runner gives no cause'}"
        case RunnerPhase.CANCELLED:
            return "Cancelled on the runner by somebody else; to end a job use DrainJob or CancelJob."
        case RunnerPhase.ABSENT:
            return "The runner no longer knows the job (a new job manager)."
        case _:
            return "Ended on the runner, though nobody asked for it."


def start_refused(message: str) -> str:
    return f"The start was refused: {trimmed(message)}"


def runner_unreachable(error: str) -> str:
    tail = f": {trimmed(error)}" if error else "."
    return f"The runner does not answer, nothing is started or given up meanwhile{tail}"


def control_unavailable(error: str) -> str:
    return f"sluice.control cannot be written or fenced, tried again: {trimmed(error)}"


def foreign(ids: Sequence[RunnerJobId]) -> str:
    return (
        f"Running; the runner also has {', '.join(ids[:3])} under this job's name, which no incarnation explains: "
        "left alone, cancel it by hand if it is a leftover."
    )


def trimmed(text: str) -> str:
    """At most MAX_CAUSE_CHARACTERS, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= MAX_CAUSE_CHARACTERS else line[: MAX_CAUSE_CHARACTERS - 1] + "…"
