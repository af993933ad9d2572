"""A phone that dials: the call as it places it, until somebody answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn, Protocol

from switchroom.phonenet import events
from switchroom.phonenet.call_media import CallMedia
from switchroom.phonenet.facilities import Facilities
from switchroom.phonenet.media_port import MediaPort
from switchroom.phonenet.script import CallInfo, CallOver, PhoneCall, Signalling
from switchroom.phonenet.sounds import Sound
from switchroom.sdp.errors import SdpError

_CODECS = ("PCMU", "PCMA")
_PATIENCE = 60.0


class Dialler(Protocol):
    """The phone's side of a SIP dialog that it opens. Nothing here fails or waits."""

    def dial(self, offer: bytes) -> None: ...
    def give_up(self) -> None: ...
    def hang_up(self) -> None: ...
    def respond_offer(self, offer_id: int, status: int, reason: str, body: bytes) -> None: ...


class DialledCall(PhoneCall):
    """One call, seen from the phone that places it.

    Any phone's script can have it: ringing and announcing are left out, and ``answer`` dials and
    waits until the other side has answered. So whatever a phone does before takes nobody's time.
    """

    dialled = True

    def __init__(
        self,
        info: CallInfo,
        dialler: Dialler,
        open_port: Callable[[], Awaitable[MediaPort]],
        facilities: Facilities,
    ) -> None:
        super().__init__(info, b"", _Unasked(dialler), open_port, facilities)
        self._dialler = dialler
        self._picked_up = asyncio.Event()

    # ── words of phones that are called ──────────────────────────────────────

    async def ring(self, seconds: float | None = 2.0) -> None:
        """Nothing: it is the other phone that rings."""

    async def announce(self, sound: Sound, seconds: float | None = None) -> None:
        """Nothing: whoever dials cannot be heard before the answer."""

    async def answer(self, codecs: Sequence[str] = _CODECS) -> None:
        """Dial, and wait until the other side answers; after a minute, give up."""
        if self.over:
            raise CallOver
        if self._media is None:
            await self._dial()
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._picked_up.wait()
        except TimeoutError:
            self.leave("phone", "nobody answered")
            raise CallOver from None

    async def _dial(self) -> None:
        """Open a port for the sound and send the INVITE."""
        port = await self._open_port()
        if self.over:
            port.close()
            raise CallOver
        media = self._media = CallMedia(port, _CODECS)
        self._ringing_since = self._now()
        self._dialler.dial(media.offer())

    async def reject(self, status: int, reason: str = "") -> NoReturn:
        """Give up."""
        self.leave("phone", "gave up")
        raise CallOver

    # ── what the carrier tells ───────────────────────────────────────────────

    def rings(self, status: int) -> None:
        """The far end rings, or sends early media, which this phone does not play."""
        if not self.over and not self.answered:
            self._report(events.Ringing(call=self.info.call, status=status))

    def picked_up(self, body: bytes) -> None:
        """The far end has answered with this description."""
        media = self._media
        if self.over or self.answered or media is None:
            return
        self._answered_at = self._now()
        try:
            media.accept(body)
        except SdpError as error:
            self._dialler.hang_up()
            self.finish("network", f"cannot use the answer: {error}")
            return
        self._listen_to(media)
        self._tell_answered()
        self._picked_up.set()

    def refused(self, status: int, reason: str) -> None:
        """The far end does not take the call."""
        if not self.over:
            self._report(events.Rejected(call=self.info.call, status=status, reason=reason))
            self.finish("callee", f"refused ({status})")

    def leave(self, by: str, reason: str, status: int = 480, phrase: str = "") -> None:
        """End the call from this side, in whatever state it is."""
        if self.over:
            return
        if self.answered:
            self._dialler.hang_up()
        else:
            self._dialler.give_up()
        self.finish(by, reason)


class _Unasked(Signalling):
    """What a call that was answered still needs; the rest is for phones that are called."""

    def __init__(self, dialler: Dialler) -> None:
        self._dialler = dialler

    def ring(self, status: int, body: bytes) -> None:
        """Not ours to do."""

    def answer(self, body: bytes) -> None:
        """Not ours to do."""

    def reject(self, status: int, reason: str) -> None:
        self._dialler.give_up()

    def hang_up(self) -> None:
        self._dialler.hang_up()

    def respond_offer(self, offer_id: int, status: int, reason: str, body: bytes) -> None:
        self._dialler.respond_offer(offer_id, status, reason, body)
