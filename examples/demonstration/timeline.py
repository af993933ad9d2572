"""What the demo prints: a line an event, who it is about, and when; with colour where there is."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from demonstration.journal import ToolCall

COLOURS = {
    "agent": "cyan",
    "patient": "green",
    "mailbox": "green",
    "phone": "yellow",
    "tool": "magenta",
    "api": "blue",
}
_WIDTH_OF_NAMES = max(map(len, COLOURS))
_WIDTH_OF_LOGS = 300
"""Characters in a line that goes to a file: enough for every sentence, so that none is broken."""


class Timeline:
    """Prints with the seconds since the call began. A terminal shows what is waited for as well."""

    def __init__(self) -> None:
        width = None if sys.stdout.isatty() else _WIDTH_OF_LOGS
        self.console = Console(highlight=False, width=width)
        self._start = time.time()

    def chapter(self, title: str) -> None:
        """A new call begins."""
        self._start = time.time()
        self.console.print(Text(f"\n{title}\n", style="bold"))

    def note(self, who: str, what: str, at: float | None = None) -> None:
        """Something that somebody does."""
        self._line(who, Text(what, style="dim"), at)

    def speech(self, who: str, text: str, at: float | None = None) -> None:
        """Something that somebody says."""
        self._line(who, Text(f"“{text}”", style="bold"), at)

    def understood(self, by: str, text: str) -> None:
        """What the other end made of it."""
        self._row("", Text(), Text(f"↳ the {by} understands: {text or 'nothing'}", style="dim"))

    def tool(self, call: ToolCall) -> None:
        """A tool that was called."""
        arguments = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items())
        self._line("tool", Text.assemble((call.name, "bold"), f"({arguments})"), None)

    def check(self, what: str, found: str, *, good: bool) -> None:
        """Whether something was as it should be."""
        mark = Text("✓", style="green") if good else Text("✗", style="red")
        found = f"  {found}" if found else ""
        self.console.print(Text.assemble("  ", mark, " ", what, (found, "dim")))

    def failed(self, why: str) -> None:
        """The end of a demo that did not go as it should."""
        self.console.print(Text.assemble("\n", ("✗", "red"), f" {why}\n"))

    @contextlib.contextmanager
    def waiting(self, what: str, *, in_logs: bool = True) -> Iterator[None]:
        """Show what is waited for while the block runs; in a log, a line says so once."""
        if not self.console.is_terminal:
            if in_logs:
                self.console.print(Text(f"  {what} …", style="dim"))
            yield
            return
        with self.console.status(Text(f"{what} …", style="dim")):
            yield

    def _line(self, who: str, what: Text, at: float | None) -> None:
        seconds = (time.time() if at is None else at) - self._start
        self._row(f"{seconds:.2f} s", Text(who, style=COLOURS[who]), what)

    def _row(self, when: str, who: Text, what: Text) -> None:
        """In columns, so that a long sentence goes on below its own beginning."""
        row = Table.grid(padding=(0, 2))
        row.add_column(width=10, justify="right")
        row.add_column(width=_WIDTH_OF_NAMES)
        row.add_column(overflow="fold")
        row.add_row(Text(when, style="dim"), who, what)
        self.console.print(row)
