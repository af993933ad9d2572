"""Scripted clients: the far end of a signal link, and the door that lets them in."""

from __future__ import annotations

from typing import Any

from livekit.protocol import models, rtc

from switchroom.auth.grants import Claims, VideoGrants
from switchroom.auth.tokens import TokenVerifier
from switchroom.media import (
    ChannelOpened,
    Connected,
)
from switchroom.rooms.info import ClientFacts
from switchroom.rooms.session.sessions import Sessions, SignalLink
from switchroom.rooms.signal.requests import JoinRequest, Offer

from .fake_engine import (
    FakeEngine,
    FakePeer,
    client_answer,
    client_offer,
)
from .house import House, settle

SPARE = (("0", "recvonly", ""), ("1", "recvonly", ""), ("2", "recvonly", ""))


class Client:
    """A client at the far end of a link."""

    def __init__(self, link: SignalLink, peers: list[FakePeer]) -> None:
        self.link = link
        self.peers = peers
        self.heard: list[rtc.SignalResponse] = []

    @property
    def peer(self) -> FakePeer:
        return self.peers[0]

    def is_closed(self) -> bool:
        """Whether the engine has got its peers back."""
        return all(peer.closed for peer in self.peers)

    def say(self, **message: Any) -> None:
        self.link.receive(rtc.SignalRequest(**message).SerializeToString())

    async def listen(self) -> list[rtc.SignalResponse]:
        """What came since the last time."""
        await settle()
        news = []
        while self.link._outbox._waiting:
            message = await self.link.next()
            assert message is not None
            news.append(rtc.SignalResponse.FromString(message))
        self.heard += news
        return news

    async def last(self, kind: str) -> Any:
        """The newest message of a kind among all that came."""
        await self.listen()
        found = [m for m in self.heard if m.WhichOneof("message") == kind]
        assert found, f"no {kind} in {[m.WhichOneof('message') for m in self.heard]}"
        return getattr(found[-1], kind)

    async def kinds(self) -> list[str]:
        return [m.WhichOneof("message") or "" for m in await self.listen()]

    async def offers(self) -> list[rtc.SignalResponse]:
        """Every offer with a track that came so far."""
        await self.listen()
        return [m for m in self.heard if m.HasField("offer") and "m=audio" in m.offer.sdp]

    async def offer(self, *sections: tuple[str, str, str], id_: int = 1) -> Any:
        """Offer, and return the answer."""
        self.say(offer=rtc.SessionDescription(type="offer", sdp=client_offer(*sections), id=id_))
        return await self.last("answer")


class Door:
    """Lets clients in."""

    def __init__(self, house: House, engine: FakeEngine) -> None:
        self.house = house
        self.engine = engine
        tokens = TokenVerifier({"devkey": "secret"}, house.time)
        self.sessions = Sessions(house.rooms, tokens)

    async def join(
        self,
        identity: str = "ann",
        *,
        single: bool = True,
        connect: bool = True,
        grants: dict[str, Any] | None = None,
        claims: dict[str, Any] | None = None,
        **request: Any,
    ) -> Client:
        count = len(self.engine.peers)
        request.setdefault("facts", ClientFacts(protocol=17, client_protocol=2))
        if single and not request.get("reconnect"):
            request.setdefault("offer", Offer(client_offer(*SPARE), 0))
        video = VideoGrants(room="r", room_join=True, **(grants or {}))
        link = await self.sessions.open(
            Claims("devkey", identity, video=video, expires_at=4e9, **(claims or {})),
            JoinRequest(single_connection=single, **request),
        )
        client = Client(link, self.engine.peers[count:])
        if connect:
            await self.connect(client)
        return client

    async def connect(self, client: Client) -> None:
        await settle()
        client.peers[-1].event(Connected())
        for label in ("_reliable", "_lossy"):
            client.peers[-1].event(ChannelOpened(label))
        await settle()


def user_packet(payload: bytes, *, sequence: int = 0, **fields: Any) -> bytes:
    packet = models.DataPacket(user=models.UserPacket(payload=payload), sequence=sequence, **fields)
    return packet.SerializeToString()


async def publish(client: Client, cid: str = "c1", mid: str = "3", **track: Any) -> str:
    request = rtc.AddTrackRequest(
        cid=cid, name="mic", type=models.AUDIO, source=models.MICROPHONE, **track
    )
    client.say(add_track=request)
    published = await client.last("track_published")
    assert published.cid == cid
    await client.offer(*SPARE, (mid, "sendonly", cid))
    return str(published.track.sid)


async def answer_offer(client: Client, **answer: Any) -> Any:
    offer = await client.last("offer")
    client.say(answer=rtc.SessionDescription(type="answer", sdp=client_answer(offer.sdp, **answer)))
    await settle()
    return offer
