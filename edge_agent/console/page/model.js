// The state of all trains, folded from the messages. Without access to page, network or clock.

const MAX_ITEMS = 1000;
const MAX_BOXES = 12;
const BOXES_MAX_AGE_MS = 350; // boxes of a picture up to this much older are still drawn
const SILENT_MS = 3000;
const NO_PICTURE_MS = 1500;
const CLOCK_TOLERANCE_MS = 3000;

/** The state of one train. */
function newTrain(train) {
  return { train, items: [], ids: new Set(), boxes: new Map(), last: null, skipped: 0, drawnMs: [], ages: [] };
}

/** The state of the page: `trains` maps an id to `{train, items, boxes, ...}`; `api` describes the server. */
export class Model {
  trains = new Map();
  api = null;

  /** Apply a message; return what it changed: `all`, `train`, `items`, `boxes` or null. */
  fold(message) {
    switch (message.t) {
      case "hello":
        this.api = message.api;
        this.#removeOthers(message.trains.map((train) => train.id));
        for (const train of message.trains) this.#addTrain(train);
        return "all";
      case "train":
        return this.#addTrain(message.train);
      case "gone":
        this.trains.delete(message.id);
        return "all";
      case "item":
        return this.addItems(message.train, [message.item]) ? "items" : null;
      case "trouble":
        this.api.trouble = message.trouble;
        return "train";
      case "boxes":
        return this.#addBoxes(message);
      default:
        return null;
    }
  }

  #removeOthers(ids) {
    for (const id of this.trains.keys()) if (!ids.includes(id)) this.trains.delete(id);
  }

  #addTrain(train) {
    const known = this.trains.get(train.id);
    if (known) {
      known.train = train;
      return "train";
    }
    this.trains.set(train.id, newTrain(train));
    return "all";
  }

  /** Add items to a train, sorted by time and without duplicates; return whether any was new. */
  addItems(id, items) {
    const known = this.trains.get(id);
    if (!known) return false;
    const fresh = items.filter((item) => !known.ids.has(item.id));
    for (const item of fresh) known.ids.add(item.id);
    known.items.push(...fresh);
    if (fresh.length) known.items.sort((a, b) => a.at_ms - b.at_ms);
    while (known.items.length > MAX_ITEMS) known.ids.delete(known.items.shift().id);
    return fresh.length > 0;
  }

  #addBoxes(message) {
    const known = this.trains.get(message.train);
    if (!known) return null;
    known.boxes.set(message.frame_id, message);
    known.last = message;
    if (known.boxes.size > MAX_BOXES) known.boxes.delete(known.boxes.keys().next().value);
    return "boxes";
  }

  /** Record that a picture was drawn `ageMs` after its exposure. */
  recordDrawn(id, header, ageMs, nowMs) {
    const known = this.trains.get(id);
    if (!known) return;
    known.shown = { header, drawnMs: nowMs };
    known.drawnMs = [...known.drawnMs.filter((at) => nowMs - at < 2000), nowMs];
    known.ages = [...known.ages.slice(-9), ageMs];
    known.skipped += header.skipped ?? 0;
  }
}

/**
 * How far a train's clock lags behind the server's, in ms, estimated from an item that has just arrived; 0 within the
 * usual transport delay.
 */
export function clockLag(item, serverMs, before) {
  const clockLagMs = serverMs - item.at_ms;
  const best = before === undefined || Math.abs(clockLagMs) < Math.abs(before) ? clockLagMs : before;
  return Math.abs(best) < CLOCK_TOLERANCE_MS ? 0 : best;
}

/** The boxes to draw over a picture: its own, else the newest if they are hardly older. */
export function boxesFor(known, header) {
  const own = known.boxes.get(header.frame_id);
  if (own) return own;
  const last = known.last;
  return last && Math.abs(header.at_ms - last.at_ms) <= BOXES_MAX_AGE_MS ? last : null;
}

/** Pictures drawn per second over the last two seconds. */
export function rate(known, nowMs) {
  const recent = known.drawnMs.filter((at) => nowMs - at < 2000);
  return recent.length ? (recent.length * 1000) / Math.max(1000, nowMs - recent[0]) : 0;
}

/** The age of what is shown: the median of the last pictures, or the current age if no new one arrives. */
export function shownAge(known, nowMs) {
  if (!known.shown) return NaN;
  const waited = nowMs - known.shown.drawnMs;
  const sorted = [...known.ages].sort((a, b) => a - b);
  return waited > 600 ? known.ages.at(-1) + waited : sorted[Math.floor(sorted.length / 2)];
}

/**
 * Whether what is shown of a train is current: `fresh`, or `offline` (no messages from the server), `silent` (the server
 * receives no events of the train), `ended` (the run is over), `paused` (capturing was stopped by command), `blind` (no new
 * pictures), `never` (no picture yet).
 */
export function freshness(known, { nowMs, serverMs, serverSilentMs, slow = false }) {
  if (known.train.state?.ended) return { kind: "ended", ms: 0 };
  if (serverSilentMs > SILENT_MS) return { kind: "offline", ms: serverSilentMs };
  if (known.train.stale) return { kind: "silent", ms: serverMs - known.train.seen_ms };
  if (!known.shown) return { kind: "never", ms: 0 };
  const waitedMs = nowMs - known.shown.drawnMs;
  if (waitedMs <= (slow ? 2 * NO_PICTURE_MS : NO_PICTURE_MS)) return { kind: "fresh", ms: waitedMs };
  return { kind: known.train.state?.capture_stopped ? "paused" : "blind", ms: waitedMs };
}

/** The stops among items: each brake after a drive command. */
export function stops(items) {
  const motor = items.filter((item) => item.kind === "command" && item.data.kind !== "light");
  return motor.filter((item, index) => item.data.kind === "brake" && motor[index - 1]?.data.kind === "drive");
}

/** The newest chain sign -> decision -> command among items; [] if no sign has led to a decision yet. */
export function lastChain(items) {
  const index = items.findLastIndex((item) => item.kind === "decision" && item.frame_id && item.data.sign);
  if (index < 0) return [];
  const decision = items[index];
  const command = items.slice(index).find((item) => item.kind === "command" && item.data.decision_id === decision.id);
  return [sightingOf(decision, items), decision, command].filter(Boolean);
}

/** The chain sign -> decision -> command of one picture: that of the opened decision or command, else of the last one. */
export function chainOf(items, opened = null) {
  const last = (kind) => items.findLast((item) => item.kind === kind);
  const ofOpened = items.find((item) => item.kind === "command" && [item.id, item.data.decision_id].includes(opened?.id));
  const command = ofOpened ?? last("command");
  const decision = items.find((item) => item.id === command?.data.decision_id) ?? last("decision");
  return [decision ? sightingOf(decision, items) : last("sign"), decision, command].filter(Boolean);
}

/** The sighting of the sign that a decision is based on. */
function sightingOf(decision, items) {
  const matches = (item) => item.kind === "sign" && item.data.label === decision.data.sign && item.at_ms <= decision.at_ms;
  return items.findLast(matches);
}
