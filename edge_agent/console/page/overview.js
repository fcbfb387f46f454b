// Several trains at a glance: a small picture, the state and an emergency stop for each.

import { find, icon, make, mark, say } from "./dom.js";
import { figure, span, t } from "./i18n.js";
import { freshness } from "./model.js";
import { guardIcon, guardWord } from "./panel.js";
import { Picture } from "./picture.js";

/** The grid. `on.shown(id, header)`, `on.open(id)` and `on.stop(id)` are called. */
export class Overview {
  #list = find(".tiles");
  #tiles = new Map();
  #on;

  constructor(on) {
    this.#on = on;
  }

  /** Take a picture of one train. */
  offer(frame) {
    this.#tiles.get(frame.header.train)?.picture.offer(frame);
  }

  /** Show what is known; `now` as freshness() wants it. */
  show(model, now) {
    const wanted = [...model.trains.values()].sort((one, other) => one.train.name.localeCompare(other.train.name));
    for (const [id, tile] of this.#tiles) {
      if (model.trains.has(id)) continue;
      tile.element.remove();
      this.#tiles.delete(id);
    }
    wanted.forEach((known, place) => {
      const tile = this.#tiles.get(known.train.id) ?? this.#add(known.train.id);
      if (this.#list.children[place] !== tile.element) this.#list.insertBefore(tile.element, this.#list.children[place] ?? null);
      fill(tile, known, now);
    });
    const running = wanted.filter(({ train }) => train.state?.guard === "running").length;
    const trouble = wanted.filter(({ train }) => train.stale || train.faults.some((fault) => fault.severity !== "info")).length;
    say(find(".overview-sum"), t("overview.sum", { all: figure(wanted.length), running: figure(running), trouble: figure(trouble) }));
  }

  #add(id) {
    const canvas = make("canvas", { width: "300", height: "200", "aria-hidden": "true" });
    const parts = {
      name: make("b", { class: "tile-name" }), guard: make("span", { class: "tile-guard" }), word: make("span"),
      more: make("span", { class: "tile-more" }), fault: make("span", { class: "tile-fault", lang: "en" }), veil: make("span", { class: "tile-veil" }),
    };
    parts.icon = icon("dots");
    parts.guard.append(parts.icon, parts.word);
    const open = make("button", { type: "button", class: "tile-open" });
    open.append(make("span", { class: "tile-picture" }, canvas, parts.veil), make("span", { class: "tile-line" }, parts.name, parts.guard));
    open.append(make("span", { class: "tile-line tile-low" }, parts.more), parts.fault);
    open.addEventListener("click", () => this.#on.open(id));
    parts.stop = make("button", { type: "button", class: "tile-stop" }, icon("octagon"), make("span"));
    parts.stop.addEventListener("click", () => this.#on.stop(id));
    const picture = new Picture(canvas, { onShown: (header) => this.#on.shown(id, header) });
    const tile = { element: make("li", { class: "tile" }, open, parts.stop), picture, ...parts };
    this.#tiles.set(id, tile);
    return tile;
  }
}

function fill(tile, known, now) {
  const { train } = known;
  const guard = train.state?.guard ?? "";
  const fresh = freshness(known, { ...now, slow: true });
  mark(tile.element, "data-state", guard || "init");
  mark(tile.element, "data-fresh", fresh.kind);
  say(tile.name, train.name);
  mark(find("use", tile.icon), "href", `#i-${guardIcon(guard)}`);
  say(tile.word, guardWord(guard));
  const battery = train.state?.hub.battery_percent ?? null;
  const parts = [train.state ? figure(train.state.power_percent, "%") : "", battery === null ? "" : t("tile.battery", { battery: figure(battery, "%") })];
  say(tile.more, parts.filter(Boolean).join(" · "));
  const fault = train.faults[0];
  say(tile.fault, fault ? fault.message : "");
  const old = fresh.kind === "fresh" ? "" : t(`stale.${fresh.kind}`);
  say(tile.veil, old && fresh.ms >= 1000 ? `${old} · ${span(Math.floor(fresh.ms / 1000) * 1000)}` : old);
  say(find("span", tile.stop), t("tile.stop"));
  mark(tile.stop, "aria-label", t("tile.stop.label", { train: train.name }));
}
