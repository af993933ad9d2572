// The score: a lane for each voice, drawn as time goes by. Agent above, phone below, others after.

import { detailOf, isAgent, isPhone, nameOf, stateOf } from './words.js';

const BAR = 3; // pixels
const PITCH = 5; // from bar to bar
const BAR_SECONDS = 0.1;
const REMEMBERED = 1000; // bars
const QUIETEST = -50; // dBFS: below this is a dot
const LOUDEST = -10;

const TONES = ['tone-1', 'tone-2', 'tone-3', 'tone-4'];

class Voice {
  #tones = new Map(); // sid of a track → the node that brings its sound
  #power = 0;
  #samples = 0;
  bars = [];

  constructor(participant, tone, audio) {
    this.participant = participant;
    this.tone = tone;
    this.audio = audio;
    this.analyser = new AnalyserNode(audio, { fftSize: 2048 });
    this.samples = new Float32Array(this.analyser.fftSize);
    this.element = document.createElement('article');
    this.element.className = `voice ${tone}`;
    this.element.innerHTML =
      '<header><h2></h2><span class="detail"></span><span class="state"></span></header>' +
      '<canvas aria-hidden="true"></canvas>';
    this.canvas = this.element.querySelector('canvas');
    this.refresh();
  }

  // Agents come first, then phones: the order of the lanes.
  get rank() {
    if (isAgent(this.participant)) return 0;
    return isPhone(this.participant) ? 1 : 2;
  }

  refresh() {
    const tell = (selector, text) => {
      this.element.querySelector(selector).textContent = text;
    };
    const state = this.gone ? 'has left' : stateOf(this.participant);
    tell('h2', nameOf(this.participant));
    tell('.detail', detailOf(this.participant));
    tell('.state', state);
    this.element.classList.toggle('speaking', state === 'speaking');
    this.element.classList.toggle('gone', Boolean(this.gone));
  }

  hear(sid, mediaStreamTrack) {
    this.unhear(sid);
    const mediaStream = new MediaStream([mediaStreamTrack]);
    const source = new MediaStreamAudioSourceNode(this.audio, { mediaStream });
    source.connect(this.analyser);
    this.#tones.set(sid, source);
  }

  unhear(sid) {
    this.#tones.get(sid)?.disconnect();
    this.#tones.delete(sid);
  }

  leave() {
    for (const sid of this.#tones.keys()) this.unhear(sid);
    this.gone = true;
    this.refresh();
  }

  // Listens to this moment; `bar` closes what was heard since the last one.
  sample() {
    this.analyser.getFloatTimeDomainData(this.samples);
    for (const value of this.samples) this.#power += value * value;
    this.#samples += this.samples.length;
  }

  bar() {
    const level = 10 * Math.log10(this.#power / Math.max(1, this.#samples) + 1e-10);
    const height = Math.min(1, Math.max(0, (level - QUIETEST) / (LOUDEST - QUIETEST)));
    this.bars.push(height ** 1.7);
    if (this.bars.length > REMEMBERED) this.bars.shift();
    this.#power = this.#samples = 0;
  }

  // `place` 0 grows upwards, 1 downwards, the others both ways; `shift` is the part of a bar gone by.
  draw(place, shift) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const scale = window.devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * scale)) this.canvas.width = Math.round(width * scale);
    if (this.canvas.height !== Math.round(height * scale)) this.canvas.height = Math.round(height * scale);
    const pen = this.canvas.getContext('2d');
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.fillStyle = getComputedStyle(this.element).getPropertyValue('--voice');
    for (let back = 0; back * PITCH < width + PITCH; back += 1) {
      const x = width - BAR - (back + shift) * PITCH;
      const loud = this.bars[this.bars.length - 1 - back] ?? 0;
      const length = Math.max(BAR, loud * (height - 6));
      const y = place === 0 ? height - 3 - length : place === 1 ? 3 : (height - length) / 2;
      pen.globalAlpha = loud > 0 ? 1 : 0.28;
      pen.beginPath();
      pen.roundRect(x, y, BAR, length, BAR / 2);
      pen.fill();
    }
  }
}

export class Score {
  #voices = new Map(); // identity → Voice
  #nextBar = 0;
  #still = matchMedia('(prefers-reduced-motion: reduce)');

  constructor(element, audio) {
    this.element = element;
    this.audio = audio;
  }

  get present() {
    return [...this.#voices.values()].filter((voice) => !voice.gone && !voice.participant.isLocal);
  }

  toneOf(identity) {
    return this.#voices.get(identity)?.tone ?? 'tone-4';
  }

  add(participant) {
    const known = this.#voices.get(participant.identity);
    if (known) {
      known.participant = participant;
      known.gone = false;
      known.refresh();
      return known;
    }
    this.#clearPlaceOf(participant);
    const voice = new Voice(participant, this.#freeTone(participant), this.audio);
    this.#voices.set(participant.identity, voice);
    this.element.append(...this.#inOrder().map(({ element }) => element));
    return voice;
  }

  // Who has left is shown until another of the kind comes.
  #clearPlaceOf({ kind }) {
    for (const [identity, voice] of this.#voices) {
      if (voice.gone && voice.participant.kind === kind) {
        voice.element.remove();
        this.#voices.delete(identity);
      }
    }
  }

  #freeTone(participant) {
    const own = isAgent(participant) ? 0 : isPhone(participant) ? 1 : 2;
    const taken = new Set([...this.#voices.values()].map((voice) => voice.tone));
    const wished = [TONES[own], 'tone-3', 'tone-4', ...TONES];
    return wished.find((tone) => !taken.has(tone)) ?? 'tone-4';
  }

  #inOrder() {
    return [...this.#voices.values()].sort((one, other) => one.rank - other.rank);
  }

  refresh(participant) {
    this.#voices.get(participant.identity)?.refresh();
  }

  remove(participant) {
    this.#voices.get(participant.identity)?.leave();
  }

  forget(identity) {
    const voice = this.#voices.get(identity);
    voice?.leave();
    voice?.element.remove();
    this.#voices.delete(identity);
  }

  hear(participant, track) {
    this.add(participant).hear(track.sid, track.mediaStreamTrack);
  }

  unhear(participant, sid) {
    this.#voices.get(participant.identity)?.unhear(sid);
  }

  clear() {
    for (const voice of this.#voices.values()) voice.leave();
    this.#voices.clear();
    this.element.replaceChildren();
  }

  // `now` in seconds, from any start.
  draw(now) {
    if (now - this.#nextBar > 5) this.#nextBar = now; // the page was out of sight
    const voices = this.#inOrder();
    for (const voice of voices) voice.sample();
    const steps = now >= this.#nextBar;
    while (now >= this.#nextBar) {
      for (const voice of voices) voice.bar();
      this.#nextBar += BAR_SECONDS;
    }
    if (this.#still.matches && !steps) return;
    const shift = this.#still.matches ? 0 : 1 - (this.#nextBar - now) / BAR_SECONDS;
    voices.forEach((voice, place) => voice.draw(place, shift));
  }
}
