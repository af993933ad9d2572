"""``POST /chat/completions``: the rule-based model as OpenAI's chat API, streamed or whole."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from switchroom.base.ids import random_token
from switchroom.base.log import get_logger
from switchroom.offline.conversation import Conversation, conversation_from
from switchroom.offline.errors import CannotAnswer
from switchroom.offline.journal import JOB_HEADER, Journal, Replied
from switchroom.offline.model import Reply, foreseen, reply_to
from switchroom.offline.script import Script
from switchroom.offline.speaking import Speaker
from switchroom.offline.web import error_response, json_body, name_of

_log = get_logger("offline")

# What is streamed at once: a sentence, so that speech can begin with the first.
_SENTENCE = re.compile(r"[^.!?]*[.!?]+\s*|[^.!?]+")


class Chat:
    """Answers chat requests by a script."""

    def __init__(self, script: Script, speaker: Speaker, journal: Journal) -> None:
        self._script = script
        self._speaker = speaker
        self._journal = journal

    async def completions(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        asked = await json_body(request)
        conversation, model = conversation_from(asked), name_of(asked, "model")
        try:
            # Long conversations are gone through again; other requests need not wait for that.
            reply = await asyncio.to_thread(reply_to, self._script, conversation)
        except CannotAnswer as stuck:
            _log.warning("the script is stuck", reason=str(stuck))
            return error_response(422, str(stuck))
        if reply.remark:
            _log.warning("no rule", remark=reply.remark)
        self._journal.record(_event(reply, request.headers.get(JOB_HEADER, "")))
        self._speaker.foresee((reply.text, *foreseen(self._script, conversation)))
        answer = _Answer(model, reply, conversation)
        if not asked.get("stream"):
            return web.json_response(answer.whole())
        options = asked.get("stream_options")
        with_usage = isinstance(options, dict) and bool(options.get("include_usage"))
        return await _stream(request, answer, with_usage=with_usage)


def _event(reply: Reply, job: str) -> Replied:
    return Replied(
        text=reply.text,
        tool=reply.call.tool if reply.call else "",
        arguments=json.loads(reply.call.arguments) if reply.call else {},
        line=reply.line,
        remark=reply.remark,
        job=job,
    )


async def _stream(request: web.Request, answer: _Answer, *, with_usage: bool) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
    )
    await response.prepare(request)
    for chunk in answer.chunks(with_usage=with_usage):
        await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


class _Answer:
    """A reply in OpenAI's two forms."""

    def __init__(self, model: str, reply: Reply, conversation: Conversation) -> None:
        self._reply = reply
        self._head = {
            "id": f"chatcmpl-{random_token()}",
            "created": int(time.time()),
            "model": model,
        }
        self._finish = "tool_calls" if reply.call else "stop"
        self._usage = _usage(reply, conversation)

    def whole(self) -> dict[str, Any]:
        """As one object."""
        message: dict[str, Any] = {"role": "assistant", "content": self._reply.text or None}
        if self._reply.call:
            message["tool_calls"] = [self._call()]
        choice = {"index": 0, "message": message, "finish_reason": self._finish, "logprobs": None}
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": self._usage,
        }

    def chunks(self, *, with_usage: bool) -> Iterator[dict[str, Any]]:
        """As a stream of events."""
        yield self._chunk({"role": "assistant", "content": ""})
        for sentence in _SENTENCE.findall(self._reply.text):
            yield self._chunk({"content": sentence})
        if self._reply.call:
            yield self._chunk({"tool_calls": [{"index": 0, **self._call()}]})
        yield self._chunk({}, self._finish)
        if with_usage:
            yield {**self._chunk({}), "choices": [], "usage": self._usage}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return {**self._head, "object": "chat.completion.chunk", "choices": [choice]}

    def _call(self) -> dict[str, Any]:
        call = self._reply.call
        function = {"name": call.tool, "arguments": call.arguments} if call else {}
        return {"id": f"call_{random_token()}", "type": "function", "function": function}


def _usage(reply: Reply, conversation: Conversation) -> dict[str, Any]:
    """Words for tokens: there is nothing to pay, but agents' metrics want numbers."""
    asked = sum(len(getattr(turn, "text", "").split()) for turn in conversation.turns)
    answered = len(reply.text.split()) + (len(reply.call.arguments) // 4 + 1 if reply.call else 0)
    return {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


async def models(_request: web.Request) -> web.Response:
    """``GET /models``: one model, which answers to any name."""
    model = {"id": "switchroom/offline", "object": "model", "created": 0, "owned_by": "switchroom"}
    return web.json_response({"object": "list", "data": [model]})
