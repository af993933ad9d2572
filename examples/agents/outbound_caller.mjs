// An agent in JavaScript that phones the number it was dispatched with, and hangs up by itself.
//
// Whom to call comes as the metadata of the dispatch: {"phone_number": "+12025550123"}. The agent
// dials, and joins the room when somebody has answered. A call that fails ends the job, with the
// carrier's SIP status in its log.

import { ServerOptions, beta, cli, defineAgent, log, voice } from '@livekit/agents';
import { SipClient, TwirpError } from 'livekit-server-sdk';
import { fileURLToPath } from 'node:url';

class Survey extends voice.Agent {
  constructor() {
    super({
      instructions: 'Ask whether the delivery came in time. When you have the answer, end the call.',
      tools: [beta.createEndCallTool({ endInstructions: 'thank the customer and say goodbye' })],
    });
  }

  async onEnter() {
    this.session.generateReply({ instructions: 'ask your question' });
  }
}

async function dial(ctx, number) {
  const { LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET, LIVEKIT_SIP_OUTBOUND_TRUNK } = process.env;
  const sip = new SipClient(LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET);
  await sip.createSipParticipant(LIVEKIT_SIP_OUTBOUND_TRUNK, number, ctx.job.room.name, {
    participantIdentity: number,
    waitUntilAnswered: true,
  });
}

export default defineAgent({
  entry: async (ctx) => {
    const { phone_number: number } = JSON.parse(ctx.job.metadata);
    try {
      await dial(ctx, number);
    } catch (error) {
      if (!(error instanceof TwirpError)) throw error;
      const { sip_status_code: code, sip_status: status } = error.metadata ?? {};
      log().warn(`nobody to talk to: ${error.message} (SIP ${code} ${status})`);
      ctx.shutdown('the call was not answered');
      return;
    }
    await ctx.connect();
    const session = new voice.AgentSession({
      stt: 'deepgram/nova-3',
      llm: 'openai/gpt-4.1-mini',
      tts: 'cartesia/sonic-3',
      turnHandling: { turnDetection: 'vad' },
    });
    await session.start({ agent: new Survey(), room: ctx.room });
  },
});

cli.runApp(
  new ServerOptions({ agent: fileURLToPath(import.meta.url), agentName: 'outbound-caller-js' }),
);
