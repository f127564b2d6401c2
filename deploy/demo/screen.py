"""What the demo prints: plain lines that scroll, aligned, with colour on a terminal only."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TextIO

PLAIN_WIDTH: Final = 120
NARROWEST: Final = 60
INDENT: Final = "  "
TENANT_WIDTH: Final = 9
BOLD, DIM, GREEN, RED, YELLOW = "1", "2", "32", "31", "33"


@dataclass(frozen=True)
class TenantFigures:
    """One line of the table. Rates are per second over the last interval; None is not known yet."""

    tenant: str
    color: str
    events_in: float | None
    rows_out: float | None
    lag: int | None
    delay_ms: float | None
    rows: int


class Screen:
    """Lines for people on `stream`. Nothing is overwritten, so a log file reads like the terminal did."""

    def __init__(
        self,
        stream: TextIO = sys.stdout,
        *,
        environment: Mapping[str, str] = os.environ,
        width: int | None = None,
    ) -> None:
        self._stream = stream
        self.terminal = stream.isatty()
        self._color = self.terminal and "NO_COLOR" not in environment and environment.get("TERM") != "dumb"
        shown = shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns if self.terminal else PLAIN_WIDTH
        self.width = max(NARROWEST, width or shown)

    def paint(self, text: str, *codes: str) -> str:
        """`text` in ANSI colours where the stream shows them."""
        return f"\033[{';'.join(codes)}m{text}\033[0m" if self._color else text

    def line(self, text: str = "", *codes: str) -> None:
        """One line, indented, never longer than the screen."""
        self._write(self.paint(clip(INDENT + text, self.width), *codes) if text else "")

    def title(self, text: str) -> None:
        self._write()
        self._write(self.paint(text, BOLD))

    def section(self, text: str, remark: str = "") -> None:
        self._write()
        room = max(0, self.width - len(text) - 2)
        self._write(self.paint(text, BOLD) + (INDENT + self.paint(clip(remark, room), DIM) if remark else ""))

    def error(self, text: str) -> None:
        """Never clipped: it has to be readable in full."""
        for number, part in enumerate(text.splitlines()):
            self._write(INDENT + (self.paint(part, RED) if number == 0 else part))

    def put(self, text: str) -> None:
        """A line that is painted already, or to be copied: indented, otherwise as it is."""
        self._write(INDENT + text)

    def entry(self, label: str, text: str, *codes: str, label_width: int = TENANT_WIDTH) -> None:
        """A label in colour and the text beside it."""
        room = self.width - len(INDENT) - label_width - 1
        self._write(f"{INDENT}{self.paint(label.ljust(label_width), *codes)} {clip(text, room)}")

    def table(self, clock: str, figures: Sequence[TenantFigures]) -> None:
        """The tenants' figures under one heading."""
        heading = f"{clock:<{TENANT_WIDTH}}{'events in/s':>13}{'rows out/s':>13}{'lag':>10}{'delay':>10}{'rows':>12}"
        self.line(heading, DIM)
        for row in figures:
            delay = "-" if row.delay_ms is None else duration(row.delay_ms)
            cells = f"{number(row.events_in):>13}{number(row.rows_out):>13}{number(row.lag):>10}"
            cells += f"{delay:>10}{number(row.rows):>12}"
            self._write(f"{INDENT}{self.paint(row.tenant.ljust(TENANT_WIDTH), row.color)}{cells}")

    def _write(self, line: str = "") -> None:
        print(line, file=self._stream, flush=True)


def clip(text: str, width: int) -> str:
    """`text` on one line of at most `width` characters."""
    flat = text.replace("\n", " ")
    return flat if len(flat) <= width else flat[: max(0, width - 1)] + "…"


def number(value: float | None) -> str:
    """Whole, with thousands separated; `-` if unknown."""
    return "-" if value is None else f"{value:,.0f}"


def duration(milliseconds: float) -> str:
    return f"{milliseconds:,.0f} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:,.0f} s"
