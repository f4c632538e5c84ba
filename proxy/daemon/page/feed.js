/* What the daemon tells, for as long as somebody looks: one WebSocket, opened again when it breaks.

   Before each attempt the daemon is asked by HTTP, since a WebSocket does not say why it cannot be
   opened: whether the daemon is away, or the token is another. */

import { ask, token } from "./access.js";

const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 5000;
const HIDDEN_PAUSE = 10000;

export class Feed {
  /* `told(news, isFirst)`, `connected(daemon)`, `away()`, `refused()` */
  constructor(audience) {
    this.audience = audience;
    this.socket = null;
    this.timer = 0;
    this.pause = FIRST_PAUSE;
    this.attempt = 0;
    document.addEventListener("visibilitychange", () => this.seen(!document.hidden));
  }

  open() {
    this.stop();
    this.connect(this.attempt);
  }

  stop() {
    clearTimeout(this.timer);
    this.attempt += 1;
    this.socket?.close();
    this.socket = null;
  }

  /* A tab that nobody sees costs nothing, after a while. */
  seen(isSeen) {
    clearTimeout(this.hiding);
    if (!isSeen) {
      this.hiding = setTimeout(() => this.stop(), HIDDEN_PAUSE);
    } else if (this.socket === null && token() !== null) {
      this.pause = FIRST_PAUSE;
      this.open();
    }
  }

  async connect(attempt) {
    let daemon;
    try {
      daemon = await (await ask("/kmux/daemon")).json();
    } catch (error) {
      if (attempt !== this.attempt) return;
      if (error.status === 403) this.audience.refused();
      else this.retry();
      return;
    }
    if (attempt !== this.attempt) return;
    this.listen(daemon);
  }

  listen(daemon) {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const url = `${scheme}//${location.host}/kmux/watch?token=${encodeURIComponent(token())}`;
    const socket = new WebSocket(url);
    let isFirst = true;
    this.socket = socket;
    socket.onmessage = (event) => {
      if (socket !== this.socket) return;
      if (isFirst) this.audience.connected(daemon);
      this.pause = FIRST_PAUSE;
      this.audience.told(JSON.parse(event.data), isFirst);
      isFirst = false;
    };
    socket.onclose = () => {
      if (socket === this.socket) this.retry();
    };
  }

  retry() {
    this.socket = null;
    this.audience.away();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), this.pause);
    this.pause = Math.min(LONGEST_PAUSE, this.pause * 1.6);
  }
}
