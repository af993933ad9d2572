// An agent in JavaScript that recognises a voicemail by its greeting, leaves a message and hangs up.
//
// The model decides: it has a tool for it. The message is spoken to its end before the room, and with
// it the call, is ended.

import { ServerOptions, cli, defineAgent, getJobContext, llm, voice } from '@livekit/agents';
import { RoomServiceClient, SipClient } from 'livekit-server-sdk';
import { fileURLToPath } from 'node:url';

const MESSAGE = 'This is the library. The book that you asked for is here. Goodbye.';

const { LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET, LIVEKIT_SIP_OUTBOUND_TRUNK } = process.env;

async function hangUp() {
  const rooms = new RoomServiceClient(LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET);
  await rooms.deleteRoom(getJobContext().job.room.name);
}

class Library extends voice.Agent {
  constructor() {
    super({
      instructions:
        'You call for a library: a book has come for the person you call. ' +
        'If you hear a voicemail greeting, use the tool for it.',
      tools: [
        llm.tool({
          name: 'detected_answering_machine',
          description: 'Call this when a voicemail has answered, after its greeting.',
          execute: async (_, { ctx }) => {
            const message = ctx.session.say(MESSAGE, { allowInterruptions: false });
            await message.waitForPlayout();
            await hangUp();
          },
        }),
      ],
    });
  }
}

export default defineAgent({
  entry: async (ctx) => {
    const { phone_number: number } = JSON.parse(ctx.job.metadata);
    const sip = new SipClient(LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET);
    await sip.createSipParticipant(LIVEKIT_SIP_OUTBOUND_TRUNK, number, ctx.job.room.name, {
      participantIdentity: number,
      waitUntilAnswered: true,
    });
    await ctx.connect();
    const session = new voice.AgentSession({
      stt: 'deepgram/nova-3',
      llm: 'openai/gpt-4.1-mini',
      tts: 'cartesia/sonic-3',
      turnHandling: { turnDetection: 'vad' },
    });
    await session.start({ agent: new Library(), room: ctx.room });
  },
});

cli.runApp(new ServerOptions({ agent: fileURLToPath(import.meta.url), agentName: 'voicemail-js' }));
