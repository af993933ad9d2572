// JavaScript as it is taught: a dial into a room whose name is fixed, a voicemail tool whose message
// the model makes up, and a hang-up when the message's handle is done.

import { ServerOptions, cli, defineAgent, getJobContext, llm, voice } from '@livekit/agents';
import { RoomServiceClient, SipClient } from 'livekit-server-sdk';
import { fileURLToPath } from 'node:url';

const url = process.env.LIVEKIT_URL;
const key = process.env.LIVEKIT_API_KEY;
const secret = process.env.LIVEKIT_API_SECRET;

const hangUpCall = async () => {
  const jobContext = getJobContext();
  if (!jobContext) return;
  const roomServiceClient = new RoomServiceClient(url, key, secret);
  if (jobContext.room.name) await roomServiceClient.deleteRoom(jobContext.room.name);
};

class VoicemailAgent extends voice.Agent {
  constructor() {
    super({
      instructions: 'You are a helpful assistant.',
      tools: {
        leaveVoicemail: llm.tool({
          description: 'Call this tool if you detect a voicemail system, AFTER you hear the greeting.',
          execute: async () => {
            const handle = this.session.generateReply({
              instructions: "Leave a brief voicemail message telling the user you'll call back later.",
            });
            handle.addDoneCallback(() => {
              setTimeout(() => hangUpCall(), 500);
            });
          },
        }),
      },
    });
  }
}

export default defineAgent({
  prewarm: async (proc) => {
    proc.userData.warm = true;
  },
  entry: async (ctx) => {
    const dialInfo = JSON.parse(ctx.job.metadata);
    const sipClient = new SipClient(url, key, secret);
    try {
      await sipClient.createSipParticipant(
        process.env.LIVEKIT_SIP_OUTBOUND_TRUNK,
        dialInfo.phone_number,
        'new-room',
        { participantIdentity: dialInfo.phone_number, participantName: 'Jane', waitUntilAnswered: true },
      );
      console.log('call picked up');
    } catch (error) {
      console.log('error creating SIP participant:', error.metadata?.sip_status_code, error.metadata?.sip_status);
      ctx.shutdown();
      return;
    }
    const session = new voice.AgentSession({
      stt: 'deepgram/nova-3',
      llm: 'openai/gpt-4.1-mini',
      tts: 'cartesia/sonic-3',
    });
    await session.start({ agent: new VoicemailAgent(), room: ctx.room });
    await ctx.connect();
  },
});

cli.runApp(
  new ServerOptions({ agent: fileURLToPath(import.meta.url), agentName: 'my-telephony-agent' }),
);
