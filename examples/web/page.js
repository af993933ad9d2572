// The page: which calls there are, joining one, and what is shown of it.

import { Transcript } from './transcript.js';
import { Score } from './voices.js';
import { callStatus, ending, isAgent, isPhone, minutes, nameOf, refusal } from './words.js';

const { Room, RoomEvent, Track, createLocalAudioTrack } = LivekitClient;

const LOOK_AGAIN = 1500; // milliseconds between two looks at the list of calls
const LINGER = 4000; // how long to stay in a call that everybody has left

const byId = (id) => document.getElementById(id);
const wanted = new URLSearchParams(location.search).get('room');

let room; // the room client that listens, hidden, while it is in a call
let voice; // a second one, which the others see, while the microphone is on
let myIdentity = ''; // under which they see it
let began; // when the call began, in milliseconds
let lingering;
let looking; // when to look for calls again
let lookedInVain = false;
let soundOn = true;
let audio; // made by the first click: browsers let nothing sound before
let score;
const transcript = new Transcript(byId('transcript'), speaker, age);

function speaker(identity) {
  const who = identity === myIdentity
    ? voice?.localParticipant
    : room?.remoteParticipants.get(identity);
  return { name: who ? nameOf(who) : identity, tone: score.toneOf(identity) };
}

function age() {
  return began ? (Date.now() - began) / 1000 : 0;
}

function notice(text, bad = false) {
  byId('notice').textContent = text;
  byId('notice').hidden = !text;
  byId('notice').classList.toggle('alarm', bad);
}

// ── the list of calls ────────────────────────────────────────────────────────

async function ask(question) {
  let answer;
  try {
    answer = await fetch(`api/${question}`);
  } catch {
    throw new Error('This page’s own server has stopped: start examples/web/serve.py again.');
  }
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error);
  return said;
}

async function look() {
  clearTimeout(looking);
  if (room || !byId('call').hidden) return;
  try {
    const { rooms } = await ask('rooms');
    list(wanted ? rooms.filter(({ name }) => name === wanted) : rooms);
    if (lookedInVain) notice('');
    lookedInVain = false;
  } catch (error) {
    list([]);
    notice(error.message, true);
    lookedInVain = true;
  }
  looking = setTimeout(look, LOOK_AGAIN);
}

function list(rooms) {
  const none = wanted
    ? `Waiting for the call “${wanted}”. It appears here when it begins.`
    : 'No call is running. When one begins, it appears here.';
  byId('rooms-lead').textContent = rooms.length
    ? 'Choose one to listen in. Nobody in the call sees you.'
    : none;
  const items = rooms.map(({ name, participants }) => {
    const item = document.createElement('li');
    item.innerHTML =
      '<button type="button"><span class="who"></span><span class="state"></span>' +
      '<span class="go">Listen</span></button>';
    const people = participants.map(nameOf).join(' and ');
    const phone = participants.find(({ kind }) => kind === 'sip');
    const state = [people && name, callStatus(phone?.attributes['sip.callStatus'])].filter(Boolean).join(', ');
    item.querySelector('.who').textContent = people || name;
    item.querySelector('.state').textContent = state || 'nobody is in it yet';
    item.querySelector('button').dataset.room = name;
    return item;
  });
  refill(byId('rooms-list'), items);
}

// Leaves alone what has not changed, so that a pointer or the focus does not lose its button.
function refill(element, items) {
  const fresh = items.map((item) => item.innerHTML + item.querySelector('button').dataset.room);
  if (element.dataset.shown === fresh.join()) return;
  element.dataset.shown = fresh.join();
  const focused = document.activeElement?.dataset.room;
  element.replaceChildren(...items);
  element.querySelector(`[data-room="${CSS.escape(focused ?? '')}"]`)?.focus();
}

// ── coming and going ─────────────────────────────────────────────────────────

async function connect(client, name, role) {
  const { url, identity, token } = await ask(`token?room=${encodeURIComponent(name)}&role=${role}`);
  if (role === 'speaker') myIdentity = identity;
  try {
    await client.connect(url, token, { autoSubscribe: role === 'listener' });
  } catch (error) {
    throw new Error(refusal(error, url), { cause: error });
  }
}

async function enter(name) {
  if (room) return;
  audio ??= new AudioContext();
  score ??= new Score(byId('score'), audio);
  await audio.resume();
  const joining = new Room();
  watch(joining);
  room = joining;
  try {
    await connect(joining, name, 'listener');
  } catch (error) {
    room = undefined;
    notice(error.message, true);
    look();
    return;
  }
  show(name);
  for (const participant of joining.remoteParticipants.values()) meet(participant);
  if (isOnTheLine() && age() > 3) {
    transcript.remark('You came in here. What was said before is not shown.');
  }
  controls();
}

function show(name) {
  notice('');
  byId('rooms').hidden = true;
  byId('call').hidden = byId('controls').hidden = false;
  byId('where').textContent = name;
  document.title = `${name} · Switchroom`;
}

function over(text, bad) {
  room = undefined;
  clearTimeout(lingering);
  hush();
  transcript.close();
  notice(text, bad);
  controls();
}

function back() {
  byId('call').hidden = byId('controls').hidden = true;
  byId('rooms').hidden = false;
  byId('where').textContent = byId('clock').textContent = '';
  document.title = 'Switchroom: calls';
  notice('');
  score.clear();
  transcript.clear();
  byId('nobody').hidden = false;
  began = undefined;
  look();
}

async function leave() {
  if (room) await room.disconnect();
  else back();
}

// The others see and hear the person from now on. Listening goes on as before, by itself.
async function speak() {
  const name = byId('where').textContent;
  const speaking = new Room();
  let microphone;
  try {
    microphone = await createLocalAudioTrack({ echoCancellation: true, noiseSuppression: true });
  } catch {
    notice('The browser does not let this page use a microphone.', true);
    return;
  }
  voice = speaking;
  speaking.on(RoomEvent.Disconnected, () => {
    microphone.stop();
    if (voice === speaking) hush();
  });
  try {
    await connect(speaking, name, 'speaker');
    const me = speaking.localParticipant;
    await speaking.localParticipant.publishTrack(microphone, { source: Track.Source.Microphone });
    score.hear(me, microphone);
    speaking.on(RoomEvent.ActiveSpeakersChanged, () => score.refresh(me));
    notice('');
  } catch (error) {
    hush();
    microphone.stop();
    notice(error.message, true);
  }
}

function hush() {
  const speaking = voice;
  voice = undefined;
  if (!speaking) return;
  score.forget(myIdentity);
  speaking.disconnect();
  controls();
}

async function toggleMicrophone() {
  byId('microphone').disabled = true;
  if (voice) hush();
  else await speak();
  controls();
}

// ── what happens in the call ─────────────────────────────────────────────────

function meet(participant) {
  clearTimeout(lingering);
  score.add(participant);
  const came = participant.joinedAt?.getTime() ?? Date.now();
  if (!began || isPhone(participant)) began = came;
  for (const publication of participant.trackPublications.values()) {
    if (publication.track) sound(publication.track, participant);
  }
}

function sound(track, participant) {
  if (track.kind !== Track.Kind.Audio) return;
  if (!track.attachedElements.length) track.attach().muted = !soundOn;
  score.hear(participant, track);
}

function part(participant) {
  score.remove(participant);
  if (!score.present.length) {
    // The last one who looks on should not be what keeps a room open.
    const deserted = room;
    lingering = setTimeout(() => {
      if (room !== deserted) return;
      over('The call is over.', false);
      deserted.disconnect();
    }, LINGER);
  }
  controls();
}

function watch(watched) {
  // What is heard of an earlier call, or of the person's own voice, is no news.
  const here = (act) => (...facts) => {
    if (room === watched) act(...facts);
  };
  const of = (act) => here((...facts) => {
    const who = facts.at(-1);
    if (who && who.identity !== myIdentity) act(...facts);
  });
  const lost = here(() => notice('The connection is lost. Trying to get back…', true));
  watched
    .on(RoomEvent.ParticipantConnected, of((who) => { meet(who); controls(); }))
    .on(RoomEvent.ParticipantDisconnected, here((who) => {
      if (who.identity !== myIdentity) part(who);
    }))
    .on(RoomEvent.TrackSubscribed, of((track, _, who) => sound(track, who)))
    .on(RoomEvent.TrackUnsubscribed, of((track, _, who) => {
      track.detach();
      score.unhear(who, track.sid);
    }))
    .on(RoomEvent.ParticipantAttributesChanged, of((_, who) => { score.refresh(who); controls(); }))
    .on(RoomEvent.ParticipantNameChanged, of((_, who) => score.refresh(who)))
    .on(RoomEvent.ActiveSpeakersChanged, here(() => {
      for (const { participant } of score.present) score.refresh(participant);
    }))
    .on(RoomEvent.Reconnecting, lost)
    .on(RoomEvent.SignalReconnecting, lost)
    .on(RoomEvent.Reconnected, here(() => {
      for (const who of watched.remoteParticipants.values()) {
        if (who.identity !== myIdentity) meet(who);
      }
      notice('');
    }))
    .on(RoomEvent.Disconnected, here((reason) => over(...ending(reason))));
  watched.registerTextStreamHandler('lk.transcription', here((reader, who) => {
    byId('nobody').hidden = true;
    transcript.read(reader, who);
  }));
}

// ── controls ─────────────────────────────────────────────────────────────────

function controls() {
  const agentIsThere = score?.present.some(({ participant }) => isAgent(participant));
  const [sound, microphone] = [byId('sound'), byId('microphone')];
  sound.hidden = microphone.hidden = !room;
  sound.setAttribute('aria-pressed', soundOn);
  sound.textContent = soundOn ? 'Sound on' : 'Sound off';
  microphone.setAttribute('aria-pressed', Boolean(voice));
  microphone.textContent = voice ? 'Microphone on' : 'Speak';
  // An agent attaches itself to the first person it sees, which must be the one on the phone.
  microphone.disabled = !(voice || isOnTheLine() || !agentIsThere);
  byId('leave').textContent = room ? 'Leave' : 'Back to the calls';
  byId('hint').textContent = hint(microphone.disabled);
}

function hint(tooEarly) {
  if (!room) return '';
  if (voice) return 'Everybody in the call hears you.';
  return tooEarly
    ? 'You can speak when the phone is on the line.'
    : 'Nobody in the call sees or hears you.';
}

function isOnTheLine() {
  return score?.present.some(
    ({ participant }) => isPhone(participant) && participant.attributes['sip.callStatus'] === 'active',
  );
}

function toggleSound() {
  soundOn = !soundOn;
  for (const participant of room?.remoteParticipants.values() ?? []) {
    for (const { track } of participant.trackPublications.values()) {
      for (const element of track?.attachedElements ?? []) element.muted = !soundOn;
    }
  }
  controls();
}

byId('rooms-list').addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (button) enter(button.dataset.room);
});
byId('sound').addEventListener('click', toggleSound);
byId('microphone').addEventListener('click', toggleMicrophone);
byId('leave').addEventListener('click', leave);
document.addEventListener('keydown', ({ key, ctrlKey, metaKey, altKey }) => {
  if (byId('controls').hidden || ctrlKey || metaKey || altKey) return;
  const button = { s: 'sound', m: 'microphone', Escape: 'leave' }[key];
  if (button) byId(button).click();
});

function tick(milliseconds) {
  if (room) {
    score.draw(milliseconds / 1000);
    byId('clock').textContent = began ? minutes(age()) : '';
  }
  requestAnimationFrame(tick);
}

requestAnimationFrame(tick);
look();
