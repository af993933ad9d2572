"""What a caller is called in a room, and the room that a rule makes for one. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from switchroom.base.records import record
from switchroom.telephony.routing.dispatch_rules import (
    CalleeRoom,
    DirectRoom,
    DispatchRule,
    IndividualRoom,
)
from switchroom.telephony.routing.incoming_call import IncomingCall

#: A caller without a number, as RFC 3323 section 4.1 names one.
ANONYMOUS = "anonymous"
#: Bytes of a user part that are used: identities and room names end at 256.
_LONGEST_USER = 160
_LONGEST_ROOM = 256
_SHOWN_DIGITS = 4
_HASHED_BYTES = 8


@record
class CallerName:
    """``identity`` and ``name`` in the room; ``in_room_name`` is what names of rooms tell."""

    identity: str
    name: str
    in_room_name: str


def name_caller(caller: str, *, hide: bool, is_shared_room: bool = False) -> CallerName:
    """LiveKit's names for the user of From, whatever it may hold.

    With `hide`, the identity is a hash (the same at each call of one number) and the name shows the
    last digits. `is_shared_room` says that one room holds all calls of a caller: there the hash
    stands in the room's name too, since two numbers can end alike.
    """
    user = _fit(caller, _LONGEST_USER) or ANONYMOUS
    if not hide:
        return CallerName(f"sip_{user}", f"Phone {user}", user)
    hashed = hashlib.sha256(user.encode()).digest()[:_HASHED_BYTES].hex()
    tail = user[-_SHOWN_DIGITS:] if len(user) > _SHOWN_DIGITS else user[-1:]
    return CallerName(f"sip_{hashed}", f"Phone {tail}", hashed if is_shared_room else tail)


def name_room(rule: DispatchRule, call: IncomingCall, random: str) -> str:
    """The room that `rule` leads `call` to; `random` keeps rooms of one number apart."""
    match rule.room:
        case DirectRoom(room_name=name):
            return name
        case IndividualRoom(room_prefix=prefix, no_randomness=plain):
            caller = name_caller(call.caller, hide=rule.hide_phone_number, is_shared_room=plain)
            return _joined(prefix, caller.in_room_name, "" if plain else random)
        case CalleeRoom(room_prefix=prefix, randomize=unique):
            called = _fit(call.called, _LONGEST_USER) or ANONYMOUS
            return _joined(prefix, called, random if unique else "")
        case None:
            raise ValueError("a rule that was not checked")


def free_identity(wanted: str, is_taken: Callable[[str], bool]) -> str:
    """`wanted`, or with a count behind it: who calls twice must not throw himself out."""
    identity, count = wanted, 1
    while is_taken(identity):
        count += 1
        identity = f"{wanted}_{count}"
    return identity


def _joined(*parts: str) -> str:
    given = [part for part in parts if part]
    name = "_".join(given)
    # Of an endless prefix the beginning is kept; what tells calls apart stays whole.
    spare = _LONGEST_ROOM - (len(name.encode()) - len(given[0].encode()))
    return "_".join((_fit(given[0], spare), *given[1:]))


def _fit(text: str, longest: int) -> str:
    """Without what nobody can read, and within `longest` bytes of UTF-8."""
    readable = "".join(char for char in text[:longest] if char.isprintable())
    return readable.encode("utf-8", "ignore")[:longest].decode("utf-8", "ignore")
