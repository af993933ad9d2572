"""Logging in, and checking logins."""

from __future__ import annotations

import pytest

from switchroom.sip.digest import (
    Challenge,
    ChallengeOutcome,
    Credentials,
    DigestClient,
    digest_response,
    parse_auth,
    parse_challenges,
    strongest,
)
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.message import Response

MUFASA = Credentials("Mufasa", "Circle of Life")


def test_the_examples_of_rfc_7616_come_out_right() -> None:
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    expected = {
        "MD5": "8ca523f5e9506fed4657c9700eebdbec",
        "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    }
    for algorithm, response in expected.items():
        challenge = Challenge(False, "http-auth@example.org", nonce, algorithm, ("auth",))
        made = digest_response(
            challenge, MUFASA, "GET", "/dir/index.html", cnonce=cnonce, nonce_count=1
        )
        assert made == response


def test_without_qop_the_old_formula_of_rfc_2069_is_used() -> None:
    challenge = Challenge(False, "testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093")
    credentials = Credentials("Mufasa", "CircleOfLife")
    made = digest_response(
        challenge, credentials, "GET", "/dir/index.html", cnonce="", nonce_count=1
    )
    assert made == "1949323746fe6a43ef61f9606e7febea"


def challenged(*values: str, name: str = "WWW-Authenticate") -> Response:
    return Response(401, "Unauthorized", [(name, value) for value in values])


def test_challenges_are_read_with_their_quirks() -> None:
    (challenge,) = parse_challenges(
        challenged(
            'DIGEST  realm="a, \\"b\\"" ,nonce="n=1,2", opaque="", Algorithm=md5 , '
            'qop="auth,auth-int",stale=True,domain="x", extra'.removesuffix(", extra")
        )
    )
    assert challenge == Challenge(False, 'a, "b"', "n=1,2", "MD5", ("auth", "auth-int"), "", True)


@pytest.mark.parametrize(
    "value", ["Basic realm=x", "Digest", 'Digest realm="a"', 'Digest nonce="a', "", "Digest x"]
)
def test_what_is_no_digest_challenge_is_left_out(value: str) -> None:
    assert parse_challenges(challenged(value)) == []


def test_parameters_that_are_none_are_refused() -> None:
    with pytest.raises(MalformedValueError):
        parse_auth("Digest x")
    assert parse_auth("Digest a=1,, b=2, ")[1] == {"a": "1", "b": "2"}


def test_the_strongest_challenge_of_each_realm_is_answered() -> None:
    """RFC 8760 section 2.4."""
    response = challenged(
        'Digest realm="r", nonce="1", algorithm=MD5',
        'Digest realm="r", nonce="2", algorithm=SHA-256',
        'Digest realm="r", nonce="3", algorithm=SHA-512-256',
        'Digest realm="s", nonce="4", qop="auth-int"',
        'Digest realm="t", nonce="5"',
    )
    assert [challenge.nonce for challenge in strongest(parse_challenges(response))] == ["2", "5"]


def client(credentials: Credentials | None = MUFASA) -> DigestClient:
    return DigestClient(credentials, lambda: "c")


def test_the_nonce_count_rises_with_each_request_and_starts_anew_with_a_nonce() -> None:
    login = client()
    response = challenged('Digest realm="r", nonce="1", qop="auth"')
    assert login.login().challenged(response) is ChallengeOutcome.RETRY
    counts = []
    for _ in range(3):
        ((name, value),) = login.authorise("BYE", "sip:a")
        assert name == "Authorization"
        counts.append(parse_auth(value)[1]["nc"])
    assert counts == ["00000001", "00000002", "00000003"]
    login.login().challenged(challenged('Digest realm="r", nonce="2", qop="auth"'))
    ((_, value),) = login.authorise("BYE", "sip:a")
    assert parse_auth(value)[1]["nc"] == "00000001"


def test_two_proxies_on_the_way_each_get_their_own() -> None:
    login = client()
    negotiation = login.login()
    first = challenged('Digest realm="a", nonce="1"', name="Proxy-Authenticate")
    second = challenged('Digest realm="b", nonce="2", opaque="o"', name="Proxy-Authenticate")
    assert negotiation.challenged(first) is ChallengeOutcome.RETRY
    assert negotiation.challenged(second) is ChallengeOutcome.RETRY
    fields = login.authorise("INVITE", "sip:a")
    assert [parse_auth(value)[1]["realm"] for _, value in fields] == ["a", "b"]
    assert negotiation.challenged(first) is ChallengeOutcome.REJECTED


def test_a_second_request_of_the_call_may_be_challenged_with_a_new_nonce() -> None:
    login = client()
    assert login.login().challenged(challenged('Digest realm="r", nonce="1"')).value == "retry"
    assert login.login().challenged(challenged('Digest realm="r", nonce="2"')).value == "retry"


def test_stale_is_tried_again_unless_the_nonce_is_the_same() -> None:
    negotiation = client().login()
    assert negotiation.challenged(challenged('Digest realm="r", nonce="1"')).value == "retry"
    again = challenged('Digest realm="r", nonce="2", stale=true')
    assert negotiation.challenged(again).value == "retry"
    assert negotiation.challenged(again).value == "rejected"


def test_nothing_is_said_before_a_challenge_or_without_credentials() -> None:
    assert client().authorise("INVITE", "sip:a") == []
    without = client(None)
    outcome = without.login().challenged(challenged('Digest realm="r", nonce="1"'))
    assert outcome is ChallengeOutcome.NO_CREDENTIALS
    assert without.authorise("INVITE", "sip:a") == []
    assert "Circle" not in repr(MUFASA)
