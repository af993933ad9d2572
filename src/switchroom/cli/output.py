"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .terminal import width_of_output

#: Words up to this long are never broken: identifiers and numbers are there to be copied.
_LONGEST_WHOLE_WORD = 20


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """A table on standard output; ``empty`` stands for it when there is nothing to show.

    Columns without a single entry are left out. Nothing is cropped: long text is folded, and what
    goes into a pipe or a file is as wide as it is.
    """
    listed = list(rows)
    if not listed:
        print(empty)
        return
    shown = [place for place in range(len(columns)) if any(row[place] for row in listed)]
    cells = [[columns[place], *(row[place] for row in listed)] for place in shown]
    widths = _widths(cells, width_of_output())
    table = Table(header_style="bold")
    for place, width in zip(shown, widths, strict=True):
        table.add_column(columns[place], overflow="fold", width=width)
    for row in listed:
        # As Text, so that brackets in a name are not taken for markup.
        table.add_row(*(Text(row[place]) for place in shown))
    Console(width=_framed(widths)).print(table)


def _widths(columns: Sequence[Sequence[str]], limit: int | None) -> list[int]:
    """As wide as the longest cell where there is room, else never less than the longest word."""
    natural = [max(cell_len(cell) for cell in cells) for cells in columns]
    if limit is None:
        return natural
    widths = [max(_longest_word(cell) for cell in cells) for cells in columns]
    spare = max(0, limit - _framed(widths))
    # The narrow ones first: what is nearly whole becomes whole, and the longest text is folded.
    for place in sorted(range(len(widths)), key=lambda place: natural[place]):
        more = min(natural[place] - widths[place], spare)
        widths[place] += more
        spare -= more
    return widths


def _framed(widths: Sequence[int]) -> int:
    return sum(widths) + 3 * len(widths) + 1


def _longest_word(text: str) -> int:
    """Of those that are kept whole; at least one character."""
    lengths = (cell_len(word) for word in text.split())
    return max((length for length in lengths if length <= _LONGEST_WHOLE_WORD), default=1)


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


def print_answers(answers: Sequence[Message]) -> None:
    """As JSON: one thing as an object, several files' answers as an array."""
    if len(answers) == 1:
        print_message(answers[0])
    else:
        print_messages(answers)


def print_done(answer: Message, sentence: str, *, as_json: bool) -> None:
    """What has been done: the server's answer for programs, a sentence for people."""
    if as_json:
        print_message(answer)
    else:
        print(sentence)


def print_json(value: Any) -> None:
    """What the server answered, as it came."""
    print(json.dumps(value, indent=2))
