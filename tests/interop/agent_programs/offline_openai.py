"""The openai plugin's three models against a base URL: speaks a sentence, hears a recording, chats.

Arguments: base URL, API key, a file of samples (16 bit, 16 kHz). Writes a JSON object a line.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from livekit import rtc
from livekit.agents import llm, utils
from livekit.plugins import openai


def tell(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")


async def main(url: str, key: str, samples: bytes) -> None:
    async with utils.http_context.open():
        voice = openai.TTS(base_url=url, api_key=key, response_format="pcm")
        seconds = 0.0
        async for audio in voice.synthesize("Good morning. How are you?"):
            seconds += audio.frame.duration
        tell(spoke=seconds)

        ears = openai.STT(base_url=url, api_key=key, use_realtime=False)
        frame = rtc.AudioFrame(samples, 16_000, 1, len(samples) // 2)
        heard = await ears.recognize(frame)
        tell(heard=heard.alternatives[0].text)

        model = openai.LLM(model="gpt-4.1-mini", base_url=url, api_key=key)
        asked = llm.ChatContext()
        asked.add_message(role="system", content="The patient's name is Maria Lopez.")
        answer = await model.chat(chat_ctx=asked).collect()
        tell(answered=answer.text)


asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_bytes()))
