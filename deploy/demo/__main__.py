"""`python -m deploy.demo`: brings up a stack of its own, shows the main job, and leaves nothing behind.

Exit code 0: every tenant got rows. 1: one did not. 2: the demo cannot run here. 130: interrupted before it ran.
"""

import contextlib
import dataclasses
import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

import grpc
from confluent_kafka import KafkaException

from deploy.demo.run import Demo, DemoFailed, load_events, show_where_to_look
from deploy.demo.scenario import TENANTS
from deploy.demo.schemas import Event
from deploy.demo.screen import Screen
from deploy.demo.setup import ControlPlane
from deploy.demo.zeek import EventsUnavailable
from deploy.local import LocalStack, Settings, StackError
from deploy.local.parts import PARTS
from deploy.local.ports import DEFAULT_PORTS, is_free
from deploy.local.settings import settings_from_environment

EXIT_NO_ROWS = 1
EXIT_CANNOT = 2
EXIT_INTERRUPTED = 130
SECONDS_WITHOUT_TERMINAL = 20.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Everything a stack writes into its state folder; the logs of the last demo stay readable until the next.
STATE_FOLDERS = ("config", "data", "tmp", "run", "logs")
KEPT_AFTERWARDS = ("logs",)


def demo_seconds(environment: Mapping[str, str], terminal: bool) -> float | None:
    """How long live rows are shown: DEMO_SECONDS; without it for ever on a terminal, else 20 s.

    Raises StackError for what is no positive number.
    """
    text = environment.get("DEMO_SECONDS", "")
    if not text:
        return None if terminal else SECONDS_WITHOUT_TERMINAL
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise StackError(f"DEMO_SECONDS is {text!r}: it must be a number of seconds above 0.")
    return seconds


def demo_settings(environment: Mapping[str, str]) -> Settings:
    """The stack of the demo: the usual ports and jars, but a state folder of its own within the usual one."""
    usual = settings_from_environment(environment)
    return dataclasses.replace(usual, state_dir=usual.state_dir / "demo")


def require_free_ports(settings: Settings) -> None:
    """Raises StackError naming every port that another program holds, before anything is started."""
    taken = [settings.ports[name] for name in DEFAULT_PORTS if not is_free(settings.ports[name])]
    if taken:
        raise StackError(
            f"Ports in use by another program: {', '.join(map(str, taken))}.\n"
            "If that is the stack of `make up`, stop it with `make down`;\n"
            "or give the demo other ports: SLUICE_PORT_BASE=100 make demo (100 is added to every port)."
        )


@contextlib.contextmanager
def only_demo(state_dir: Path) -> Iterator[None]:
    """Raises StackError while another demo uses the same folder: it would be stopped by this one."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with open(state_dir / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StackError(
                "Another demo is running: stop it first, or set SLUICE_STATE_DIR and SLUICE_PORT_BASE for a second."
            ) from error
        yield


def interrupt_once(number: int, frame: FrameType | None) -> None:
    """The first signal ends the demo; further ones must not disturb the stopping."""
    ignore_signals()
    raise KeyboardInterrupt


def ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def run(screen: Screen, settings: Settings, seconds: float | None) -> int:
    screen.title("Sluice demo: three tenants, real network events, one SQL statement each")
    stack = LocalStack(settings, PARTS, screen.line)
    began = time.monotonic()
    with only_demo(settings.state_dir):
        try:
            stack.down()
            remove(settings, STATE_FOLDERS)
            require_free_ports(settings)
            events = load_events(screen, settings.state_dir.parent / "downloads")
            screen.section(
                "2  Stack", "Kafka, Redis, Flink, Beam workers and the five services, on this machine"
            )
            stack.up()
            with ControlPlane(settings.ports) as control_plane:
                show(screen, stack, control_plane, events, seconds)
            screen.line(f"Demo time: {time.monotonic() - began:.0f} s.")
            return 0
        finally:
            ignore_signals()
            screen.line()
            screen.line("Stopping all processes.")
            stack.down()
            remove(settings, tuple(name for name in STATE_FOLDERS if name not in KEPT_AFTERWARDS))
            screen.line(f"Nothing is left running. Logs: {settings.logs_dir}")


def show(
    screen: Screen,
    stack: LocalStack,
    control_plane: ControlPlane,
    events: Mapping[str, Sequence[Event]],
    seconds: float | None,
) -> None:
    demo = Demo(screen, stack, control_plane)
    feed = demo.load(events)
    try:
        demo.subscribe()
        with contextlib.closing(demo.reader()) as reader:
            demo.await_first_rows(reader)
            show_where_to_look(screen, stack.settings, TENANTS[0].subscription, demo.job_of(TENANTS[0].id))
            demo.live(reader, feed, seconds)
            demo.conclude(reader)
    finally:
        feed.stop()


def remove(settings: Settings, folders: tuple[str, ...]) -> None:
    for name in folders:
        shutil.rmtree(settings.state_dir / name, ignore_errors=True)


def main() -> int:
    screen = Screen()
    for number in SIGNALS:
        signal.signal(number, interrupt_once)
    try:
        seconds = demo_seconds(os.environ, screen.terminal)
        return run(screen, demo_settings(os.environ), seconds)
    except DemoFailed as error:
        screen.error(str(error))
        return EXIT_NO_ROWS
    except grpc.RpcError as error:
        described = f"{error.code().name}: {error.details()}" if isinstance(error, grpc.Call) else str(error)
        screen.error(f"A service refused or did not answer ({described}).")
        return EXIT_NO_ROWS
    except KafkaException as error:
        screen.error(f"Kafka refused or did not answer ({error.args[0]}).")
        return EXIT_NO_ROWS
    except (StackError, EventsUnavailable) as error:
        screen.error(str(error))
        return EXIT_CANNOT
    except KeyboardInterrupt:
        screen.line("Interrupted.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Nobody reads any more, for example `make demo | head`: let the interpreter's last flush go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
