"""The life of a service process: settings, logs, signals, exit code."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

import structlog

from libs.service_kit.logs import configure_logs
from libs.service_kit.server import TASKS_GRACE_SECONDS, Stopping
from libs.service_kit.settings import EXIT_BAD_CONFIGURATION, Settings
from libs.service_kit.startup import StartupError

_log = structlog.get_logger(__name__)
_Settings = TypeVar("_Settings", bound=Settings)
# What closing the resources may take after the server and its tasks are down.
CLOSE_SECONDS = 2.0


def run(
    service: str, settings_class: type[_Settings], main: Callable[[_Settings, Stopping], Awaitable[None]]
) -> NoReturn:
    """Read the settings, run `main` and exit.

    Exit code 0 after a signal or a normal return, 2 for what the operator must change (one line), 1 for a
    crash (logged). The first SIGTERM or SIGINT sets `Stopping` (and cancels `main` if
    it does not serve yet); the second ends the process at once with 130, and so does a shutdown that
    overruns its time, with 1.
    """
    settings = settings_class.load()
    configure_logs(settings.log_level, settings.log_format, service)
    code = asyncio.run(_run(settings, main))
    sys.exit(code)


async def _run(settings: _Settings, main: Callable[[_Settings, Stopping], Awaitable[None]]) -> int:
    stopping = Stopping()
    loop = asyncio.get_running_loop()
    work = asyncio.ensure_future(main(settings, stopping))

    def overrun() -> None:
        _log.error("shutdown overran its time")
        os._exit(1)

    def on_signal() -> None:
        if stopping.requested:
            os._exit(130)
        stopping.request()
        loop.call_later(settings.shutdown_grace_seconds + TASKS_GRACE_SECONDS + CLOSE_SECONDS, overrun)
        if not stopping.served:
            work.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    try:
        await work
    except asyncio.CancelledError:
        if not stopping.requested:
            raise
    except StartupError as error:
        print(error, file=sys.stderr)
        return EXIT_BAD_CONFIGURATION
    except Exception as error:  # noqa: BLE001  # the process ends here: a log line in the configured form
        _log.critical("the service crashed", exc_info=error)
        return 1
    return 0
