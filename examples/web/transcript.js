// What is said, as livekit-agents tells it: text streams of the topic `lk.transcription`.
//
// An agent's words come piece by piece in one stream. What it understood comes as a whole each time, a
// new stream for each guess; streams of one segment replace each other.

import { minutes } from './words.js';

const SEGMENT = 'lk.segment_id';
const FINAL = 'lk.transcription_final';

export class Transcript {
  #lines = new Map(); // segment → its line
  #newest = new Map(); // segment → the stream that tells it now

  // `speaker(identity)` gives { name, tone }; `seconds()` how old the call is.
  constructor(list, speaker, seconds) {
    this.list = list;
    this.speaker = speaker;
    this.seconds = seconds;
  }

  clear() {
    this.#lines.clear();
    this.#newest.clear();
    this.list.replaceChildren();
  }

  // Nothing more comes.
  close() {
    for (const segment of this.#lines.keys()) this.#finish(segment);
  }

  // A remark of the page itself.
  remark(text) {
    const line = document.createElement('li');
    const time = document.createElement('time');
    const aside = document.createElement('span');
    time.textContent = minutes(this.seconds());
    aside.className = 'aside';
    aside.textContent = text;
    line.append(time, aside);
    this.#show(line);
  }

  async read(reader, { identity }) {
    const segment = reader.info.attributes?.[SEGMENT] ?? reader.info.id;
    this.#newest.set(segment, reader.info.id);
    let text = '';
    try {
      for await (const piece of reader) {
        text += piece;
        if (this.#newest.get(segment) === reader.info.id) this.#write(segment, identity, text);
      }
    } catch {
      // Whoever spoke has left in the middle of a word: what there is stays.
    }
    if (reader.info.attributes?.[FINAL] !== 'false') this.#finish(segment);
  }

  #write(segment, identity, text) {
    if (!text.trim()) return;
    let line = this.#lines.get(segment);
    if (!line) {
      line = this.#line(identity);
      this.#lines.set(segment, line);
      this.#show(line);
    }
    const atEnd = this.#atEnd();
    line.querySelector('p').textContent = text.trim();
    if (atEnd) this.#scroll();
  }

  #finish(segment) {
    this.#lines.get(segment)?.classList.remove('unfinished');
  }

  #line(identity) {
    const { name, tone } = this.speaker(identity);
    const line = document.createElement('li');
    line.className = `unfinished ${tone}`;
    line.innerHTML = '<time></time><span class="who"></span><p></p>';
    line.querySelector('time').textContent = minutes(this.seconds());
    line.querySelector('.who').textContent = name;
    return line;
  }

  #show(line) {
    const atEnd = this.#atEnd();
    this.list.append(line);
    if (atEnd) this.#scroll();
  }

  #atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.list;
    return scrollHeight - scrollTop - clientHeight < 40;
  }

  #scroll() {
    this.list.scrollTop = this.list.scrollHeight;
  }
}
