// Puts the page together: what comes in goes into the model, and from there to whoever shows it.

import { Announcer } from "./announce.js";
import { Chain } from "./chain.js";
import { Clock } from "./clock.js";
import { Controls } from "./controls.js";
import { find, mark, say } from "./dom.js";
import { showEmpty } from "./empty.js";
import { EventList } from "./eventlist.js";
import { Header } from "./header.js";
import { Past } from "./history.js";
import { clockTime, onLanguage, spoken, t, translatePage } from "./i18n.js";
import { Live } from "./live.js";
import { chainOf, clockBehind, freshness, lastChain, Model } from "./model.js";
import { Overview } from "./overview.js";
import { guardWord, Panel } from "./panel.js";
import { measureAge } from "./picture.js";
import { Stage } from "./stage.js";
import { Strip } from "./strip.js";
import { Token } from "./token.js";

const WINDOWS_MS = [60_000, 120_000, 300_000, 600_000, 1_200_000];
const TELL_MS = 250; // figures change this often: faster cannot be read

/** The console: one per page. */
class Console {
  #token;
  #header;
  #controls;
  #stage;
  #events;
  #strip;
  #overview;
  #live;
  #model = new Model();
  #clock = new Clock();
  #announcer = new Announcer();
  #past = new Past();
  #panel = new Panel();
  #chain = new Chain();
  #picked = null;
  #wanted = null;
  #overtaken = 0;
  #seeking = 0;
  #told = { guard: "", faults: "" };
  #chainItems = [];
  #newest = null;

  constructor() {
    this.#token = new Token(() => this.#tell());
    this.#header = new Header({ key: () => this.#token.ask() });
    const world = {
      targets: () => this.#targets(),
      name: (id) => this.#model.trains.get(id)?.train.name ?? id,
      nowMs: () => this.#clock.now(),
      api: () => this.#model.api,
    };
    this.#controls = new Controls({ world, token: this.#token, announcer: this.#announcer });
    this.#stage = new Stage({ onShown: (header) => this.#shown(header), onOvertaken: () => (this.#overtaken += 1) });
    this.#events = new EventList((item) => this.#pick(item));
    this.#strip = new Strip({
      seek: (atMs, step) => this.#seek(atMs, step),
      live: () => this.#goLive(),
      pick: (item) => this.#pick(item),
    });
    this.#overview = new Overview({
      shown: (id, header) => this.#shown({ ...header, train: id }),
      open: (id) => (location.hash = `#/train/${encodeURIComponent(id)}`),
      stop: (id) => this.#controls.emergency([id]),
    });
    this.#live = new Live(this.#clock, {
      message: (message) => this.#hear(message),
      frame: (frame) => this.#offer(frame),
      state: (state, retryMs) => this.#header.connection(state, retryMs),
    });
  }

  /** Start: connect, and show what comes. */
  start() {
    translatePage();
    onLanguage(() => {
      translatePage();
      this.#tell();
    });
    addEventListener("hashchange", () => this.#route());
    this.#route();
    this.#live.open();
    setInterval(() => this.#tell(), TELL_MS);
  }

  get #known() {
    return this.#picked === null ? undefined : this.#model.trains.get(this.#picked);
  }

  /** How much of the past the strip shows: what there is, in steps, so that its scale seldom changes. */
  #windowMs(items, nowMs) {
    const most = this.#model.api.history_s * 1000;
    const old = items.length ? nowMs - items[0].at_ms : 0;
    return Math.min(most, WINDOWS_MS.find((one) => one >= old) ?? most);
  }

  #targets() {
    return this.#picked === null ? [...this.#model.trains.keys()] : [this.#picked];
  }

  /** The address says which train is wanted; where there is only one, it is that. */
  #route() {
    const found = /^#\/train\/(.+)$/.exec(location.hash);
    this.#wanted = found ? decodeURIComponent(found[1]) : null;
    this.#choose();
  }

  #choose() {
    const ids = [...this.#model.trains.keys()];
    const picked = ids.includes(this.#wanted) ? this.#wanted : ids.length === 1 ? ids[0] : null;
    if (picked === this.#picked) return;
    this.#picked = picked;
    this.#told = { guard: "", faults: "" };
    this.#overtaken = 0;
    this.#newest = null;
    for (const part of [this.#stage, this.#events, this.#strip, this.#chain, this.#controls]) part.clear();
    this.#live.watch(picked);
    this.#past.open(picked);
    if (picked !== null) this.#recall(picked);
    this.#tell();
  }

  /** Ask for what happened before we looked. */
  async #recall(train) {
    const items = await this.#past.items();
    if (this.#model.addItems(train, items)) this.#tell();
  }

  #hear(message) {
    const changed = this.#model.fold(message);
    if (changed === "items") {
      const known = this.#model.trains.get(message.train);
      known.behindMs = clockBehind(message.item, this.#clock.now(), known.behindMs);
    } else if (changed === "all") {
      this.#choose();
      if (message.t === "hello" && this.#picked !== null) this.#recall(this.#picked); // what was missed meanwhile
      this.#tell();
    } else if (changed === "boxes" && message.train === this.#picked) {
      this.#stage.drawLive(this.#known);
    }
  }

  #offer(frame) {
    if (this.#picked === null) this.#overview.offer(frame);
    else if (frame.header.train === this.#picked) {
      this.#newest = frame.header;
      this.#stage.offer(frame);
    }
  }

  #shown(header) {
    const ageMs = this.#clock.now() - header.at_ms;
    measureAge(header, ageMs);
    this.#model.drawn(header.train, header, ageMs, performance.now());
    this.#acknowledge(header);
    if (this.#known) this.#stage.drawLive(this.#known);
  }

  #acknowledge(header) {
    this.#live.send({ t: "shown", train: header.train, frame_id: header.frame_id });
  }

  /** Show the picture of an item, or the one nearest to it in time. */
  #pick(item) {
    this.#show(item.frame_id ? Promise.resolve(item) : this.#past.near(item.at_ms), item);
  }

  #seek(atMs, step) {
    this.#show(this.#past.near(atMs, step), null);
  }

  async #show(finding, item) {
    this.#seeking += 1;
    const turn = this.#seeking;
    const kept = await finding;
    const loaded = kept ? await this.#past.load(kept.frame_id) : null;
    if (turn !== this.#seeking) return loaded?.bitmap?.close();
    if (!loaded) return item ? this.#announcer.calm(t("past.gone")) : undefined;
    this.#chainItems = loaded.detail.chain ?? [];
    this.#stage.showPast(loaded.detail, loaded.bitmap);
    loaded.bitmap?.close();
    this.#tell();
    this.#announcer.calm(t("past.shown", { time: clockTime(loaded.detail.at_ms) }));
  }

  #goLive() {
    this.#seeking += 1;
    this.#stage.showLive();
    if (this.#newest) this.#acknowledge(this.#newest); // while the past was shown nothing was, and the server waits
    this.#tell();
  }

  /** Write everything that is not drawn at once. */
  #tell() {
    const model = this.#model;
    const known = this.#known;
    const now = { nowMs: performance.now(), serverMs: this.#clock.now(), serverSilentMs: this.#live.silentMs };
    this.#header.tell();
    this.#header.show(model, this.#picked, this.#token.value);
    const view = model.api === null ? "loading" : known ? "train" : model.trains.size ? "overview" : "empty";
    mark(document.body, "data-view", view);
    this.#controls.show(known?.train);
    this.#tellTrouble(model.api?.trouble);
    if (view === "empty") showEmpty(model.api.role);
    if (view === "overview") this.#overview.show(model, now);
    if (known) this.#tellTrain(known, now);
  }

  /** Say what keeps the server from hearing its trains. */
  #tellTrouble(trouble) {
    const box = find(".trouble");
    box.hidden = !trouble;
    say(find(".trouble-error", box), trouble?.error ?? "");
    say(find(".trouble-remedy", box), trouble?.remedy ?? "");
  }

  #tellTrain(known, now) {
    const past = this.#stage.past;
    const language = spoken();
    say(find(".train-title"), known.train.name);
    this.#stage.tell(known, now, this.#overtaken);
    this.#panel.show(known.train, language, ["offline", "silent"].includes(freshness(known, now).kind));
    this.#events.show(known.items, past?.frame_id ?? null, language);
    const pictureUrl = (item) => this.#past.pictureUrl(item);
    const trainMs = now.serverMs - (known.behindMs ?? 0);
    const windowMs = this.#windowMs(known.items, trainMs);
    this.#strip.show(known.items, { nowMs: trainMs, windowMs, atMs: past?.at_ms ?? null, pictureUrl, language });
    this.#chain.show(past ? chainOf(this.#chainItems) : lastChain(known.items), past?.at_ms ?? null, { past: past !== null, language });
    this.#speak(known.train);
  }

  /** Tell a screen reader when the guard's state or the faults change. */
  #speak(train) {
    const guard = train.state?.guard ?? "";
    const faults = train.faults.filter((fault) => fault.severity === "stop").map((fault) => fault.message).join(". ");
    if (guard && guard !== this.#told.guard && this.#told.guard) this.#announcer.calm(guardWord(guard));
    if (faults && faults !== this.#told.faults) this.#announcer.urgent(faults);
    this.#told = { guard, faults };
  }
}

new Console().start();
