// The inference models of @livekit/agents against LIVEKIT_INFERENCE_URL: speak, hear, chat.
//
// Argument: a file of samples (16 bit, 8 kHz). Writes a JSON object a line.

import { readFileSync } from 'node:fs';

import { inference, initializeLogger, llm } from '@livekit/agents';
import { AudioFrame } from '@livekit/rtc-node';

initializeLogger({ pretty: false, level: 'warn' });
const tell = (facts) => console.log(JSON.stringify(facts));

const voice = new inference.TTS({ model: 'cartesia/sonic-3' });
for (let answer = 0; answer < 2; answer += 1) {
  const speech = voice.stream();
  speech.pushText('Good morning. How are you?');
  speech.flush();
  speech.endInput();
  let seconds = 0;
  for await (const audio of speech) {
    if (typeof audio === 'symbol') break;
    seconds += audio.frame.samplesPerChannel / audio.frame.sampleRate;
  }
  tell({ spoke: seconds });
}

const file = readFileSync(process.argv[2]);
const samples = new Int16Array(file.buffer, file.byteOffset, file.length / 2);
const ears = new inference.STT({ model: 'deepgram/nova-3' }).stream();
for (let at = 0; at < samples.length; at += 400) {
  const piece = samples.slice(at, at + 400);
  ears.pushFrame(new AudioFrame(piece, 8000, 1, piece.length));
}
ears.endInput();
for await (const event of ears) {
  const text = event.alternatives?.[0]?.text;
  if (text) tell({ heard: text });
}

const asked = new llm.ChatContext();
asked.addMessage({ role: 'system', content: "The patient's name is Maria Lopez." });
let answered = '';
const model = new inference.LLM({ model: 'openai/gpt-4.1-mini' });
for await (const chunk of model.chat({ chatCtx: asked })) answered += chunk.delta?.content ?? '';
tell({ answered });
process.exit(0);
