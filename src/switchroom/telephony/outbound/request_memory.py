"""Which requests were seen already: the same key again means the same call."""

from __future__ import annotations

from collections import OrderedDict

from switchroom.base.records import record
from switchroom.telephony.errors import InvalidRequestError
from switchroom.telephony.outbound.outcome import Outcome

#: Seconds that an Idempotency-Key holds; who comes again later means a new call.
KEY_LIFETIME = 24 * 3600.0
#: Seconds that an SDK's own request id holds: it repeats a request at once or not at all.
RETRY_LIFETIME = 600.0
_MOST_KEYS = 50_000


@record
class RequestKey:
    """Tells that two requests are one. ``digest`` is a hash of the request that came with ``key``.

    ``durable`` keys hold over a crash, at the price of a disk write before the INVITE.
    """

    key: str
    digest: str
    durable: bool

    @property
    def lifetime(self) -> float:
        return KEY_LIFETIME if self.durable else RETRY_LIFETIME


@record
class SeenRequest:
    """A request and its call; ``until`` is monotonic (s)."""

    digest: str
    call_id: str
    outcome: Outcome
    until: float


class RequestMemory:
    """The requests seen of late. Bounded: the oldest are forgotten first."""

    def __init__(self) -> None:
        # One queue a lifetime, so that the first of each is the first to expire.
        self._seen: dict[bool, OrderedDict[str, SeenRequest]] = {
            True: OrderedDict(),
            False: OrderedDict(),
        }

    def find(self, key: RequestKey, now: float) -> SeenRequest | None:
        """The earlier request with this key. Raises InvalidRequestError if it was another one."""
        seen = self._seen[key.durable].get(key.key)
        if seen is None or seen.until <= now:
            return None
        if seen.digest != key.digest:
            raise InvalidRequestError("this idempotency key was used for a different request")
        return seen

    def remember(
        self, key: RequestKey, call_id: str, outcome: Outcome, now: float, *, age: float = 0.0
    ) -> None:
        """Note a request that came `age` seconds ago."""
        queue = self._seen[key.durable]
        queue.pop(key.key, None)
        queue[key.key] = SeenRequest(key.digest, call_id, outcome, now + key.lifetime - age)
        while queue and (len(queue) > _MOST_KEYS or next(iter(queue.values())).until <= now):
            queue.popitem(last=False)
