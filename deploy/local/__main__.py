"""`python -m deploy.local resolve|up|down|status|restart`: the stack for people."""

import argparse
import dataclasses
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from deploy.local.errors import StackError
from deploy.local.jars import ensure_jars
from deploy.local.parts import PARTS
from deploy.local.settings import Settings, settings_from_environment
from deploy.local.stack import LocalStack

EXIT_CANNOT = 2
JAR_SETS = ("kafka", "flink")
EXIT_INTERRUPTED = 130
ENVIRONMENT = (
    "Environment: SLUICE_STATE_DIR (default .local), SLUICE_PORT_BASE (added to every port, default 0), "
    f"SLUICE_JARS_DIR, JAVA_HOME. Parts: {', '.join(PARTS)}."
)


def say(line: str) -> None:
    print(line, flush=True)


def chosen_parts(only: str | None) -> tuple[str, ...]:
    return PARTS if only is None else tuple(part.strip() for part in only.split(",") if part.strip())


def up(stack: LocalStack) -> int:
    began = time.monotonic()
    stack.up()
    say(f"up in {time.monotonic() - began:.1f} s; logs in {stack.settings.logs_dir}")
    return 0


def status(stack: LocalStack) -> int:
    rows = stack.status()
    for row in rows:
        pid = "-" if row.pid is None else str(row.pid)
        say(f"{row.name:<16} {row.state:<10} {pid:>8}  {row.address:<28} {row.log}")
    return 0 if all(row.state == "healthy" for row in rows) else 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.local", description="The local stack of Sluice.", epilog=ENVIRONMENT
    )
    parser.add_argument("command", choices=("resolve", "up", "down", "status", "restart"))
    parser.add_argument("--only", metavar="PARTS", help="comma-separated; default: everything")
    parser.add_argument(
        "--preload", metavar="MODULE", action="append", default=[], help="for the worker pool"
    )
    parsed = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        settings: Settings = settings_from_environment()
        if parsed.preload:
            settings = dataclasses.replace(settings, worker_modules=tuple(parsed.preload))
        if parsed.command == "resolve":
            for jar_set in JAR_SETS:
                ensure_jars(jar_set, settings.jars_dir, say)
            return 0
        stack = LocalStack(settings, chosen_parts(parsed.only), say)
        if parsed.command in ("down", "restart"):
            stack.down()
        if parsed.command in ("up", "restart"):
            return up(stack)
        return status(stack) if parsed.command == "status" else 0
    except StackError as error:
        print(error, file=sys.stderr)
        return EXIT_CANNOT
    except KeyboardInterrupt:
        print("Interrupted: what this command had started is stopped again.", file=sys.stderr)
        return EXIT_INTERRUPTED


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
