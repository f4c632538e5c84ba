/* The status page: what the daemon tells, and what a person may do about it. */

import { setToken, takeToken, token } from "./access.js";
import { Announcer } from "./announcer.js";
import { byId, keep, say, sayIfAny, show } from "./dom.js";
import { Feed } from "./feed.js";
import { SessionView } from "./session.js";
import { count, counted } from "./text.js";

class Page {
  constructor() {
    this.views = new Map();
    this.readOnly = false;
    this.announcer = new Announcer();
    this.clockAhead = 0;
    this.asking = null;
    this.isAway = false;
    this.feed = new Feed({
      told: (news, isFirst) => this.told(news, isFirst),
      connected: (daemon) => this.connected(daemon),
      away: () => this.away(),
      refused: () => this.askForToken("This token is not the daemon's."),
    });
    byId("door").addEventListener("submit", (event) => this.enter(event));
    setInterval(() => this.tick(), 1000);
  }

  open() {
    takeToken();
    if (token() === null) this.askForToken("");
    else this.feed.open();
  }

  // The token

  askForToken(why) {
    setToken(null);
    this.feed.stop();
    this.clear();
    show(byId("door"), true);
    say(byId("door-error"), why);
    say(byId("connection"), "");
    byId("token").focus();
  }

  enter(event) {
    event.preventDefault();
    setToken(byId("token").value);
    byId("token").value = "";
    say(byId("door-error"), "");
    this.feed.open();
  }

  // What the daemon tells

  connected(daemon) {
    show(byId("door"), false);
    document.body.classList.remove("is-away");
    if (this.isAway) this.announcer.say("The daemon is back.");
    this.isAway = false;
    say(byId("daemon"), `kmux ${daemon.version} · process ${daemon.pid} · log ${daemon.log_file}`);
    const broken = Object.entries(daemon.broken);
    show(byId("broken"), broken.length > 0);
    keep(byId("broken"), broken, {
      key: ([directory]) => directory,
      make: () => document.createElement("li"),
      update: (line, [directory, why]) => say(line, `${directory}: ${why}`),
    });
  }

  away() {
    if (!byId("door").hidden) return;
    document.body.classList.add("is-away");
    say(byId("connection"), "The daemon is away. Trying again…");
    if (!this.isAway) this.announcer.say("The daemon is away. This page tries again by itself.");
    this.isAway = true;
  }

  told(news, isFirst) {
    this.clockAhead = Date.parse(news.now) - Date.now();
    if (news.read_only !== undefined) this.readOnly = news.read_only;
    say(byId("connection"), this.readOnly ? "Live, to look at only" : "Live");
    if (news.order !== undefined) this.arrange(news.order);
    for (const [id, watched] of Object.entries(news.sessions ?? {})) {
      const view = this.views.get(id);
      view.update(watched);
      this.announcer.follow(id, view.name, watched.info.status, isFirst);
    }
    this.summarize();
    for (const [id, cells] of Object.entries(news.cells ?? {})) this.views.get(id).updateCells(cells);
    for (const [id, load] of Object.entries(news.loads ?? {})) this.views.get(id).updateLoad(load);
    this.tick();
  }

  arrange(order) {
    const wanted = new Set(order);
    for (const [id, view] of [...this.views]) {
      if (!wanted.has(id)) this.part(id, view);
    }
    for (const id of order) {
      if (!this.views.has(id)) this.views.set(id, new SessionView(id, this));
    }
    keep(byId("sessions"), order, {
      key: (id) => id,
      make: (id) => this.views.get(id).element,
      update: () => {},
    });
  }

  part(id, view) {
    if (this.asking === id) byId("sure").close("no");
    this.announcer.forget(id, view.name);
    view.part();
    this.views.delete(id);
  }

  clear() {
    for (const view of this.views.values()) view.part();
    this.views.clear();
    show(byId("sessions"), false);
    show(byId("empty"), false);
    say(byId("summary"), "");
    document.title = "kmux";
  }

  summarize() {
    const all = [...this.views.values()];
    const busy = all.filter((view) => view.watched.info.status === "busy").length;
    const dead = all.filter((view) => view.watched.info.status === "dead").length;
    const parts = [count(all.length, "session")];
    if (busy) parts.push(`${busy} busy`);
    if (dead) parts.push(`${dead} dead`);
    sayIfAny(byId("summary"), all.length ? parts.join(", ") : "");
    show(byId("sessions"), all.length > 0);
    show(byId("empty"), all.length === 0);
    const title = busy ? `${busy} busy · kmux` : "kmux";
    if (document.title !== title) document.title = title;
  }

  // Time

  tick() {
    const now = Date.now() + this.clockAhead;
    for (const view of this.views.values()) view.tick(now);
  }

  since(iso, now) {
    return counted((now - Date.parse(iso)) / 1000);
  }

  // Questions

  /* Ask whether it is meant. Cancel has the focus at first; it goes back to the button then. */
  sure({ title, text, yes, id }) {
    const dialog = byId("sure");
    say(byId("sure-title"), title);
    say(byId("sure-text"), text);
    say(byId("sure-yes"), yes);
    this.asking = id;
    dialog.returnValue = "no";
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener(
        "close",
        () => {
          this.asking = null;
          resolve(dialog.returnValue === "yes");
        },
        { once: true },
      );
    });
  }
}

new Page().open();
