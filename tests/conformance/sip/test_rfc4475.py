"""The SIP torture messages of RFC 4475, each with its named outcome.

``data`` is what an endpoint hears on a UDP port with calls admitted; the outcome is what it does:
``call`` (the INVITE is taken), a status (answered so, statelessly), ``drop`` (silence).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from switchroom.sip.digest_server import DigestServer, Verdict
from switchroom.sip.invite_session import IncomingInvite
from switchroom.sip.message import Request, Response, parse_message
from unit.sip.wire import Agent

FILES = Path(__file__).parent / "rfc4475"

VALID = {
    "wsinv": "481",  # it has a To tag, of a dialog we do not know
    "esc01": "call",
    "longreq": "call",
    # A method that is valid but unheard of.
    "intmeth": "501",
    # %-escapes do not make the method REGISTER.
    "esc02": "501",
    # We are no registrar and no message store, and say so.
    "escnull": "405",
    "dblreq": "405",
    "mpart01": "405",
    "lwsdisp": "200",
    "semiuri": "200",
    "transports": "200",
    # Responses to nobody's request.
    "unreason": "drop",
    "noreason": "drop",
}

INVALID = {
    "badinv01": "400",
    "clerr": "400",
    "ncl": "400",
    "scalar02": "400",
    "quotbal": "400",
    "ltgtruri": "400",
    "lwsruri": "400",
    "lwsstart": "400",
    "trws": "400",
    "escruri": "400",
    "regbadct": "400",
    "badaspec": "400",
    "mismatch01": "400",
    "mismatch02": "400",
    "multi01": "400",
    "mcl01": "400",
    "insuf": "400",
    "test": "drop",  # no Via, so no way back
    "scalarlg": "drop",
    "bigcode": "drop",
    "bcast": "drop",
    "badvers": "505",
    "unkscm": "416",
    "novelsc": "416",
    "bext01": "420",
    "invut": "415",
    # Taken liberally, as the RFC allows.
    "baddate": "call",  # Date is not used
    "baddn": "200",
    "badbranch": "200",
    "inv2543": "400",  # see test_a_caller_of_rfc_2543_needs_a_contact
    "zeromf": "200",  # Max-Forwards concerns proxies
    "sdp01": "call",  # the body is the application's, which answers 488
    # Registrar semantics; we are none.
    "regaut01": "405",
    "unksm2": "405",
    "cparam01": "405",
    "cparam02": "405",
    "regescrt": "405",
}

CASES = [("valid", name, outcome) for name, outcome in VALID.items()] + [
    ("invalid", name, outcome) for name, outcome in INVALID.items()
]


def torture(folder: str, name: str) -> bytes:
    return (FILES / folder / f"{name}.dat").read_bytes()


def hear(data: bytes) -> Agent:
    agent = Agent()
    agent.endpoint.admit_with(lambda _request, _flow: None)
    agent.hear(data)
    return agent


def outcome_of(agent: Agent) -> str:
    events, sent = agent.events(), agent.sent()
    if events:
        assert isinstance(events[0], IncomingInvite)
        return "call"
    if not sent:
        return "drop"
    (response,) = sent
    assert isinstance(response, Response)
    return str(response.status)


@pytest.mark.parametrize(("folder", "name", "outcome"), CASES)
def test_each_torture_message_has_its_outcome(folder: str, name: str, outcome: str) -> None:
    assert outcome_of(hear(torture(folder, name))) == outcome


def test_no_message_of_the_collection_is_left_out() -> None:
    files = {(path.parent.name, path.stem) for path in FILES.glob("*/*.dat")}
    assert files == {(folder, name) for folder, name, _ in CASES}
    assert len(files) == 50


def test_folded_and_oddly_spaced_headers_are_read() -> None:
    request = parse_message(torture("valid", "wsinv"))
    assert request.cseq.number == 9
    assert request.to_tag == "1918181833n"
    assert request.from_.display == 'J Rosenberg \\"'
    assert [via.split(";")[0].split()[-1] for via in request.headers.values("Via")] == [
        "192.0.2.2",
        "spindle.example.com",
        "192.168.255.111",
    ]
    assert request.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    contact = request.contact
    assert contact is not None
    assert contact.display == 'Quoted string ""'


def test_escapes_are_kept_and_undone_where_the_meaning_is_asked_for() -> None:
    (event,) = hear(torture("valid", "esc01")).events()
    assert isinstance(event, IncomingInvite)
    assert event.request.uri.user == "sips%3Auser%40example.com"
    assert event.request.uri.number == "sips:user@example.com"
    assert event.request.to.uri.number == "user"
    nul = parse_message(torture("valid", "escnull"))
    assert nul.to.uri.number == "null-\x00-null"


def test_a_semicolon_in_the_user_part_is_no_parameter() -> None:
    request = parse_message(torture("valid", "semiuri"))
    assert isinstance(request, Request)
    assert request.uri.user == "user;par=u%40example.net"
    assert request.uri.host == "example.com"
    assert request.uri.params == ()


def test_what_follows_the_content_length_is_ignored() -> None:
    request = parse_message(torture("valid", "dblreq"))
    assert request.body == b""


def test_unusual_reasons_are_kept() -> None:
    response = parse_message(torture("valid", "unreason"))
    assert isinstance(response, Response)
    assert response.reason.startswith("= 2**3 * 5**2 но сто")
    empty = parse_message(torture("valid", "noreason"))
    assert isinstance(empty, Response)
    assert empty.reason == ""


def test_unknown_extensions_are_named() -> None:
    response = hear(torture("invalid", "bext01")).sent_response(420)
    named = response.headers.get("Unsupported")
    assert named == "nothingSupportsThis, nothingSupportsThisEither"


def test_an_unknown_login_scheme_is_challenged_afresh() -> None:
    request = parse_message(torture("invalid", "regaut01"))
    assert isinstance(request, Request)
    login = DigestServer(b"secret")
    assert login.verify(request, "x", "r", lambda _user: "pw", 0.0) is Verdict.MISSING


def test_a_bare_cookie_is_no_branch() -> None:
    agent = Agent()
    agent.endpoint.admit_with(lambda _request, _flow: None)
    data = torture("invalid", "badbranch").replace(b"OPTIONS", b"INVITE")
    data = data.replace(b"l: 0", b"Contact: <sip:a@192.0.2.1>\r\nl: 0")
    agent.hear(data)
    agent.hear(data.replace(b"badbranch.", b"another."))
    assert len(agent.events()) == 2


def test_a_caller_of_rfc_2543_needs_a_contact() -> None:
    """Its INVITE is taken for what it is; without a Contact nobody could send it a BYE."""
    data = torture("invalid", "inv2543")
    assert hear(data).sent_response(400).reason == "Bad Request (missing Contact)"
    data = data.replace(b"CSeq", b"Contact: <sip:+13035551111@ift.client.example.net>\r\nCSeq")
    (event,) = hear(data).events()
    assert isinstance(event, IncomingInvite)
    assert event.request.from_tag is None
