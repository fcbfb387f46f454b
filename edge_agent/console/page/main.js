// Builds the page: messages update the model, and the parts of the page show it.

import { Announcer } from "./announcer.js";
import { CausalChain } from "./causalchain.js";
import { Clock } from "./clock.js";
import { LiveConnection } from "./connection.js";
import { Controls } from "./controls.js";
import { find, setAttribute, setText } from "./dom.js";
import { showEmpty } from "./empty.js";
import { EventList } from "./eventlist.js";
import { measureAge } from "./framecanvas.js";
import { Header } from "./header.js";
import { currentLanguage, formatTime, onLanguage, t, translatePage } from "./i18n.js";
import { chainOf, clockLag, freshness, lastChain, Model } from "./model.js";
import { Overview } from "./overview.js";
import { guardName, Panel } from "./panel.js";
import { PictureHistory } from "./picturehistory.js";
import { PictureView } from "./pictureview.js";
import { Timeline } from "./timeline.js";
import { Token } from "./token.js";
import { inLanguage, setTrainText } from "./traintext.js";

const WINDOWS_MS = [60_000, 120_000, 300_000, 600_000, 1_200_000];
const UPDATE_MS = 250; // nobody can read figures that change faster

/** The page. */
class Console {
  #token;
  #header;
  #controls;
  #pictureView;
  #events;
  #timeline;
  #overview;
  #connection;
  #model = new Model();
  #clock = new Clock();
  #announcer = new Announcer();
  #history = new PictureHistory();
  #panel = new Panel();
  #chain = new CausalChain();
  #selected = null;
  #requested = null;
  #skipped = 0;
  #lastSeek = 0;
  #announced = { guard: "", faults: "" };
  #chainItems = [];
  #opened = null; // the item whose picture is shown, null if a time was opened
  #newestHeader = null;

  constructor() {
    this.#token = new Token(() => this.#update());
    this.#header = new Header({ token: () => this.#token.openDialog() });
    const context = {
      targets: () => this.#targets(),
      name: (id) => this.#model.trains.get(id)?.train.name ?? id,
      nowMs: () => this.#clock.now(),
      api: () => this.#model.api,
    };
    this.#controls = new Controls({ context, token: this.#token, announcer: this.#announcer });
    this.#pictureView = new PictureView({ onDrawn: (header) => this.#onDrawn(header), onSkipped: () => (this.#skipped += 1) });
    this.#events = new EventList((item) => this.#select(item));
    this.#timeline = new Timeline({
      seek: (atMs, step) => this.#seek(atMs, step),
      live: () => this.#goLive(),
      select: (item) => this.#select(item),
    });
    this.#overview = new Overview({
      drawn: (id, header) => this.#onDrawn({ ...header, train: id }),
      open: (id) => (location.hash = `#/train/${encodeURIComponent(id)}`),
      stop: (id) => this.#controls.emergency([id]),
    });
    this.#connection = new LiveConnection(this.#clock, {
      message: (message) => this.#onMessage(message),
      frame: (frame) => this.#onFrame(frame),
      state: (state, retryMs) => this.#header.setConnection(state, retryMs),
    });
  }

  /** Connect and update the page from now on. */
  start() {
    translatePage();
    onLanguage(() => {
      translatePage();
      this.#update();
    });
    addEventListener("hashchange", () => this.#route());
    this.#route();
    this.#connection.open();
    setInterval(() => this.#update(), UPDATE_MS);
  }

  get #known() {
    return this.#selected === null ? undefined : this.#model.trains.get(this.#selected);
  }

  /** The time span of the timeline: that of the items, rounded up in steps so that its scale seldom changes. */
  #windowMs(items, nowMs) {
    const maxMs = this.#model.api.history_s * 1000;
    const spanMs = items.length ? nowMs - items[0].at_ms : 0;
    return Math.min(maxMs, WINDOWS_MS.find((windowMs) => windowMs >= spanMs) ?? maxMs);
  }

  #targets() {
    return this.#selected === null ? [...this.#model.trains.keys()] : [this.#selected];
  }

  /** Read the requested train from the URL. */
  #route() {
    const found = /^#\/train\/(.+)$/.exec(location.hash);
    this.#requested = found ? decodeURIComponent(found[1]) : null;
    this.#selectTrain();
  }

  #selectTrain() {
    const ids = [...this.#model.trains.keys()];
    const selected = ids.includes(this.#requested) ? this.#requested : ids.length === 1 ? ids[0] : null;
    if (selected === this.#selected) return;
    this.#selected = selected;
    this.#announced = { guard: "", faults: "" };
    this.#skipped = 0;
    this.#newestHeader = null;
    for (const part of [this.#pictureView, this.#events, this.#timeline, this.#chain, this.#controls]) part.clear();
    this.#connection.watch(selected);
    this.#history.open(selected);
    if (selected !== null) this.#loadItems(selected);
    this.#update();
  }

  /** Load the items from before the page was opened. */
  async #loadItems(train) {
    const items = await this.#history.items();
    if (this.#model.addItems(train, items)) this.#update();
  }

  #onMessage(message) {
    const changed = this.#model.fold(message);
    if (changed === "items") {
      const known = this.#model.trains.get(message.train);
      known.clockLagMs = clockLag(message.item, this.#clock.now(), known.clockLagMs);
    } else if (changed === "all") {
      this.#selectTrain();
      if (message.t === "hello" && this.#selected !== null) this.#loadItems(this.#selected); // items missed while disconnected
      this.#update();
    } else if (changed === "boxes" && message.train === this.#selected) {
      this.#pictureView.drawLive(this.#known);
    }
  }

  #onFrame(frame) {
    if (this.#selected === null) this.#overview.add(frame);
    else if (frame.header.train === this.#selected) {
      this.#newestHeader = frame.header;
      this.#pictureView.add(frame);
    }
  }

  #onDrawn(header) {
    const ageMs = this.#clock.now() - header.at_ms;
    measureAge(header, ageMs);
    this.#model.recordDrawn(header.train, header, ageMs, performance.now());
    this.#acknowledge(header);
    if (this.#known) this.#pictureView.drawLive(this.#known);
  }

  #acknowledge(header) {
    this.#connection.send({ t: "shown", train: header.train, frame_id: header.frame_id });
  }

  /** Show the picture of an item, or the one nearest in time. */
  #select(item) {
    this.#showStored(item.frame_id ? Promise.resolve(item) : this.#history.near(item.at_ms), item);
  }

  #seek(atMs, step) {
    this.#showStored(this.#history.near(atMs, step), null);
  }

  async #showStored(search, item) {
    this.#lastSeek += 1;
    const id = this.#lastSeek;
    const found = await search;
    const loaded = found ? await this.#history.load(found.frame_id) : null;
    if (id !== this.#lastSeek) return loaded?.bitmap?.close();
    if (!loaded) return item ? this.#announcer.polite(t("past.gone")) : undefined;
    this.#chainItems = loaded.detail.chain ?? [];
    this.#opened = item;
    this.#pictureView.showStored(loaded.detail, loaded.bitmap);
    loaded.bitmap?.close();
    this.#update();
    this.#announcer.polite(t("past.shown", { time: formatTime(loaded.detail.at_ms) }));
  }

  #goLive() {
    this.#lastSeek += 1;
    this.#opened = null;
    this.#pictureView.showLive();
    // No live picture was drawn meanwhile, so the server waits for an acknowledgement.
    if (this.#newestHeader) this.#acknowledge(this.#newestHeader);
    this.#update();
  }

  /** Update everything but the live picture. */
  #update() {
    const model = this.#model;
    const known = this.#known;
    const now = { nowMs: performance.now(), serverMs: this.#clock.now(), serverSilentMs: this.#connection.silentMs };
    this.#header.update();
    this.#header.show(model, this.#selected, this.#token.value);
    const view = model.api === null ? "loading" : known ? "train" : model.trains.size ? "overview" : "empty";
    setAttribute(document.body, "data-view", view);
    this.#controls.show(known?.train);
    this.#showTrouble(model.api?.trouble);
    if (view === "empty") showEmpty(model.api.role);
    if (view === "overview") this.#overview.show(model, now);
    if (known) this.#updateTrain(known, now);
  }

  /** Show why the server receives no events. */
  #showTrouble(trouble) {
    const box = find(".trouble");
    box.hidden = !trouble;
    setTrainText(find(".trouble-error", box), trouble?.error);
    setTrainText(find(".trouble-remedy", box), trouble?.remedy);
  }

  #updateTrain(known, now) {
    const stored = this.#pictureView.stored;
    const language = currentLanguage();
    setText(find(".train-title"), known.train.name);
    this.#pictureView.update(known, now, this.#skipped);
    this.#panel.show(known.train, language, ["offline", "silent", "ended"].includes(freshness(known, now).kind));
    this.#events.show(known.items, stored?.frame_id ?? null, language);
    const pictureUrl = (item) => this.#history.pictureUrl(item);
    const trainMs = now.serverMs - (known.clockLagMs ?? 0);
    const windowMs = this.#windowMs(known.items, trainMs);
    this.#timeline.show(known.items, { nowMs: trainMs, windowMs, atMs: stored?.at_ms ?? null, itemMs: this.#opened?.at_ms ?? null, pictureUrl, language });
    this.#chain.show(stored ? chainOf(this.#chainItems, this.#opened) : lastChain(known.items), stored?.at_ms ?? null, { past: stored !== null, language });
    this.#announceChanges(known.train);
  }

  /** Announce changes of the guard's state and of the faults to screen readers. */
  #announceChanges(train) {
    const guard = train.state?.guard ?? "";
    const faults = train.faults.filter((fault) => fault.severity === "stop").map((fault) => inLanguage(fault.message).text).join(". ");
    if (guard && guard !== this.#announced.guard && this.#announced.guard) this.#announcer.polite(guardName(guard));
    if (faults && faults !== this.#announced.faults) this.#announcer.urgent(faults);
    this.#announced = { guard, faults };
  }
}

new Console().start();
