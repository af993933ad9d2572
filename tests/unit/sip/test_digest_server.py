"""Asking callers to log in, and checking what they answer."""

from __future__ import annotations

import pytest

from switchroom.sip.digest import (
    Credentials,
    DigestClient,
    digest_response,
    parse_challenges,
)
from switchroom.sip.digest_server import DigestServer, Verdict
from switchroom.sip.message import Request, Response
from switchroom.sip.sanity import Refusal

MUFASA = Credentials("Mufasa", "Circle of Life")
HERE = "1.2.3.4"
PASSWORDS = {"Mufasa": "Circle of Life"}


def server(**options: object) -> DigestServer:
    return DigestServer(b"secret", lifetime=60, **options)  # type: ignore[arg-type]


def answered(
    refusal: Refusal,
    *,
    credentials: Credentials = MUFASA,
    uri: str = "sip:a@b",
    edit: tuple[str, str] = ("", ""),
) -> tuple[DigestClient, Request]:
    """A client that was challenged so, and its next request."""
    headers = [(name, value.replace(*edit)) for name, value in refusal.headers]
    login = DigestClient(credentials, lambda: "cnonce")
    login.login().challenged(Response(refusal.status, "x", headers))
    return login, Request("INVITE", uri, login.authorise("INVITE", uri))


def verdict(
    of: DigestServer, request: Request, *, at: float = 1.0, source: str = HERE, realm: str = "us"
) -> Verdict:
    return of.verify(request, source, realm, PASSWORDS.get, at)


@pytest.mark.parametrize("status", [401, 407])
def test_who_is_not_logged_in_is_asked_and_then_let_in(status: int) -> None:
    house = server()
    bare = Request("INVITE", "sip:a@b", [])
    refusal = house.demand(bare, HERE, "us", PASSWORDS.get, 0, status=status)
    assert refusal is not None
    assert refusal.status == status
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    assert [field for field, _ in refusal.headers] == [name]
    _, request = answered(refusal)
    assert house.demand(request, HERE, "us", PASSWORDS.get, 1, status=status) is None


def test_one_challenge_for_each_algorithm_in_the_order_wished() -> None:
    house = server(algorithms=("SHA-256", "MD5"))
    refusal = house.challenge(HERE, "us", 0)
    offered = parse_challenges(Response(407, "x", refusal.headers))
    assert [challenge.algorithm for challenge in offered] == ["SHA-256", "MD5"]
    _, strong = answered(refusal)
    assert "SHA-256" in str(strong.headers)
    assert verdict(house, strong) is Verdict.ACCEPTED
    _, weak = answered(house.challenge(HERE, "us", 0.5), edit=("SHA-256", "unheard-of"))
    assert "MD5" in str(weak.headers)
    assert verdict(house, weak) is Verdict.ACCEPTED


def test_an_algorithm_that_was_not_offered_is_not_taken() -> None:
    house = server(algorithms=("SHA-256",))
    _, request = answered(house.challenge(HERE, "us", 0), edit=("SHA-256", "MD5"))
    assert verdict(house, request) is Verdict.MISSING


def test_a_login_counts_once_for_each_nonce_count() -> None:
    house = server()
    login, request = answered(house.challenge(HERE, "us", 0))
    assert verdict(house, request) is Verdict.ACCEPTED
    assert verdict(house, request) is Verdict.STALE
    again = Request("INVITE", "sip:a@b", login.authorise("INVITE", "sip:a@b"))
    assert verdict(house, again) is Verdict.ACCEPTED
    assert verdict(house, request) is Verdict.STALE


def test_a_client_without_qop_may_use_a_nonce_once() -> None:
    house = server()
    _, request = answered(house.challenge(HERE, "us", 0), edit=('qop="auth", ', ""))
    assert "qop" not in str(request.headers)
    assert verdict(house, request) is Verdict.ACCEPTED
    assert verdict(house, request) is Verdict.STALE


def test_a_negative_count_is_no_way_around_the_replay_check() -> None:
    house = server()
    _, request = answered(house.challenge(HERE, "us", 0))
    ((name, value),) = request.headers
    for count in ("-0000001", "-1", "zz"):
        forged = Request("INVITE", "sip:a@b", [(name, value.replace("00000001", count))])
        assert verdict(house, forged) is Verdict.REJECTED
    (challenge,) = parse_challenges(Response(407, "x", house.challenge(HERE, "us", 0).headers))
    said = digest_response(challenge, MUFASA, "INVITE", "sip:a@b", cnonce="cnonce", nonce_count=-1)
    before = value.partition('response="')[0]
    after = value.partition('response="')[2].partition('"')[2].replace("00000001", "-0000001")
    below = Request("INVITE", "sip:a@b", [(name, f'{before}response="{said}"{after}')])
    assert verdict(house, below) is Verdict.REJECTED


@pytest.mark.parametrize(
    "credentials", [Credentials("Mufasa", "wrong"), Credentials("Nobody", ""), Credentials("", "")]
)
def test_wrong_passwords_and_unknown_users_hear_the_same_as_no_login(
    credentials: Credentials,
) -> None:
    house = server()
    _, request = answered(house.challenge(HERE, "us", 0), credentials=credentials)
    assert verdict(house, request) is Verdict.REJECTED
    told = house.demand(request, HERE, "us", PASSWORDS.get, 1)
    assert told == house.demand(Request("INVITE", "sip:a@b", []), HERE, "us", PASSWORDS.get, 1)


def test_an_old_nonce_and_one_for_another_source_are_stale_and_the_next_challenge_says_so() -> None:
    house = server()
    assert verdict(house, answered(house.challenge(HERE, "us", 2))[1], at=61.9) is Verdict.ACCEPTED
    _, late = answered(house.challenge(HERE, "us", 3))
    assert verdict(house, late, at=63.1) is Verdict.STALE
    _, elsewhere = answered(house.challenge(HERE, "us", 4))
    assert verdict(house, elsewhere, source="6.6.6.6") is Verdict.STALE
    refusal = house.demand(elsewhere, "6.6.6.6", "us", PASSWORDS.get, 5)
    assert refusal is not None
    assert "stale=true" in refusal.headers[0][1]


def test_a_nonce_of_somebody_else_is_stale() -> None:
    _, request = answered(DigestServer(b"other").challenge(HERE, "us", 0))
    assert verdict(server(), request) is Verdict.STALE


def test_forgetting_spent_nonces_never_makes_one_good_again() -> None:
    house = server()
    house._SPENT_LIMIT = 2  # type: ignore[misc]
    requests = [answered(house.challenge(HERE, "us", at))[1] for at in (1, 2, 3, 4)]
    for request in requests:
        assert verdict(house, request, at=5) is Verdict.ACCEPTED
    assert len(house._spent) == 2
    assert [verdict(house, request, at=5) for request in requests] == [Verdict.STALE] * 4


def test_a_login_for_another_number_or_realm_does_not_count() -> None:
    house = server()
    _, request = answered(house.challenge(HERE, "us", 0))
    for other in ("sip:c@b", "tel:+1"):
        assert verdict(house, Request("INVITE", other, request.headers)) is Verdict.MISSING
    assert verdict(house, request, realm="elsewhere") is Verdict.MISSING
    broken = Request("INVITE", "sip:a@b", [("Proxy-Authorization", 'Digest realm="x')])
    assert verdict(house, broken) is Verdict.MISSING


def test_a_proxy_that_rewrote_host_and_parameters_on_the_way_does_no_harm() -> None:
    house = server()
    _, request = answered(house.challenge(HERE, "us", 0), uri="sip:a@carrier.example")
    moved = Request("INVITE", "sip:%61@192.0.2.1:5060;transport=udp", request.headers)
    assert verdict(house, moved) is Verdict.ACCEPTED


def test_credentials_are_found_in_either_field() -> None:
    house = server()
    _, request = answered(house.challenge(HERE, "us", 0))
    ((_, value),) = request.headers
    swapped = Request("INVITE", "sip:a@b", [("Authorization", value)])
    assert verdict(house, swapped) is Verdict.ACCEPTED
