// The server SDK in JavaScript, which speaks JSON: ask for an agent, look at what became of it, dial a
// phone with everything that a dial may be given, and delete the room.

import { AgentDispatchClient, RoomServiceClient, SipClient } from 'livekit-server-sdk';

const { LIVEKIT_URL: url, LIVEKIT_API_KEY: key, LIVEKIT_API_SECRET: secret } = process.env;
const [room, trunk, number] = process.argv.slice(2);

const dispatches = new AgentDispatchClient(url, key, secret);
const made = await dispatches.createDispatch(room, 'my-telephony-agent', {
  metadata: JSON.stringify({ phone_number: number }),
});
const listed = await dispatches.listDispatch(room);

const info = await new SipClient(url, key, secret).createSipParticipant(trunk, number, room, {
  participantIdentity: 'sip-test',
  participantName: 'Test Caller',
  displayName: 'My Custom Display Name',
  dtmf: '*123#ww456',
  playDialtone: true,
  waitUntilAnswered: true,
});

const rooms = new RoomServiceClient(url, key, secret);
const phone = await rooms.getParticipant(room, 'sip-test');
await rooms.deleteRoom(room);

console.log(
  JSON.stringify({
    dispatch: made.id,
    listed: listed.map((one) => [one.id, one.agentName, one.room, one.metadata]),
    call: info.sipCallId,
    status: phone.attributes['sip.callStatus'],
    name: phone.name,
  }),
);
