"""Every port that the configuration asks for, and none of them without the others."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from websockets.asyncio.client import connect

from switchroom.api.asgi import AsgiApp, Receive, Scope, Send, respond_text
from switchroom.api.listener import ListenError
from switchroom.api.ports import Applications, HttpPorts
from switchroom.base.certificates import ServerCertificate
from switchroom.base.config import load_config
from unit.base.pem_files import make


def answers(text: str) -> AsgiApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        client = (scope.get("client") or ("",))[0]
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": f"{text} {scope['scheme']} {client}"})
            return
        await respond_text(scope, send, 200, f"{text} {scope['scheme']} {client}")

    return app


class Health:
    """An application that is a method, as the health check is."""

    async def ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        await respond_text(scope, send, 200, "health")


APPS = Applications(answers("public"), answers("metrics"), Health().ready)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return make(tmp_path_factory.mktemp("certificate"), "localhost")


@asynccontextmanager
async def ports(
    settings: dict[str, object], certificate: tuple[str, str] | None = None
) -> AsyncIterator[HttpPorts]:
    overrides = {"bind_addresses": ["127.0.0.1"], "port": 0, **settings}
    if certificate:
        overrides |= {"https.cert_file": certificate[0], "https.key_file": certificate[1]}
    shown = ServerCertificate(*certificate) if certificate else None
    if shown:
        shown.load()
    listening = HttpPorts(load_config(overrides=overrides), APPS, shown)
    await listening.start()
    try:
        yield listening
    finally:
        await listening.stop()


async def get(url: str, trust: str = "", **headers: str) -> str:
    context = ssl.create_default_context(cafile=trust or None)
    async with httpx.AsyncClient(verify=context, trust_env=False) as client:
        return (await client.get(url, headers=headers)).text


async def test_figures_and_health_have_ports_of_their_own() -> None:
    metrics, health = free_port(), free_port()
    async with ports({"prometheus.port": metrics, "health_port": health}) as listening:
        assert (await get(listening.url)).startswith("public http")
        assert (await get(f"http://127.0.0.1:{metrics}/metrics")).startswith("metrics")
        assert (await get(f"http://127.0.0.1:{health}/whatever")).startswith("health")


async def test_with_a_certificate_the_port_speaks_https(certificate: tuple[str, str]) -> None:
    async with ports({}, certificate) as listening:
        assert listening.url.startswith("https://")
        assert (await get(listening.url, certificate[0])).startswith("public https")


async def test_https_may_have_a_port_beside_the_plain_one(certificate: tuple[str, str]) -> None:
    aside = free_port()
    async with ports({"https.port": aside}, certificate) as listening:
        assert (await get(listening.url)).startswith("public http ")
        answer = await get(f"https://127.0.0.1:{aside}/", certificate[0])
        assert answer.startswith("public https")


async def test_only_a_trusted_proxy_may_say_who_the_client_is() -> None:
    said = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    async with ports({}) as listening:
        assert await get(listening.url, **said) == "public http 127.0.0.1"
    async with ports({"trusted_proxies": ["127.0.0.0/8"]}) as listening:
        assert await get(listening.url, **said) == "public https 203.0.113.9"
        assert await get(listening.url) == "public http 127.0.0.1"


async def test_the_environment_makes_no_proxy_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    async with ports({}) as listening:
        answer = await get(listening.url, **{"X-Forwarded-For": "203.0.113.9"})
        assert answer == "public http 127.0.0.1"


async def test_one_port_that_is_taken_closes_the_others_again() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken, free = int(other.getsockname()[1]), free_port()
        with pytest.raises(ListenError, match=f"{taken} on 127.0.0.1 is in use"):
            async with ports({"port": free, "health_port": taken}):
                pass
    with socket.create_server(("127.0.0.1", free)):
        pass


async def test_a_plain_request_to_the_https_port_harms_nobody(
    certificate: tuple[str, str],
) -> None:
    async with ports({}, certificate) as listening:
        port = listening.listeners[0].port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" not in await asyncio.wait_for(reader.read(), 60)
        writer.close()
        assert (await get(listening.url, certificate[0])).startswith("public https")


async def test_every_address_is_listened_on() -> None:
    async with ports({"bind_addresses": ["127.0.0.1", "::1"]}) as listening:
        port = listening.listeners[0].port
        assert await get(f"http://127.0.0.1:{port}/") == "public http 127.0.0.1"
        assert await get(f"http://[::1]:{port}/") == "public http ::1"


async def test_sockets_of_clients_come_over_tls_and_through_proxies(
    certificate: tuple[str, str],
) -> None:
    trust = ssl.create_default_context(cafile=certificate[0])
    async with ports({"trusted_proxies": ["127.0.0.1"]}, certificate) as listening:
        url = listening.url.replace("https", "wss")
        async with connect(url, ssl=trust) as socket_of_client:
            assert await socket_of_client.recv() == "public wss 127.0.0.1"
        forwarded = {"X-Forwarded-For": "203.0.113.9"}
        async with connect(url, ssl=trust, additional_headers=forwarded) as socket_of_client:
            assert await socket_of_client.recv() == "public wss 203.0.113.9"
