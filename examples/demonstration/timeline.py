"""What the demo prints: a line an event, who it is about, and when; with colour where there is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape

from demonstration.journal import ToolCall

COLOURS = {
    "agent": "cyan",
    "patient": "green",
    "mailbox": "green",
    "phone": "yellow",
    "tool": "magenta",
    "api": "blue",
}
_WIDEST_NAME = max(map(len, COLOURS))


class Timeline:
    """Prints with the seconds since the call began. A terminal shows what is waited for as well."""

    def __init__(self, console: Console | None = None) -> None:
        # Wide enough for a whole sentence where the output is a file: a log breaks no lines.
        self.console = console or Console(highlight=False, soft_wrap=True)
        self._start = time.time()

    def chapter(self, title: str) -> None:
        """A new call begins."""
        self._start = time.time()
        self.console.print(f"\n[bold]{escape(title)}[/bold]\n")

    def note(self, who: str, what: str, at: float | None = None) -> None:
        """Something that somebody does."""
        self._line(who, f"[dim]{escape(what)}[/dim]", at)

    def speech(self, who: str, text: str, at: float | None = None) -> None:
        """Something that somebody says."""
        self._line(who, f"[bold]“{escape(text)}”[/bold]", at)

    def understood(self, by: str, text: str) -> None:
        """What the other end made of it."""
        ear = f"the {by} understands:"
        words = escape(text) if text else "nothing"
        self.console.print(f"{'':>{_WIDEST_NAME + 14}}[dim]{ear} {words}[/dim]")

    def tool(self, call: ToolCall) -> None:
        """A tool that was called."""
        arguments = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items())
        self._line("tool", f"[bold]{escape(call.name)}[/bold]({escape(arguments)})")

    def failed(self, why: str) -> None:
        """The end of a demo that did not go as it should."""
        self.console.print(f"\n[red]✗[/red] {escape(why)}\n")

    @contextlib.contextmanager
    def waiting(self, what: str, *, in_logs: bool = True) -> Iterator[None]:
        """Show what is waited for while the block runs; in a log, a line says so once."""
        if not self.console.is_terminal:
            if in_logs:
                self.console.print(f"  {escape(what)} …")
            yield
            return
        with self.console.status(f"[dim]{escape(what)} …[/dim]"):
            yield

    def _line(self, who: str, what: str, at: float | None = None) -> None:
        seconds = (time.time() if at is None else at) - self._start
        colour = COLOURS[who]
        name = f"[{colour}]{who:<{_WIDEST_NAME}}[/{colour}]"
        self.console.print(f"  [dim]{seconds:6.2f} s[/dim]  {name}  {what}")
