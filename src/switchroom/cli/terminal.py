"""The terminal, or the file or pipe in its place: lines, pages, one line for an error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import NoReturn

from rich.console import Console
from rich.text import Text


def width_of_output() -> int | None:
    """Characters in a line; None where nobody looks at it."""
    console = Console()
    return console.width if console.is_terminal or "COLUMNS" in os.environ else None


def print_lines(lines: Iterable[str]) -> None:
    """Text for people; what the far end of a call may have put into it moves no cursor."""
    for line in lines:
        print("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line))


def print_failure(message: str) -> None:
    """One line on standard error."""
    Console(stderr=True, soft_wrap=True).print(Text.assemble(("error: ", "bold red"), message))


class Page(Console):
    """Standard output for people; raises ``BrokenPipeError`` when nobody reads any more."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def stop_printing() -> None:
    """Whoever read our output has enough: what is still to be written goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
