/* One session on the page. */

import { ask, pathOf } from "./access.js";
import { updateWays } from "./attach.js";
import { forgetPicture, makeCell, scrollToEnds, updateCell } from "./cells.js";
import { byId, keep, made, name, say, sayIfAny, show } from "./dom.js";
import { bytes, count, moment } from "./text.js";

const NOTE_TIME = 8000;

export class SessionView {
  constructor(id, page) {
    this.id = id;
    this.page = page;
    this.element = made("session-template");
    this.watched = null;
    this.cells = [];
    this.find("h2").id = `session-${id}`;
    this.find("article").setAttribute("aria-labelledby", `session-${id}`);
    this.find(".interrupt").addEventListener("click", () => this.interrupt());
    this.find(".restart").addEventListener("click", () => this.restart());
    this.find(".stop").addEventListener("click", () => this.stop());
    this.find(".export").addEventListener("click", () => this.download());
    this.find(".attach").addEventListener("toggle", () => this.updateWays());
    this.find(".earlier").addEventListener("toggle", (event) => scrollToEnds(event.target));
  }

  find(selector) {
    return this.element.querySelector(selector);
  }

  get name() {
    return this.watched.info.name;
  }

  // What is known of it

  update(watched) {
    this.watched = watched;
    const { info } = watched;
    say(this.find("h2"), info.name);
    this.element.dataset.status = info.status;
    say(this.find(".word"), info.status);
    say(this.find(".facts"), factsOf(info));
    sayIfAny(this.find(".problem"), info.problem || info.preparing);
    this.updateButtons();
    this.updateQueue();
    this.updateClients();
    this.updateWays();
  }

  updateButtons() {
    show(this.find(".actions"), !this.page.readOnly);
    name(this.find(".actions"), `What to do with ${this.name}`);
    name(this.find(".interrupt"), `Interrupt ${this.name}`);
    name(this.find(".restart"), `Restart ${this.name}`);
    name(this.find(".stop"), `Stop ${this.name}`);
    name(this.find(".export"), `Download as notebook: ${this.name}`);
    show(this.find(".export"), this.watched.info.document !== null);
    show(this.find(".restart"), this.watched.is_ours);
  }

  updateQueue() {
    const { queue, queued } = this.watched;
    keep(this.find(".queue"), queue, {
      key: (entry) => `${entry.client} ${entry.msg_id}`,
      make: () => made("queue-template"),
      update: updateQueued,
    });
    const hidden = queued - queue.length;
    sayIfAny(this.find(".more"), hidden > 0 ? `and ${count(hidden, "cell")} more` : "");
    show(this.find(".queue"), queue.length > 0);
    show(this.find(".who h3"), queue.length > 0);
  }

  updateClients() {
    const { clients, info } = this.watched;
    keep(this.find(".clients"), clients, {
      key: (client) => `${client.name} ${client.kind}`,
      make: () => made("client-template"),
      update: updateClient,
    });
    show(this.find(".nobody"), info.clients === 0);
  }

  updateCells(cells) {
    this.cells = cells;
    const latest = cells.slice(-1);
    const before = cells.slice(0, -1).reverse();
    const kept = {
      key: (cell) => cell.key,
      make: makeCell,
      update: (element, cell) => updateCell(element, cell, this.name),
      parted: forgetPicture,
    };
    keep(this.find(".latest"), latest, kept);
    keep(this.find(".before"), before, kept);
    show(this.find(".earlier"), before.length > 0);
    say(this.find(".earlier summary"), count(before.length, "earlier cell"));
    const why = this.watched.info.document === null ? "It is not recorded." : "No cell has run yet.";
    sayIfAny(this.find(".nothing"), cells.length ? "" : why);
  }

  updateLoad(load) {
    if (load === null) {
      say(this.find(".load"), "");
      return;
    }
    const cpu = load.cpu_percent === null ? "…" : `${load.cpu_percent} %`;
    const parts = [`CPU ${cpu}`, bytes(load.memory_bytes)];
    if (load.processes > 1) parts.push(count(load.processes, "process", "processes"));
    say(this.find(".load"), parts.join(" · "));
  }

  updateWays() {
    if (this.watched === null || !this.find(".attach").open) return;
    updateWays(this.find(".attach dl"), this.watched.info, this.page.announcer);
  }

  /* Let the counts go on, without a word from the daemon. */
  tick(now) {
    for (const element of this.element.querySelectorAll(".count[data-since]")) {
      say(element, this.page.since(element.dataset.since, now));
    }
  }

  // What can be done with it

  async interrupt() {
    await this.act("Interrupted.", () => ask(pathOf(this.name, "interrupt"), "POST"));
  }

  async restart() {
    const sure = await this.page.sure({
      title: `Restart ${this.name}?`,
      text: "Its variables are gone then, for everybody who is attached. Who is attached stays so.",
      yes: `Restart ${this.name}`,
      id: this.id,
    });
    if (sure) await this.act("Restarting.", () => ask(pathOf(this.name, "restart"), "POST"));
  }

  async stop() {
    const sure = await this.page.sure({
      title: `Stop ${this.name}?`,
      text:
        "Its kernel ends, and its variables are gone. What was recorded stays: " +
        `kmux export ${this.name} makes a notebook of it.`,
      yes: `Stop ${this.name}`,
      id: this.id,
    });
    if (sure) await this.act("Stopping…", () => ask(pathOf(this.name), "DELETE"), true);
  }

  async download() {
    await this.act("Written.", async () => {
      this.note("Making a notebook…");
      const notebook = await (await ask(pathOf(this.name, "export"))).blob();
      const link = document.createElement("a");
      link.href = URL.createObjectURL(notebook);
      link.download = `${this.name}.ipynb`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    });
  }

  async act(done, action, isSaidBefore = false) {
    if (isSaidBefore) this.note(done);
    try {
      await action();
      if (!isSaidBefore) this.note(done);
    } catch (error) {
      this.note(error.status === undefined ? "The daemon is away." : error.message);
    }
  }

  note(text) {
    sayIfAny(this.find(".note"), text);
    this.page.announcer.say(`${this.name}: ${text}`);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => sayIfAny(this.find(".note"), ""), NOTE_TIME);
  }

  /* It is gone. Whoever was on it is put where it was. */
  part() {
    clearTimeout(this.timer);
    forgetPicture(this.element);
    const hadFocus = this.element.contains(document.activeElement);
    const near = this.element.nextElementSibling ?? this.element.previousElementSibling;
    this.element.remove();
    if (hadFocus) (near?.querySelector("h2") ?? byId("title")).focus();
  }
}

function factsOf(info) {
  const facts = [info.kernel];
  if (info.language && !info.kernel.startsWith(info.language)) facts.push(info.language);
  if (info.env_source) facts.push(info.env_source);
  if (info.pid !== null) facts.push(`process ${info.pid}`);
  if (info.created) facts.push(`since ${moment(info.created)}`);
  if (info.notebook) facts.push(info.notebook);
  return facts.join(" · ");
}

function updateQueued(element, entry) {
  const isRunning = entry.state === "executing";
  element.dataset.state = entry.state;
  say(element.querySelector(".what-it-does"), isRunning ? "runs" : "waits");
  say(element.querySelector("code"), entry.code || "(no code)");
  say(element.querySelector(".by"), entry.client);
  const time = element.querySelector(".count");
  if (entry.since) time.dataset.since = entry.since;
  else delete time.dataset.since;
}

function updateClient(element, client) {
  say(element.querySelector(".kind"), client.kind.replaceAll("_", " "));
  say(element.querySelector(".name"), client.name);
  say(element.querySelector(".since"), `since ${moment(client.since)}`);
}
