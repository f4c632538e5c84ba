/* What a screen reader says of its own accord: little, late, and never twice.

   Kernels become busy and idle all the time. That is said only where it lasts: one that was at work
   for a while is done, or one that was at rest has been at work for a while. */

import { byId } from "./dom.js";

const LASTS = 5000;
const GATHER = 1000;

export class Announcer {
  constructor() {
    this.waiting = [];
    this.timer = 0;
    this.states = new Map();
  }

  say(sentence) {
    this.waiting.push(sentence);
    if (!this.timer) this.timer = setTimeout(() => this.speak(), GATHER);
  }

  speak() {
    this.timer = 0;
    byId("announcer").textContent = this.waiting.join(" ");
    this.waiting = [];
  }

  /* Follow a session's status; what is there at first is not announced. */
  follow(id, name, status, isFirst) {
    const known = this.states.get(id);
    if (known === undefined) {
      this.states.set(id, { status, said: status, since: Date.now(), timer: 0 });
      if (!isFirst) this.say(`${name} is there.`);
      return;
    }
    if (known.status === status) return;
    const lasted = Date.now() - known.since;
    Object.assign(known, { status, since: Date.now() });
    clearTimeout(known.timer);
    const tell = () => {
      if (known.said !== status) this.say(`${name} is ${status}.`);
      known.said = status;
    };
    if (status === "dead" || status === "restarting" || lasted >= LASTS) tell();
    else known.timer = setTimeout(tell, LASTS);
  }

  forget(id, name) {
    clearTimeout(this.states.get(id)?.timer);
    this.states.delete(id);
    this.say(`${name} has ended.`);
  }
}
