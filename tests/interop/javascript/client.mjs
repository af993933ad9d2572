// A Node client as a program: commands in on stdin, answers and events out on stdout.
//
//     node client.mjs PACKAGE        @livekit/rtc-node, under the name it is installed by
//
// tests/interop/clients.py has the other end, and says what each command does;
// tests/interop/client_program.py is the same program for Python.

import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';

const name = process.argv[2];
const rtc = await import(name);
// Some wishes have no method in the package, but in the library inside it.
const inside = createRequire(createRequire(import.meta.url).resolve(name));
const { FfiClient } = inside('./ffi_client.cjs');
const { version } = inside('../package.json');

const PUBLISH_RATE = 48_000;
const LISTEN_RATE = 16_000;
const LEVEL_DBOV = -20;

const say = (facts) => process.stdout.write(JSON.stringify(facts) + '\n');
const encoded = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
const decoded = (text) => new Uint8Array(Buffer.from(text, 'base64'));

const room = new rtc.Room();
const tracks = new Map();
const voices = new Map();
const me = () => room.localParticipant;

function publication(sid) {
  for (const person of room.remoteParticipants.values()) {
    const found = person.trackPublications.get(sid);
    if (found) return found;
  }
  throw new Error(`no track ${sid}`);
}

function ask(message, value) {
  return FfiClient.instance.request({ message: { case: message, value } });
}

// A sine, paced by the SDK.
async function speak(source, hz, voice) {
  const peak = 32_767 * Math.SQRT2 * 10 ** (LEVEL_DBOV / 20);
  const second = Int16Array.from({ length: PUBLISH_RATE }, (_, n) =>
    Math.round(peak * Math.sin((2 * Math.PI * hz * n) / PUBLISH_RATE)),
  );
  const size = PUBLISH_RATE / 50;
  for (let at = 0; !voice.silent; at = (at + size) % PUBLISH_RATE) {
    const frame = second.slice(at, at + size);
    await source.captureFrame(new rtc.AudioFrame(frame, PUBLISH_RATE, 1, size));
  }
}

const commands = {
  // ── coming and going ──

  async join({ url, token, single, automatic }) {
    await room.connect(url, token, {
      autoSubscribe: automatic,
      dynacast: false,
      singlePeerConnection: single,
    });
    return { sid: me().sid };
  },

  leave: () => room.disconnect(),

  simulate: ({ scenario }) =>
    room.simulateScenario(rtc.SimulateScenarioKind[`SIMULATE_${scenario.toUpperCase()}`]),

  // ── sound ──

  async publish({ name, hz }) {
    const source = new rtc.AudioSource(PUBLISH_RATE, 1);
    const track = rtc.LocalAudioTrack.createAudioTrack(name, source);
    const options = new rtc.TrackPublishOptions({ source: rtc.TrackSource.SOURCE_MICROPHONE });
    const { sid } = await me().publishTrack(track, options);
    const voice = { track, silent: false };
    voices.set(sid, voice);
    speak(source, hz, voice).catch((failure) => say({ event: 'fault', text: String(failure) }));
    return sid;
  },

  async unpublish({ sid }) {
    voices.get(sid).silent = true;
    await me().unpublishTrack(sid);
  },

  async mute({ sid, muted }) {
    ask('localTrackMute', { trackHandle: voices.get(sid).track.ffi_handle.handle, mute: muted });
  },

  // What a track brings; less than so many seconds if it falls silent for good.
  async listen({ sid, seconds }) {
    const reader = new rtc.AudioStream(tracks.get(sid), LISTEN_RATE, 1).getReader();
    const heard = [];
    let samples = 0;
    const patience = setTimeout(() => reader.cancel(), (2 * seconds + 1) * 1000);
    while (samples < seconds * LISTEN_RATE) {
      const { value, done } = await reader.read();
      if (done) break;
      heard.push(Buffer.from(value.data.buffer, value.data.byteOffset, value.data.byteLength));
      samples += value.data.length;
    }
    clearTimeout(patience);
    await reader.cancel();
    return Buffer.concat(heard).toString('base64');
  },

  async subscribe({ sid, wanted }) {
    publication(sid).setSubscribed(wanted);
  },

  async enable({ sid, enabled }) {
    const trackPublicationHandle = publication(sid).ffiHandle.handle;
    ask('enableRemoteTrackPublication', { trackPublicationHandle, enabled });
  },

  async admit({ everybody, permitted }) {
    ask('setTrackSubscriptionPermissions', {
      localParticipantHandle: me().ffi_handle.handle,
      allParticipantsAllowed: everybody,
      permissions: Object.entries(permitted).map(([participantIdentity, allowedTrackSids]) => ({
        participantIdentity,
        allowAll: false,
        allowedTrackSids,
      })),
    });
  },

  // ── messages ──

  send: ({ payload, reliable, topic, to }) =>
    me().publishData(decoded(payload), { reliable, topic, destination_identities: to }),

  async send_text({ text, topic, attributes, to }) {
    await me().sendText(text, { topic, attributes, destinationIdentities: to });
  },

  async send_bytes({ payload, topic, name, to }) {
    const content = decoded(payload);
    const writer = await me().streamBytes({
      name,
      topic,
      destinationIdentities: to,
      totalSize: content.length,
    });
    await writer.write(content);
    await writer.close();
  },

  async read({ topic }) {
    const report = (event, reader, sender, content) => {
      const { attributes = {} } = reader.info;
      say({ event, who: sender.identity, topic: reader.info.topic, content, attributes });
    };
    room.registerTextStreamHandler(topic, async (reader, sender) => {
      report('text', reader, sender, await reader.readAll());
    });
    room.registerByteStreamHandler(topic, async (reader, sender) => {
      const chunks = await reader.readAll();
      report('bytes', reader, sender, Buffer.concat(chunks).toString('base64'));
    });
  },

  transcribe: ({ identity, sid, text }) =>
    me().publishTranscription({
      participantIdentity: identity,
      trackSid: sid,
      segments: [
        { id: 'SG_1', text, startTime: 0n, endTime: 0n, final: true, language: 'en' },
      ],
    }),

  press: ({ code, digit }) => me().publishDtmf(code, digit),

  async serve({ method }) {
    me().registerRpcMethod(method, async ({ callerIdentity, payload }) => {
      if (payload === 'fail') throw new rtc.RpcError(2000, 'as you wish', 'data');
      return `${callerIdentity}:${[...payload].reverse().join('')}`;
    });
  },

  async call({ to, method, payload, patience }) {
    try {
      const answer = await me().performRpc({
        destinationIdentity: to,
        method,
        payload,
        responseTimeout: patience * 1000,
      });
      return { answer };
    } catch (failure) {
      if (!(failure instanceof rtc.RpcError)) throw failure;
      return { code: failure.code, message: failure.message, data: failure.data };
    }
  },

  // ── facts ──

  async describe({ attributes, metadata, name }) {
    if (attributes) await me().setAttributes(attributes);
    if (metadata !== undefined) await me().updateMetadata(metadata);
    if (name !== undefined) await me().updateName(name);
  },

  async look() {
    const seen = {};
    for (const person of room.remoteParticipants.values()) {
      const { sid, name, metadata, attributes } = person;
      const published = [...person.trackPublications.values()].map((p) => [
        p.sid,
        { name: p.name, muted: p.muted, subscribed: p.subscribed },
      ]);
      const isPhone = person.kind === rtc.ParticipantKind.SIP;
      const known = { sid, name, metadata, attributes, is_phone: isPhone };
      seen[person.identity] = { ...known, tracks: Object.fromEntries(published) };
    }
    return seen;
  },
};

// Each event as a line, named alike in all clients, with the facts that tests look at.
const events = {
  trackSubscribed(track, { sid, name }, { identity }) {
    tracks.set(sid, track);
    return { event: 'heard', sid, name, who: identity };
  },
  trackUnsubscribed: (_, { sid }, { identity }) => ({ event: 'unheard', sid, who: identity }),
  dataReceived: (payload, person, kind, topic) => ({
    event: 'data',
    payload: encoded(payload),
    topic: topic ?? '',
    who: person?.identity ?? '',
    reliable: kind === rtc.DataPacketKind.KIND_RELIABLE,
  }),
  participantConnected: ({ identity }) => ({ event: 'came', who: identity }),
  participantDisconnected: ({ identity, disconnectReason }) => ({
    event: 'left',
    who: identity,
    reason: disconnectReason ?? 0,
  }),
  trackPublished: ({ sid }, { identity }) => ({ event: 'published', sid, who: identity }),
  trackUnpublished: ({ sid }, { identity }) => ({ event: 'unpublished', sid, who: identity }),
  localTrackUnpublished: ({ sid }) => ({ event: 'withdrawn', sid }),
  localTrackSubscribed: ({ sid }) => ({ event: 'wanted', sid }),
  trackMuted: ({ sid }, { identity }) => ({ event: 'muted', sid, who: identity }),
  trackUnmuted: ({ sid }, { identity }) => ({ event: 'unmuted', sid, who: identity }),
  dtmfReceived: (code, digit, { identity }) => ({ event: 'digit', digit, code, who: identity }),
  participantAttributesChanged: (changed, { identity }) => ({
    event: 'attributes',
    changed,
    who: identity,
  }),
  participantMetadataChanged: (_, { identity, metadata }) => ({
    event: 'metadata',
    now: metadata,
    who: identity,
  }),
  participantNameChanged: (_, { identity, name }) => ({ event: 'name', now: name, who: identity }),
  activeSpeakersChanged: (speakers) => ({ event: 'speakers', who: speakers.map((s) => s.identity) }),
  connectionQualityChanged: (now, { identity }) => ({ event: 'quality', who: identity, now }),
  roomMetadataChanged: (now) => ({ event: 'room_metadata', now }),
  tokenRefreshed: () => ({ event: 'token' }),
  reconnecting: () => ({ event: 'reconnecting' }),
  reconnected: () => ({ event: 'reconnected' }),
  disconnected: (reason) => ({ event: 'disconnected', reason }),
};

for (const [name, report] of Object.entries(events)) {
  room.on(name, (...facts) => say(report(...facts)));
}

async function perform({ id, do: name, ...facts }) {
  try {
    say({ id, ok: (await commands[name](facts)) ?? null });
  } catch (failure) {
    say({ id, error: `${failure.name}: ${failure.message}` });
  }
}

say({ event: 'ready', version });
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => perform(JSON.parse(line)));
lines.on('close', () => process.exit(0));
