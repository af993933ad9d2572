"""The gateway over its socket: each endpoint, bad input, and clients that vanish."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from switchroom.offline.errors import GatewayFailed, ScriptError
from switchroom.offline.journal import Understood
from switchroom.offline.server import Gateway
from switchroom.speech.pcm import Pcm, silence
from switchroom.speech.synthesis import say
from unit.offline.scripts import DENTIST
from unit.speech.local_speech import needs_flite, needs_recogniser, over_the_phone

# One gateway for all: loading its recogniser is the longest part of each test.
pytestmark = [needs_flite, needs_recogniser, pytest.mark.asyncio(loop_scope="module")]

Json = dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    async with Gateway(DENTIST) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def http(gateway: Gateway) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base_url=f"{gateway.inference_url}/") as session:
        yield session


def asked(**more: Any) -> Json:
    prompt = "The patient's name is Maria. The appointment is on Monday."
    return {"model": "any", "messages": [{"role": "system", "content": prompt}], **more}


# ── the model ────────────────────────────────────────────────────────────────


async def test_a_chat_is_answered_whole(http: aiohttp.ClientSession) -> None:
    async with http.post("chat/completions", json=asked()) as response:
        answer = await response.json()
    choice = answer["choices"][0]
    assert (answer["object"], answer["model"]) == ("chat.completion", "any")
    assert choice["message"]["content"].endswith("Am I speaking with Maria?")
    assert choice["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] > 5


async def streamed(http: aiohttp.ClientSession, request: Json) -> list[Json]:
    async with http.post("chat/completions", json={**request, "stream": True}) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        events = (await response.text()).split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]


async def test_a_chat_is_streamed_by_the_sentence_and_counted(http: aiohttp.ClientSession) -> None:
    chunks = await streamed(http, asked(stream_options={"include_usage": True}))
    deltas = [chunk["choices"][0]["delta"].get("content") for chunk in chunks[:-1]]
    assert deltas == ["", "Hello, this is Bright Smile Dental. ", "Am I speaking with Maria?", None]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 10


async def test_a_tool_call_is_streamed(http: aiohttp.ClientSession) -> None:
    request = asked(tools=[{"type": "function", "function": {"name": "end_call"}}])
    call = {"id": "c1", "type": "function", "function": {"name": "confirm", "arguments": "{}"}}
    request["messages"] += [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ]
    chunks = await streamed(http, request)
    called = [c for k in chunks for c in k["choices"][0]["delta"].get("tool_calls", ())]
    assert called[0]["function"] == {"name": "end_call", "arguments": "{}"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_models_are_listed(http: aiohttp.ClientSession) -> None:
    async with http.get("models") as response:
        assert (await response.json())["data"][0]["object"] == "model"


@pytest.mark.parametrize(
    ("body", "status", "complaint"),
    [
        (b"{", 400, "this is no JSON"),
        (b"[1]", 400, "no object"),
        (b"{}", 400, "messages must be a list"),
        (b"[" * 100_000, 400, "this is no JSON"),
        (b"\xff", 400, "no JSON"),
        (b'{"messages": [{"role": "user"}], "model": []}', 400, "model must be a text"),
        (
            b'{"messages": [{"role": "user"}], "tool_choice": {"function": []}}',
            400,
            "tool_choice is neither",
        ),
        (
            b'{"messages": [{"role": "user", "content": "yes"}], "x": "%s"}' % (b"y" * 2**24),
            413,
            "",
        ),
        (
            b'{"messages": [{"role": "system", "content": "x"}]}',
            422,
            "nothing is known for {patient}",
        ),
    ],
)
async def test_bad_requests_are_refused_in_openais_form(
    http: aiohttp.ClientSession, body: bytes, status: int, complaint: str
) -> None:
    async with http.post("chat/completions", data=io.BytesIO(body)) as response:
        error = (await response.json())["error"]
    assert response.status == status
    assert complaint in error["message"]


async def test_what_is_not_here_is_refused_so_that_agents_use_their_own(
    http: aiohttp.ClientSession,
) -> None:
    for path in ("eot", "bargein", "avatar/sessions", "realtime"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(path)
        assert refused.value.status == 404


# ── speaking ─────────────────────────────────────────────────────────────────


async def until(socket: aiohttp.ClientWebSocketResponse, kind: str) -> list[Json]:
    """Every message up to one of this type."""
    messages: list[Json] = []
    while not messages or messages[-1]["type"] != kind:
        messages.append(await socket.receive_json(timeout=60))
    return messages


def sound_in(messages: list[Json]) -> bytes:
    return b"".join(
        base64.b64decode(message["audio"])
        for message in messages
        if message["type"] == "output_audio"
    )


async def test_sentences_are_spoken_in_order_and_then_done(http: aiohttp.ClientSession) -> None:
    async with http.ws_connect("tts?model=cartesia/sonic-3") as socket:
        await socket.send_json({"type": "session.create", "sample_rate": "24000", "voice": "x-y-z"})
        for _ in range(2):  # the connection is used for one answer after the other
            for sentence in ("Good morning. ", "<emotion value='calm'/>How are you? ", "  "):
                await socket.send_json({"type": "input_transcript", "transcript": sentence})
            await socket.send_json({"type": "session.flush"})
            messages = await until(socket, "done")
            assert {message["session_id"] for message in messages} == {messages[0]["session_id"]}
            expected = [await say(t, rate=24_000) for t in ("Good morning. ", " How are you? ")]
            assert sound_in(messages) == b"".join(sound.samples for sound in expected)


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        (['{"type": "input_transcript", "transcript": "hi"}'], "must be session.create"),
        (['{"type": "session.create", "sample_rate": "many"}'], "whole number"),
        (['{"type": "session.create", "sample_rate": 1e400}'], "whole number"),
        (['{"type": "session.create", "sample_rate": 9}'], "sample_rate 9"),
        (['{"type": "session.create", "voice": ["rms"]}'], "voice must be a text"),
        (['{"type": "session.create", "encoding": "mp3"}'], "pcm_s16le only"),
        (['{"type": "session.create"}', '{"type": "input_transcript"}'], "as transcript"),
        (['{"type": "sing"}'], "'sing' is not known"),
        (["nonsense"], "no JSON"),
        (["[]"], "no object"),
    ],
)
async def test_a_client_that_breaks_the_rules_of_speaking_is_told_and_let_go(
    http: aiohttp.ClientSession, messages: list[str], complaint: str
) -> None:
    async with http.ws_connect("tts") as socket:
        for message in messages:
            await socket.send_str(message)
        told = await until(socket, "error")
        assert complaint in told[-1]["message"]
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


# ── listening ────────────────────────────────────────────────────────────────


async def phoned(text: str) -> Pcm:
    return over_the_phone(await say(text, rate=8000))


async def send(socket: aiohttp.ClientWebSocketResponse, sound: Pcm) -> None:
    size = sound.rate // 10
    for start in range(0, len(sound.samples), size):
        piece = base64.b64encode(sound.samples[start : start + size]).decode()
        await socket.send_json({"type": "input_audio", "audio": piece})


def session(rate: int = 8000) -> Json:
    return {"type": "session.create", "settings": {"sample_rate": str(rate)}, "model": "any/thing"}


async def test_an_utterance_is_written_down_as_soon_as_it_ends(
    gateway: Gateway, http: aiohttp.ClientSession
) -> None:
    begin = len(gateway.journal.events)
    async with http.ws_connect("stt?model=deepgram/nova-3") as socket:
        await socket.send_json(session())
        for _ in range(2):
            await send(socket, await phoned("Can I move it to Tuesday?"))
            await send(socket, silence(0.5, 8000))
            messages = await until(socket, "final_transcript")
            assert messages[-2]["type"] == "start_of_speech"
            assert messages[-1]["transcript"] == "can i move it to tuesday"
            assert messages[-1]["duration"] > 0.8
    heard = [event for event in gateway.journal.events[begin:] if isinstance(event, Understood)]
    assert [event.text for event in heard] == ["can i move it to tuesday"] * 2


async def test_nothing_is_sent_after_a_client_closed_its_session(
    http: aiohttp.ClientSession,
) -> None:
    async with http.ws_connect("stt") as socket:
        await socket.send_json(session())
        await until(socket, "session.created")
        await send(socket, await phoned("yes speaking"))
        await until(socket, "start_of_speech")
        await socket.send_json({"type": "session.finalize"})
        await socket.send_json({"type": "session.close"})
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_finalize_ends_an_utterance_without_waiting(http: aiohttp.ClientSession) -> None:
    async with http.ws_connect("stt") as socket:
        await socket.send_json(session(16_000))
        await socket.send_json({"type": "session.update", "settings": {"language": "en"}})
        await send(socket, (await phoned("yes speaking")).at(16_000))
        await socket.send_json({"type": "session.finalize"})
        messages = await until(socket, "session.finalized")
        assert messages[-2]["transcript"] == "yes speaking"


async def test_what_is_no_phrase_of_the_script_is_heard_freely(http: aiohttp.ClientSession) -> None:
    async with http.ws_connect("stt") as socket:
        await socket.send_json(session(16_000))
        await send(socket, await say("good morning"))
        await socket.send_json({"type": "session.finalize"})
        messages = await until(socket, "session.finalized")
        assert messages[-2]["transcript"] == "good morning"


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        (['{"type": "input_audio", "audio": ""}'], "must be session.create"),
        (['{"type": "session.finalize"}'], "must be session.create"),
        (['{"type": "session.create", "settings": {"sample_rate": 1}}'], "sample_rate 1"),
        (['{"type": "session.create", "settings": {"encoding": "opus"}}'], "pcm_s16le only"),
        (['{"type": "session.create"}', '{"type": "input_audio"}'], "base64"),
        (['{"type": "session.create"}', '{"type": "input_audio", "audio": "*"}'], "not base64"),
        (['{"type": []}'], "is not known"),
        (['{"type": "session.create", "settings": 3}'], "settings is not an object"),
    ],
)
async def test_a_client_that_breaks_the_rules_of_listening_is_told_and_let_go(
    http: aiohttp.ClientSession, messages: list[str], complaint: str
) -> None:
    async with http.ws_connect("stt") as socket:
        for message in messages:
            await socket.send_str(message)
        told = await until(socket, "error")
        assert complaint in told[-1]["message"]


async def test_binary_messages_are_refused(http: aiohttp.ClientSession) -> None:
    for path in ("stt", "tts"):
        async with http.ws_connect(path) as socket:
            await socket.send_bytes(b"\x00")
            assert "JSON texts" in (await until(socket, "error"))[-1]["message"]


async def test_clients_that_vanish_leave_nothing_behind(gateway: Gateway) -> None:
    before = len(asyncio.all_tasks())
    for path, first in (("stt", session()), ("tts", {"type": "session.create"})):
        async with aiohttp.ClientSession() as http:
            sockets = [await http.ws_connect(f"{gateway.inference_url}/{path}") for _ in range(5)]
            for socket in sockets:
                await socket.send_json(first)
                text = {"type": "input_transcript", "transcript": "a long sentence " * 50}
                audio = {
                    "type": "input_audio",
                    "audio": base64.b64encode(b"\x10\x20" * 8000).decode(),
                }
                await socket.send_json(text if path == "tts" else audio)
                assert socket._response.connection is not None
                assert socket._response.connection.transport is not None
                socket._response.connection.transport.abort()
    while gateway._open or len(asyncio.all_tasks()) > before:  # noqa: ASYNC110 - nothing tells it
        await asyncio.sleep(0.01)


async def test_there_is_a_largest_number_of_connections(
    gateway: Gateway, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("switchroom.offline.server._MOST_REQUESTS", 1)
    async with http.ws_connect("tts") as socket:
        await socket.send_json({"type": "session.create"})
        await until(socket, "session.created")
        async with http.get("models") as response:
            assert response.status == 503


# ── OpenAI's speech endpoints ────────────────────────────────────────────────


async def test_openais_speech_endpoints_speak_and_listen(http: aiohttp.ClientSession) -> None:
    request = {"model": "tts-1", "input": "Yes, I confirm.", "voice": "alloy"}
    async with http.post("audio/speech", json=request) as response:
        assert response.content_type == "audio/wav"
        recording = await response.read()
    async with http.post("audio/speech", json={**request, "response_format": "pcm"}) as response:
        assert recording.endswith(await response.read())
    form = aiohttp.FormData({"model": "whisper-1"})
    form.add_field("file", recording, filename="file.wav", content_type="audio/wav")
    async with http.post("audio/transcriptions", data=form) as response:
        assert (await response.json())["text"] == "yes i confirm"


async def test_their_bad_requests_are_refused(http: aiohttp.ClientSession) -> None:
    for body in (
        *({}, {"input": 3}, {"input": "a", "response_format": "mp3"}),
        *({"input": "a", "response_format": []}, {"input": "a", "voice": {}}),
    ):
        async with http.post("audio/speech", json=body) as response:
            assert response.status == 400
    form = aiohttp.FormData({"response_format": "json"})
    form.add_field("file", b"nonsense", filename="file.wav")
    for data in (form, b"plain"):
        async with http.post("audio/transcriptions", data=data) as response:
            assert response.status == 400


FORM = "multipart/form-data; boundary=a"
FILE = b"--a\r\nContent-Disposition: form-data; name=file\r\n"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        (f"{FORM}{'a' * 100}", b"x"),
        (FORM, b""),
        (FORM, b"x"),
        (FORM, b"--a\r\n\r\n"),
        (FORM, b"--a\r\nno header\r\n\r\nx\r\n--a--\r\n"),
        (FORM, FILE + b"Content-Transfer-Encoding: odd\r\n\r\nx\r\n--a--\r\n"),
        (FORM, FILE + b"Content-Transfer-Encoding: base64\r\n\r\n*x\r\n--a--\r\n"),
    ],
)
async def test_a_form_that_is_none_is_refused_in_openais_form(
    http: aiohttp.ClientSession, kind: str, body: bytes
) -> None:
    headers = {"Content-Type": kind}
    async with http.post("audio/transcriptions", data=body, headers=headers) as response:
        assert response.status == 400
        assert "form" in (await response.json())["error"]["message"]


async def test_a_body_that_is_not_packed_as_it_says_is_refused(
    gateway: Gateway,
) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(head + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b" 400 " in answer.splitlines()[0]
    assert b"invalid_request_error" in answer


# ── the whole ────────────────────────────────────────────────────────────────


async def test_with_keys_strangers_are_refused() -> None:
    async with (
        Gateway(DENTIST, keys={"devkey": "secret"}) as gateway,
        aiohttp.ClientSession() as http,
    ):
        url = f"{gateway.inference_url}/models"
        async with http.get(url) as response:
            assert response.status == 401
            assert "LIVEKIT_API_KEY" in (await response.json())["error"]["message"]
        async with http.get(url, headers={"Authorization": "Bearer secret"}) as response:
            assert response.status == 200


async def test_a_port_that_is_taken_and_a_bad_script_are_named(gateway: Gateway) -> None:
    with pytest.raises(GatewayFailed, match=f"port {gateway.port}"):
        await Gateway(DENTIST, port=gateway.port).start()
    with pytest.raises(ScriptError):
        Gateway("no such file.yaml")
