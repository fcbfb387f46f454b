// What is known of the trains, folded from the messages. Pure: no page, no network, no clock of its own.

const ITEMS_KEPT = 1000;
const BOXES_KEPT = 12;
const FEW_MS = 350; // the boxes of a picture this much older still tell something about the one shown
const SILENT_MS = 3000;
const BLIND_MS = 1500;
const CLOCKS_AGREE_MS = 3000;

/** One train as the page knows it. */
function newTrain(train) {
  return { train, items: [], ids: new Set(), boxes: new Map(), last: null, skipped: 0, drawnMs: [], ages: [] };
}

/** All that is known: `trains` maps an id to `{train, items, boxes, ...}`; `api` is the server's own description. */
export class Model {
  trains = new Map();
  api = null;

  /** Take in a message of the live connection; return what it changed, for whoever shows it. */
  fold(message) {
    switch (message.t) {
      case "hello":
        this.api = message.api;
        this.#only(message.trains.map((train) => train.id));
        for (const train of message.trains) this.#put(train);
        return "all";
      case "train":
        return this.#put(message.train);
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

  #only(ids) {
    for (const id of this.trains.keys()) if (!ids.includes(id)) this.trains.delete(id);
  }

  #put(train) {
    const have = this.trains.get(train.id);
    if (have) {
      have.train = train;
      return "train";
    }
    this.trains.set(train.id, newTrain(train));
    return "all";
  }

  /** Add items to a train's, oldest first and each once; return whether any was new. */
  addItems(id, items) {
    const have = this.trains.get(id);
    if (!have) return false;
    const fresh = items.filter((item) => !have.ids.has(item.id));
    for (const item of fresh) have.ids.add(item.id);
    have.items.push(...fresh);
    if (fresh.length) have.items.sort((one, other) => one.at_ms - other.at_ms);
    while (have.items.length > ITEMS_KEPT) have.ids.delete(have.items.shift().id);
    return fresh.length > 0;
  }

  #addBoxes(message) {
    const have = this.trains.get(message.train);
    if (!have) return null;
    have.boxes.set(message.frame_id, message);
    have.last = message;
    if (have.boxes.size > BOXES_KEPT) have.boxes.delete(have.boxes.keys().next().value);
    return "boxes";
  }

  /** Note that a picture was drawn `ageMs` after it was taken. */
  drawn(id, header, ageMs, nowMs) {
    const have = this.trains.get(id);
    if (!have) return;
    have.shown = { header, drawnMs: nowMs };
    have.drawnMs = [...have.drawnMs.filter((at) => nowMs - at < 2000), nowMs];
    have.ages = [...have.ages.slice(-9), ageMs];
    have.skipped += header.skipped ?? 0;
  }
}

/**
 * How far a train's wall clock is behind the server's, in ms, told from an item that has just come; 0 where they agree
 * within what the way here may take.
 */
export function clockBehind(item, serverMs, before) {
  const behindMs = serverMs - item.at_ms;
  const best = before === undefined || Math.abs(behindMs) < Math.abs(before) ? behindMs : before;
  return Math.abs(best) < CLOCKS_AGREE_MS ? 0 : best;
}

/** The prediction to draw over a picture: its own, else the newest if it is hardly older. */
export function boxesFor(known, header) {
  const own = known.boxes.get(header.frame_id);
  if (own) return own;
  const last = known.last;
  return last && Math.abs(header.at_ms - last.at_ms) <= FEW_MS ? last : null;
}

/** Pictures drawn per second over the last two seconds. */
export function rate(known, nowMs) {
  const recent = known.drawnMs.filter((at) => nowMs - at < 2000);
  return recent.length ? (recent.length * 1000) / Math.max(1000, nowMs - recent[0]) : 0;
}

/** How old what is shown is: the middle of the last few pictures, or the true age of one that stands still. */
export function shownAge(known, nowMs) {
  if (!known.shown) return NaN;
  const waited = nowMs - known.shown.drawnMs;
  const sorted = [...known.ages].sort((one, other) => one - other);
  return waited > 600 ? known.ages.at(-1) + waited : sorted[Math.floor(sorted.length / 2)];
}

/**
 * Whether what is shown of a train can still be trusted: `fresh`, or `offline` (this page hears nothing of the
 * server), `silent` (the server hears nothing of the train), `blind` (no picture comes), `never` (none ever came).
 */
export function freshness(known, { nowMs, serverMs, serverSilentMs, slow = false }) {
  if (serverSilentMs > SILENT_MS) return { kind: "offline", ms: serverSilentMs };
  if (known.train.stale) return { kind: "silent", ms: serverMs - known.train.seen_ms };
  if (!known.shown) return { kind: "never", ms: 0 };
  const waitedMs = nowMs - known.shown.drawnMs;
  return waitedMs > (slow ? 2 * BLIND_MS : BLIND_MS) ? { kind: "blind", ms: waitedMs } : { kind: "fresh", ms: waitedMs };
}

/** The stops among items: each brake of a train that drove before. */
export function stops(items) {
  const motor = items.filter((item) => item.kind === "command" && item.data.kind !== "light");
  return motor.filter((item, place) => item.data.kind === "brake" && motor[place - 1]?.data.kind === "drive");
}

/** The newest chain sign -> decision -> command among items; [] where no sign has led to a decision yet. */
export function lastChain(items) {
  const place = items.findLastIndex((item) => item.kind === "decision" && item.frame_id && item.data.sign);
  if (place < 0) return [];
  const decision = items[place];
  const command = items.slice(place).find((item) => item.kind === "command" && item.data.decision_id === decision.id);
  return [signBehind(decision, items), decision, command].filter(Boolean);
}

/** The chain of one picture among all that has to do with it: what was done last, and why. */
export function chainOf(items) {
  const last = (kind) => items.findLast((item) => item.kind === kind);
  const command = last("command");
  const decision = items.find((item) => item.id === command?.data.decision_id) ?? last("decision");
  return [decision ? signBehind(decision, items) : last("sign"), decision, command].filter(Boolean);
}

/** The sighting of the sign that a decision rests on. */
function signBehind(decision, items) {
  const fits = (item) => item.kind === "sign" && item.data.label === decision.data.sign && item.at_ms <= decision.at_ms;
  return items.findLast(fits);
}
