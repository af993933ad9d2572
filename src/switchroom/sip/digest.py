"""Digest authentication: challenges, and logging in (RFC 3261 section 22, RFC 7616, RFC 8760)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import field
from enum import Enum
from typing import Final

from switchroom.base.records import record
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.grammar import end_of_quoted, quote, unquote
from switchroom.sip.message import Response


def _hash_with(function: Callable[..., hashlib._Hash]) -> Callable[[str], str]:
    return lambda text: function(text.encode("utf-8", "surrogateescape")).hexdigest()


ALGORITHMS: Final[dict[str, Callable[[str], str]]] = {
    "SHA-256": _hash_with(hashlib.sha256),
    "MD5": _hash_with(hashlib.md5),
}
"""Strongest first; a new algorithm is a line here. A challenge without one means MD5."""


@record
class Credentials:
    """A user name and password for one trunk."""

    username: str
    password: str = field(repr=False)


@record
class Challenge:
    """One challenge of a 401 or 407."""

    proxy: bool
    """From Proxy-Authenticate (407) rather than WWW-Authenticate (401)."""
    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: tuple[str, ...] = ()
    opaque: str | None = None
    stale: bool = False

    @property
    def usable(self) -> bool:
        """Whether we know the algorithm, and ``auth`` is among the qop values if there are any."""
        return self.algorithm in ALGORITHMS and (not self.qop or "auth" in self.qop)


def parse_auth(value: str) -> tuple[str, dict[str, str]]:
    """``Scheme name=value, …`` as (scheme, parameters with lower-case names, unquoted values).

    Raises MalformedValueError.
    """
    scheme, _, rest = value.strip().partition(" ")
    params: dict[str, str] = {}
    position, length = 0, len(rest)
    while position < length:
        equals = rest.find("=", position)
        if equals < 0:
            if rest[position:].strip(" ,"):
                raise MalformedValueError("bad authentication parameters")
            break
        name = rest[position:equals].strip(" \t,").lower()
        start = equals + 1
        while start < length and rest[start] in " \t":
            start += 1
        if start < length and rest[start] == '"':
            end = end_of_quoted(rest, start + 1)
        else:
            comma = rest.find(",", start)
            end = comma if comma >= 0 else length
        params.setdefault(name, unquote(rest[start:end].strip()))
        position = end
    return scheme.lower(), params


def parse_challenges(response: Response) -> list[Challenge]:
    """All Digest challenges of a 401 or 407; what can't be read or is no Digest is left out.

    A 401 is read for WWW-Authenticate and a 407 for Proxy-Authenticate first, but some servers mix
    them up, so both are looked at.
    """
    challenges = []
    for name, proxy in (("WWW-Authenticate", False), ("Proxy-Authenticate", True)):
        for value in response.headers.get_all(name):
            challenge = _parse_challenge(value, proxy=proxy)
            if challenge is not None:
                challenges.append(challenge)
    return challenges


def _parse_challenge(value: str, *, proxy: bool) -> Challenge | None:
    try:
        scheme, params = parse_auth(value)
    except MalformedValueError:
        return None
    if scheme != "digest" or "realm" not in params or not params.get("nonce"):
        return None
    return Challenge(
        proxy=proxy,
        realm=params["realm"],
        nonce=params["nonce"],
        algorithm=params.get("algorithm", "MD5").upper(),
        qop=tuple(
            word.strip().lower() for word in params.get("qop", "").split(",") if word.strip()
        ),
        opaque=params.get("opaque"),
        stale=params.get("stale", "").lower() == "true",
    )


def strongest(challenges: Sequence[Challenge]) -> list[Challenge]:
    """One usable challenge for each realm, by our order of algorithms (RFC 8760 section 2.4)."""
    chosen: dict[tuple[bool, str], Challenge] = {}
    ranks = list(ALGORITHMS)
    for challenge in challenges:
        if not challenge.usable:
            continue
        key = (challenge.proxy, challenge.realm)
        best = chosen.get(key)
        if best is None or ranks.index(challenge.algorithm) < ranks.index(best.algorithm):
            chosen[key] = challenge
    return list(chosen.values())


def digest_response(
    challenge: Challenge,
    credentials: Credentials,
    method: str,
    uri: str,
    *,
    cnonce: str,
    nonce_count: int,
) -> str:
    """The ``response`` value of RFC 7616 section 3.4.1 (qop ``auth``, or none as in RFC 2069)."""
    digest = ALGORITHMS[challenge.algorithm]
    ha1 = digest(f"{credentials.username}:{challenge.realm}:{credentials.password}")
    ha2 = digest(f"{method}:{uri}")
    if challenge.qop:
        return digest(f"{ha1}:{challenge.nonce}:{nonce_count:08x}:{cnonce}:auth:{ha2}")
    return digest(f"{ha1}:{challenge.nonce}:{ha2}")


class ChallengeOutcome(Enum):
    """What a client can do about a 401 or 407."""

    RETRY = "retry"
    NO_CREDENTIALS = "no_credentials"
    NO_USABLE_CHALLENGE = "no_usable_challenge"
    REJECTED = "rejected"
    """These credentials were sent to this realm and not liked; sending them again is pointless."""


class DigestClient:
    """The login of one call: which realms asked, with which nonce, and how often it was used.

    Credentials leave only for realms that challenged one of our own requests of this call, so a
    peer that sends us a challenge out of turn learns nothing.
    """

    def __init__(self, credentials: Credentials | None, new_cnonce: Callable[[], str]) -> None:
        self._credentials = credentials
        self._new_cnonce = new_cnonce
        self._active: dict[tuple[bool, str], Challenge] = {}
        self._counts: dict[str, int] = {}

    def login(self) -> Login:
        """The negotiation of one more request of this call."""
        return Login(self)

    @property
    def has_credentials(self) -> bool:
        """Whether there is anything to log in with."""
        return self._credentials is not None

    def use(self, challenge: Challenge) -> None:
        """Answer this challenge from now on, in every request of the call."""
        self._active[challenge.proxy, challenge.realm] = challenge

    def authorise(self, method: str, uri: str) -> list[tuple[str, str]]:
        """Header fields for a request to ``uri``, the Request-URI as text; may be empty."""
        if self._credentials is None:
            return []
        return [
            (
                "Proxy-Authorization" if challenge.proxy else "Authorization",
                self._answer(challenge, self._credentials, method, uri),
            )
            for challenge in self._active.values()
        ]

    def _answer(self, challenge: Challenge, credentials: Credentials, method: str, uri: str) -> str:
        count = self._counts[challenge.nonce] = self._counts.get(challenge.nonce, 0) + 1
        cnonce = self._new_cnonce()
        response = digest_response(
            challenge, credentials, method, uri, cnonce=cnonce, nonce_count=count
        )
        parts = [
            f"username={quote(credentials.username)}",
            f"realm={quote(challenge.realm)}",
            f"nonce={quote(challenge.nonce)}",
            f"uri={quote(uri)}",
            f'response="{response}"',
            f"algorithm={challenge.algorithm}",
        ]
        if challenge.qop:
            parts += [f'cnonce="{cnonce}"', "qop=auth", f"nc={count:08x}"]
        if challenge.opaque is not None:
            parts.append(f"opaque={quote(challenge.opaque)}")
        return "Digest " + ", ".join(parts)


class Login:
    """The attempts to get one request past its challenges."""

    def __init__(self, client: DigestClient) -> None:
        self._client = client
        self._answered: dict[tuple[bool, str], Challenge] = {}

    def challenged(self, response: Response) -> ChallengeOutcome:
        """Take in a 401 or 407. RETRY means that ``authorise`` now has something new to say."""
        if not self._client.has_credentials:
            return ChallengeOutcome.NO_CREDENTIALS
        usable = strongest(parse_challenges(response))
        if not usable:
            return ChallengeOutcome.NO_USABLE_CHALLENGE
        for challenge in usable:
            before = self._answered.get((challenge.proxy, challenge.realm))
            # RFC 3261 section 22.1: the same realm again means wrong credentials, unless only the
            # nonce was stale. "stale" with the old nonce is a loop, not an invitation.
            if before and (not challenge.stale or before.nonce == challenge.nonce):
                return ChallengeOutcome.REJECTED
        for challenge in usable:
            self._answered[challenge.proxy, challenge.realm] = challenge
            self._client.use(challenge)
        return ChallengeOutcome.RETRY
