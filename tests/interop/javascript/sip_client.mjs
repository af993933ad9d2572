// LiveKit's SipClient for Node as a program: its methods by name, answers and refusals as JSON.
//
//     node sip_client.mjs URL KEY SECRET
//
// A command is {"id": 1, "do": "createSipInboundTrunk", "args": ["name", ["+1"]]}.

import { createInterface } from 'node:readline';
import { SipClient } from 'livekit-server-sdk';

const client = new SipClient(...process.argv.slice(2, 5));
const say = (facts) => process.stdout.write(JSON.stringify(facts) + '\n');
const plain = (value) =>
  Array.isArray(value) ? value.map(plain) : (value?.toJson?.() ?? value ?? null);

function refusal(error) {
  const { code, message, status, metadata, sipStatusCode, sipStatus } = error;
  const facts = { kind: error.constructor.name, code, message, status, metadata, sipStatusCode, sipStatus };
  return JSON.stringify(facts);
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, do: method, args } = JSON.parse(line);
  try {
    say({ id, ok: plain(await client[method](...args)) });
  } catch (error) {
    say({ id, error: refusal(error) });
  }
}
