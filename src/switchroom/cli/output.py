"""What commands print: tables for people, JSON for programs, one line for an error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from google.protobuf import json_format
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """A table on standard output; ``empty`` stands for it when there is nothing to show."""
    listed = list(rows)
    if not listed:
        print(empty)
        return
    table = Table(*columns, header_style="bold")
    for row in listed:
        # As Text, so that brackets in a name are not taken for markup.
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def print_messages(messages: Iterable[Message]) -> None:
    """A JSON array with LiveKit's field names."""
    shown = [
        json_format.MessageToDict(message, preserving_proto_field_name=True) for message in messages
    ]
    print(json.dumps(shown, indent=2))


def print_message(message: Message) -> None:
    """A JSON object with LiveKit's field names."""
    print(
        json.dumps(json_format.MessageToDict(message, preserving_proto_field_name=True), indent=2)
    )


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
