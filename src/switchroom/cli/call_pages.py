"""Calls laid out for reading: the list, and everything of one. Pure.

What is laid out is the API's answer; times are shown in a given zone, None for that of the machine.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from itertools import pairwise
from typing import Any

from rich.cells import cell_len

from switchroom.telephony.calls.q850 import NAMES

Call = Mapping[str, Any]

#: So many letters of an id tell apart what a server has to do with in weeks.
_SHORT_ID = 9
#: Columns that a sentence gets at least, if it is to stand beside the call.
_NARROWEST_SENTENCE = 40
_GAP = "  "
_DIRECTIONS: Mapping[str, str] = {"outbound": "out", "inbound": "in"}
_LADDER = 46


def call_list(
    calls: Sequence[Call], *, width: int | None, today: datetime, zone: tzinfo | None = None
) -> list[str]:
    """A line for each call, and how it ended beside or below it; `width` None is endless."""
    ids = _short_ids(calls)
    rows = [
        (
            _moment(call["created_at"], today, zone),
            ids[call["call_id"]],
            _DIRECTIONS.get(call["direction"], "?"),
            f"{call['from_number'] or '?'} → {call['to_number'] or '?'}",
            _clock(call["seconds"]),
        )
        for call in calls
    ]
    titles = ("When", "Call", "Dir", "From → To", "Length")
    widths = [max(map(cell_len, column)) for column in zip(titles, *rows, strict=True)]
    used = sum(widths) + len(_GAP) * len(widths)
    below = width is not None and width - used < _NARROWEST_SENTENCE
    lines = [_aligned(titles, widths) + ("" if below else f"{_GAP}How it ended")]
    for call, row in zip(calls, rows, strict=True):
        line, sentence = _aligned(row, widths), outcome(call)
        if below:
            lines += [line, *_folded(sentence, width, widths[0] + len(_GAP))]
        else:
            first, *others = _folded(sentence, width, used)
            lines += [line + first[used - len(_GAP) :], *others]
    return lines


def outcome(call: Call) -> str:
    """How the call ended, in a sentence; of one that runs, how far it has come."""
    ending = call["termination"]
    if ending is not None:
        return str(ending["sentence"])
    return f"Still {call['path'][-1]['status']}." if call["path"] else "It has just begun."


def call_page(call: Call, zone: tzinfo | None = None) -> list[str]:
    """Everything of one call but its SIP messages; the first line says how it ended."""
    facts = [fact for fact in _facts(call, zone) if fact[1]]
    width = max(len(name) for name, _ in facts)
    page = [outcome(call), "", *(f"{name:<{width}}  {value}" for name, value in facts)]
    page += ["", "How it went", *_path(call, zone)]
    if call["media"] is not None or call["codec"]:
        page += ["", "Sound", *_sound(call)]
    if call["transfers"]:
        page += ["", "Transfers", *(_transfer(one, zone) for one in call["transfers"])]
    return page


def ladder_page(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """The messages as arrows from us and to us, with the seconds since the first."""
    peers = list(dict.fromkeys(message["remote"] for message in messages))
    began = _read(messages[0]["at"])
    title = f"{'us':<{_LADDER // 2}}{peers[0]:>{_LADDER - _LADDER // 2}}"
    lines = [f"{_GAP}{'':10}{title}"]
    for message in messages:
        after = (_read(message["at"]) - began).total_seconds()
        other = f"{_GAP}{message['remote']}" if message["remote"] != peers[0] else ""
        lines.append(f"{_GAP}{after:>+8.3f}  {_arrow(message)}{other}")
    return lines


def message_pages(messages: Sequence[Mapping[str, Any]], zone: tzinfo | None = None) -> list[str]:
    """Each message in full, as far as it may be told."""
    lines: list[str] = []
    for message in messages:
        way = "to" if message["direction"] == "out" else "from"
        at = _read(message["at"]).astimezone(zone)
        text = (message["text"] or message["what"]).rstrip("\n")
        lines += ["", f"{at:%H:%M:%S.%f}  {way} {message['remote']} ({message['transport']})"]
        lines += [f"{_GAP}| {line}".rstrip() for line in text.split("\n")]
    return lines


def _short_ids(calls: Sequence[Call]) -> dict[str, str]:
    """As much of each id as tells it from the others here, and likely from all."""
    ids = sorted(call["call_id"] for call in calls)
    length = _SHORT_ID
    while any(one[:length] == next_[:length] for one, next_ in pairwise(ids) if one != next_):
        length += 1
    return {one: one[:length] for one in ids}


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)
    ]
    padded[-1] = cells[-1].rjust(widths[-1])
    return _GAP.join(padded)


def _folded(sentence: str, width: int | None, margin: int) -> list[str]:
    """The sentence in lines of that width, each after a margin."""
    if width is None:
        return [" " * margin + sentence]
    gap = " " * margin
    return textwrap.wrap(sentence, width, initial_indent=gap, subsequent_indent=gap) or [""]


def _facts(call: Call, zone: tzinfo | None) -> Iterator[tuple[str, str]]:
    begun = _read(call["created_at"]).astimezone(zone)
    yield "Call", f"{call['call_id']}, {call['direction']}, {begun:%Y-%m-%d %H:%M:%S}"
    hidden = " (hidden)" if call["hides_numbers"] else ""
    yield "From", f"{call['from_number'] or 'unknown'}{hidden}"
    yield "To", f"{call['to_number'] or 'unknown'}{hidden}"
    yield "Trunk", " at ".join(filter(None, (call["trunk_id"], call["trunk_address"])))
    yield "Rule", call["rule_id"]
    room, identity = call["room_name"], call["participant_identity"]
    yield "Room", f"{room}, as {identity}" if room and identity else room
    ending = call["termination"]
    if ending is not None:
        yield "Ended by", f"{ending['ended_by']} ({ending['cause']}, {ending['result']})"
        yield "SIP", _sip_words(ending)
    yield "Call-ID", call["sip_call_id"]
    yield "Far end", call["remote_address"]


def _sip_words(ending: Mapping[str, Any]) -> str:
    said = []
    if ending["sip_status"] is not None:
        said.append(f"{ending['sip_status']} {ending['sip_reason']}".strip())
    if ending["q850_cause"] is not None:
        cause = ending["q850_cause"]
        said.append(" ".join(filter(None, (f"Q.850 {cause}", NAMES.get(cause, "")))))
    return ", ".join(said)


def _path(call: Call, zone: tzinfo | None) -> list[str]:
    """What it came to, when, and how long that was so."""
    steps = [(call["created_at"], "begun"), (call["answered_at"], "answered")]
    steps += [(one["at"], one["status"]) for one in call["path"]]
    steps.append((call["ended_at"], "ended"))
    times = [(_read(at), what) for at, what in steps if at is not None]
    times.sort(key=lambda step: step[0])
    lines = []
    for (at, what), following in zip(times, [*times[1:], None], strict=True):
        lasted = "" if following is None else _lasted((following[0] - at).total_seconds())
        lines.append(f"{_GAP}{_milliseconds(at, zone)}  {what:<10}  {lasted}".rstrip())
    return lines


def _sound(call: Call) -> list[str]:
    codec = call["codec"] or "no codec"
    secrecy = call["encryption"] or "not encrypted"
    length = "" if call["seconds"] is None else f", {_lasted(call['seconds'])}"
    media = call["media"]
    if media is None:
        return [f"{_GAP}{codec}, {secrecy}{length}"]
    from_phone = [_packets(media["packets_in"], media["packets_in"], media["lost_in"])]
    from_phone.append(f"jitter {media['jitter_in_ms']} ms")
    if media["concealed_ms"]:
        from_phone.append(f"{media['concealed_ms']} ms made up")
    if media["lost_out"] is None:
        to_phone = [f"{media['packets_out']:,} packets", "no report of losses"]
    else:
        arrived = media["packets_out"] - media["lost_out"]
        to_phone = [_packets(media["packets_out"], arrived, media["lost_out"])]
    if media["jitter_out_ms"] is not None:
        to_phone.append(f"jitter {media['jitter_out_ms']} ms")
    if media["round_trip_ms"] is not None:
        to_phone.append(f"round trip {media['round_trip_ms']} ms")
    return [
        f"{_GAP}{codec}, {secrecy}{length}",
        f"{_GAP}from the phone  {', '.join(from_phone)}",
        f"{_GAP}to the phone    {', '.join(to_phone)}",
    ]


def _packets(told: int, arrived: int, lost: int) -> str:
    share = 100 * lost / max(1, arrived + lost)
    return f"{told:,} packets, {lost:,} lost ({share:.1f} %)"


def _transfer(transfer: Mapping[str, Any], zone: tzinfo | None) -> str:
    line = f"{_GAP}{_milliseconds(_read(transfer['initiated_at']), zone)}"
    line += f"  to {transfer['transfer_to'] or 'a hidden number'}: {transfer['status']}"
    if transfer["reason"] != "unspecified":
        line += f" ({transfer['reason'].replace('_', ' ')})"
    if transfer["sip_status"] is not None:
        line += f", SIP {transfer['sip_status']} {transfer['sip_reason']}".rstrip()
    if transfer["completed_at"] is not None:
        took = _read(transfer["completed_at"]) - _read(transfer["initiated_at"])
        line += f", after {_lasted(took.total_seconds())}"
    return line


def _arrow(message: Mapping[str, Any]) -> str:
    what = message["what"][: _LADDER - 6]
    if message["direction"] == "out":
        return f"{what} ".ljust(_LADDER - 1, "─") + "▶"
    return "◀" + f" {what}".rjust(_LADDER - 1, "─")


def _read(told: str) -> datetime:
    return datetime.fromisoformat(told)


def _moment(told: str, today: datetime, zone: tzinfo | None) -> str:
    at = _read(told).astimezone(zone)
    same_day = at.date() == today.astimezone(zone).date()
    return f"{at:%H:%M:%S}" if same_day else f"{at:%Y-%m-%d %H:%M:%S}"


def _milliseconds(at: datetime, zone: tzinfo | None) -> str:
    return at.astimezone(zone).isoformat(timespec="milliseconds")[11:23]


def _clock(seconds: float | None) -> str:
    """``1:02``; a dash for what was never answered."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _lasted(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{_clock(seconds)} {'min' if seconds < 3600 else 'h'}"
