// Receives webhooks as LiveKit's documentation shows it for Node, and writes what it took, a line each.
//
//     node webhook_receiver.mjs KEY SECRET

import { createServer } from 'node:http';
import { WebhookReceiver } from 'livekit-server-sdk';

const receiver = new WebhookReceiver(process.argv[2], process.argv[3]);
const say = (facts) => process.stdout.write(JSON.stringify(facts) + '\n');

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  try {
    const event = await receiver.receive(Buffer.concat(parts).toString(), request.headers.authorization);
    say(event.toJson());
    response.writeHead(200).end();
  } catch (refusal) {
    response.writeHead(401).end(String(refusal));
  }
});

server.listen(0, '127.0.0.1', () => say({ url: `http://127.0.0.1:${server.address().port}/livekit` }));
