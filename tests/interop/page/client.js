// A livekit-client in a page: `room` for the tests to use as its documentation says, a queue for each
// kind of event, tones to publish, and the samples of what is heard. browser.py calls what is here.
'use strict';

const { Room, Track } = LivekitClient;

const SAMPLE_RATE = 48000;
const audio = new AudioContext({ sampleRate: SAMPLE_RATE, latencyHint: 'playback' });
const recorderReady = audio.audioWorklet.addModule(
  URL.createObjectURL(new Blob([`
    registerProcessor('recorder', class extends AudioWorkletProcessor {
      process([input]) {
        if (input.length) this.port.postMessage(input[0].slice());
        this.port.onmessage ??= () => { this.ended = true; };
        return !this.ended;
      }
    });
  `], { type: 'text/javascript' })),
);

let room;

// ── what the client is told ──────────────────────────────────────────────────

class Queue {
  #waiting = [];
  #arrived = [];

  put(facts) {
    const waiter = this.#waiting.shift();
    if (waiter) waiter(facts);
    else this.#arrived.push(facts);
  }

  next() {
    if (this.#arrived.length) return Promise.resolve(this.#arrived.shift());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  get size() {
    return this.#arrived.length;
  }
}

const queues = new Map();
const news = [];

function queue(name) {
  if (!queues.has(name)) queues.set(name, new Queue());
  return queues.get(name);
}

function next(name) {
  return queue(name).next();
}

function base64(bytes) {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(text);
}

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// What a test can look at: the names and ids of the SDK's objects, bytes as base64.
function tell(fact) {
  if (fact instanceof Uint8Array) return base64(fact);
  if (Array.isArray(fact)) return fact.map(tell);
  if (fact === null || typeof fact !== 'object') return fact ?? null;
  if ('identity' in fact) {
    const { identity, sid, name, metadata, attributes, kind, audioLevel, isLocal } = fact;
    return { identity, sid, name, metadata, attributes, kind, audioLevel, isLocal };
  }
  if ('trackSid' in fact || 'sid' in fact) {
    const { sid, trackSid, trackName, source, isMuted, mimeType } = fact;
    return { sid: trackSid ?? sid, name: trackName, source, isMuted, mimeType };
  }
  if (Object.getPrototypeOf(fact) === Object.prototype) {
    return Object.fromEntries(Object.entries(fact).map(([key, value]) => [key, tell(value)]));
  }
  return String(fact);
}

const sinks = new Map(); // sid of a remote track → the element that plays it

function tellError({ name, message, reasonName, status, code }) {
  return { name, message, reasonName, status, code };
}

function watch(watched) {
  for (const name of Object.values(LivekitClient.RoomEvent)) {
    watched.on(name, (...facts) => {
      news.push(name);
      queue(name).put(facts.map(tell));
    });
  }
  watched.on('trackSubscribed', (track) => {
    if (track.kind === 'audio') sinks.set(track.sid, track.attach());
  });
  watched.on('trackUnsubscribed', (track) => {
    track.detach();
    sinks.delete(track.sid);
  });
}

async function join(url, token, roomOptions, connectOptions) {
  room = new Room(roomOptions);
  watch(room);
  await room.connect(url, token, connectOptions);
  return { sid: await room.getSid(), identity: room.localParticipant.identity };
}

function participant(identity) {
  return room.remoteParticipants.get(identity);
}

function publication(sid) {
  for (const someone of room.remoteParticipants.values()) {
    const found = someone.trackPublications.get(sid);
    if (found) return found;
  }
  throw new Error(`nobody publishes ${sid}`);
}

// The sid of somebody's track that is subscribed to, if there is one, and it sounds from then on.
function subscribedTo(identity) {
  const published = participant(identity)?.trackPublications.values() ?? [];
  const found = [...published].find((one) => one.track);
  if (found && !sinks.has(found.trackSid)) sinks.set(found.trackSid, found.track.attach());
  return found?.trackSid;
}

function localTrack(sid) {
  return room.localParticipant.trackPublications.get(sid).track;
}

// ── sound ────────────────────────────────────────────────────────────────────

// A sine of the given level in dBov (a full-scale square wave is 0) as a track of the microphone.
async function publishTone(hz, dbov, options) {
  const oscillator = new OscillatorNode(audio, { frequency: hz });
  const gain = new GainNode(audio, { gain: Math.SQRT2 * 10 ** (dbov / 20) });
  const output = new MediaStreamAudioDestinationNode(audio, { channelCount: 1 });
  oscillator.connect(gain).connect(output);
  oscillator.start();
  const [track] = output.stream.getAudioTracks();
  const publication = await room.localParticipant.publishTrack(track, {
    source: Track.Source.Microphone,
    name: `tone-${hz}`,
    ...options,
  });
  return publication.trackSid;
}


// Records a remote track as it sounds; `done(count)` says when to stop.
async function record(sid, done) {
  await recorderReady;
  await audio.resume();
  const { mediaStreamTrack } = publication(sid).track;
  const source = new MediaStreamAudioSourceNode(audio, {
    mediaStream: new MediaStream([mediaStreamTrack]),
  });
  const recorder = new AudioWorkletNode(audio, 'recorder', { numberOfOutputs: 0 });
  const blocks = [];
  let count = 0;
  await new Promise((resolve) => {
    recorder.port.onmessage = ({ data }) => {
      blocks.push(data);
      count += data.length;
      if (done(count)) resolve();
    };
    source.connect(recorder);
  });
  source.disconnect();
  recorder.port.postMessage('end');
  recorder.port.onmessage = null;
  const samples = new Int16Array(count);
  let at = 0;
  for (const block of blocks) {
    for (const value of block) samples[at++] = Math.max(-1, Math.min(1, value)) * 32767;
  }
  return base64(new Uint8Array(samples.buffer));
}

function listen(sid, seconds) {
  return record(sid, (count) => count >= seconds * SAMPLE_RATE);
}

// ── streams and calls ────────────────────────────────────────────────────────

// Whole streams of a topic arrive as events named after it.
function expectStreams(topic) {
  const arrived = (read) => async (reader, from) => {
    queue(`stream:${topic}`).put({
      from: from.identity,
      attributes: reader.info.attributes ?? {},
      content: read(await reader.readAll()),
    });
  };
  const join = (chunks) => {
    const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let at = 0;
    for (const chunk of chunks) {
      whole.set(chunk, at);
      at += chunk.length;
    }
    return base64(whole);
  };
  room.registerTextStreamHandler(topic, arrived((text) => text));
  room.registerByteStreamHandler(topic, arrived(join));
}

async function sendBytes(bytes, options) {
  const writer = await room.localParticipant.streamBytes(options);
  await writer.write(bytes);
  await writer.close();
}

// ── how long it takes ────────────────────────────────────────────────────────

// Joins, hears the first sound, leaves: milliseconds from the beginning to each.
async function timeJoin(url, token, roomOptions) {
  await recorderReady;
  await audio.resume();
  const joining = new Room(roomOptions);
  const times = {};
  const subscribed = new Promise((resolve) => joining.on('trackSubscribed', resolve));
  const began = performance.now();
  const sounds = subscribed.then(async (track) => {
    times.subscribed = performance.now() - began;
    await firstSound(track);
    times.heard = performance.now() - began;
    track.detach();
  });
  await joining.connect(url, token);
  times.connected = performance.now() - began;
  await sounds;
  await joining.disconnect();
  return times;
}

async function firstSound(track) {
  track.attach();
  const mediaStream = new MediaStream([track.mediaStreamTrack]);
  const source = new MediaStreamAudioSourceNode(audio, { mediaStream });
  const recorder = new AudioWorkletNode(audio, 'recorder', { numberOfOutputs: 0 });
  await new Promise((resolve) => {
    recorder.port.onmessage = ({ data }) => {
      if (data.some((value) => Math.abs(value) > 0.01)) resolve();
    };
    source.connect(recorder);
  });
  source.disconnect();
  recorder.port.postMessage('end');
  recorder.port.onmessage = null;
}
