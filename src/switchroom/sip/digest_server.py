"""Asking callers to log in (RFC 3261 section 22.3, RFC 7616, RFC 8760).

Nothing is kept for somebody who was asked: a nonce carries its own time and proves its origin. Only
nonces that were answered rightly are remembered, so that none is used twice.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from typing import Final

from switchroom.sip.digest import Challenge, Credentials, digest_response, parse_auth
from switchroom.sip.errors import MalformedValueError
from switchroom.sip.grammar import quote
from switchroom.sip.message import Request
from switchroom.sip.sanity import Refusal
from switchroom.sip.uri import Uri, unescape

PasswordOf = Callable[[str], str | None]
"""The password of a user name; ``None`` for users that are not known."""

_CHALLENGE_FIELD: Final = {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}
_CREDENTIAL_FIELDS: Final = ("Proxy-Authorization", "Authorization")


class Verdict(Enum):
    """What a server found in a request's credentials."""

    ACCEPTED = "accepted"
    MISSING = "missing"
    """None for our realm, of a scheme we know."""
    STALE = "stale"
    """Right, but for a nonce that is too old, not ours, or used with this count before."""
    REJECTED = "rejected"
    """Wrong user or password."""


class DigestServer:
    """Challenges and checks, for any number of realms.

    A nonce is its own time and an HMAC over it and the peer's address: it is good for ``lifetime``
    seconds, from that address, and once (once for each nonce count with qop).
    """

    _SPENT_LIMIT: Final = 10_000

    def __init__(
        self,
        secret: bytes,
        *,
        lifetime: float = 60.0,
        algorithms: tuple[str, ...] = ("MD5",),
    ) -> None:
        """``algorithms``: keys of ``digest.ALGORITHMS``, one challenge each, in this order."""
        self._secret = secret
        self._lifetime = lifetime
        self._algorithms = algorithms
        self._spent: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """Nonce → (when it was made, highest count seen)."""
        self._forgotten = -1
        """Nonces made up to then may have been spent without our remembering it."""

    def demand(
        self,
        request: Request,
        source: str,
        realm: str,
        password_of: PasswordOf,
        now: float,
        *,
        status: int = 407,
    ) -> Refusal | None:
        """``None`` if the request is logged in, else the answer that asks for it.

        ``source`` is the peer's IP address, ``status`` 407 or 401. Wrong passwords and unknown
        users get the same answer as no login at all.
        """
        verdict = self.verify(request, source, realm, password_of, now)
        if verdict is Verdict.ACCEPTED:
            return None
        return self.challenge(source, realm, now, status=status, stale=verdict is Verdict.STALE)

    def challenge(
        self, source: str, realm: str, now: float, *, status: int = 407, stale: bool = False
    ) -> Refusal:
        """A 407 or 401 with one challenge for each algorithm."""
        nonce = self._nonce(int(now * 1000), source)
        common = f'realm={quote(realm)}, nonce="{nonce}", qop="auth"{", stale=true" * stale}'
        headers = tuple(
            (_CHALLENGE_FIELD[status], f"Digest {common}, algorithm={algorithm}")
            for algorithm in self._algorithms
        )
        return Refusal(status, "", headers)

    def verify(
        self, request: Request, source: str, realm: str, password_of: PasswordOf, now: float
    ) -> Verdict:
        """Check a request's credentials for ``realm``, in whichever of the two fields they are."""
        params = self._own_params(request, realm)
        if params is None:
            return Verdict.MISSING
        username = params.get("username", "")
        password = password_of(username)
        # An unknown user costs the same hash as a known one: the answer must not tell them apart.
        credentials = Credentials(username, password if password is not None else "")
        challenge = Challenge(
            proxy=True,
            realm=realm,
            nonce=params.get("nonce", ""),
            algorithm=params.get("algorithm", "MD5").upper(),
            qop=("auth",) if "qop" in params else (),
        )
        count = _hex(params.get("nc", "0"))
        expected = digest_response(
            challenge,
            credentials,
            request.method,
            params.get("uri", ""),
            cnonce=params.get("cnonce", ""),
            nonce_count=count,
        )
        matches = hmac.compare_digest(expected, params.get("response", "").lower())
        if not matches or password is None:
            return Verdict.REJECTED
        return self._spend(challenge.nonce, count, now, source)

    def _own_params(self, request: Request, realm: str) -> dict[str, str] | None:
        for name in _CREDENTIAL_FIELDS:
            for value in request.headers.get_all(name):
                try:
                    scheme, params = parse_auth(value)
                except MalformedValueError:
                    continue
                if scheme == "digest" and params.get("realm") == realm:
                    return params if self._readable(params, request) else None
        return None

    def _readable(self, params: dict[str, str], request: Request) -> bool:
        known = params.get("algorithm", "MD5").upper() in self._algorithms
        plain = params.get("response", "").isascii()
        qop = params.get("qop", "auth").lower() == "auth"
        return known and plain and qop and _same_user(params.get("uri", ""), request)

    def _spend(self, nonce: str, count: int, now: float, source: str) -> Verdict:
        made = _hex(nonce.partition("-")[0])
        own = self._nonce(made, source)
        genuine = hmac.compare_digest(nonce.encode("utf-8", "surrogateescape"), own.encode())
        if not genuine or now - made / 1000 > self._lifetime:
            return Verdict.STALE
        spent = self._spent.get(nonce)
        # RFC 7616 section 3.4.5: a count seen before is a replay. Without qop there is no count,
        # and the nonce is good once.
        if made <= self._forgotten if spent is None else count <= spent[1]:
            return Verdict.STALE
        self._spent[nonce] = (made, count)
        self._spent.move_to_end(nonce)
        if len(self._spent) > self._SPENT_LIMIT:
            _, (made, _count) = self._spent.popitem(last=False)
            self._forgotten = max(self._forgotten, made)
        return Verdict.ACCEPTED

    def _nonce(self, made: int, source: str) -> str:
        mac = hmac.new(self._secret, f"{made:x}|{source}".encode(), hashlib.sha256).hexdigest()
        return f"{made:x}-{mac[:32]}"


def _same_user(uri: str, request: Request) -> bool:
    """Whether a login was made for this request.

    The digest is over the URI that the client wrote, which proxies on the way may have changed in
    all but the number.
    """
    if uri == request.target:
        return True
    try:
        return unescape(Uri.parse(uri).user or "") == unescape(request.uri.user or "")
    except MalformedValueError:
        return False


def _hex(text: str) -> int:
    try:
        return max(0, int(text, 16)) if len(text) <= 16 else 0
    except ValueError:
        return 0
