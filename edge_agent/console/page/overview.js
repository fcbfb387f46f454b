// The overview of all trains: a small picture, the state and an emergency stop for each.

import { createElement, find, icon, setAttribute, setText } from "./dom.js";
import { FrameCanvas } from "./framecanvas.js";
import { formatDuration, formatQuantity, t } from "./i18n.js";
import { freshness } from "./model.js";
import { guardIcon, guardName } from "./panel.js";
import { setTrainText } from "./traintext.js";

/** The grid of trains. `on.drawn(id, header)`, `on.open(id)` and `on.stop(id)` are called. */
export class Overview {
  #list = find(".tiles");
  #tiles = new Map();
  #on;

  constructor(on) {
    this.#on = on;
  }

  /** Queue a picture of one train. */
  add(frame) {
    this.#tiles.get(frame.header.train)?.frameCanvas.add(frame);
  }

  /** Show all trains; for `now` see freshness(). */
  show(model, now) {
    const sorted = [...model.trains.values()].sort((a, b) => a.train.name.localeCompare(b.train.name));
    for (const [id, tile] of this.#tiles) {
      if (model.trains.has(id)) continue;
      tile.element.remove();
      this.#tiles.delete(id);
    }
    sorted.forEach((known, index) => {
      const tile = this.#tiles.get(known.train.id) ?? this.#add(known.train.id);
      if (this.#list.children[index] !== tile.element) this.#list.insertBefore(tile.element, this.#list.children[index] ?? null);
      fill(tile, known, now);
    });
    const running = sorted.filter(({ train }) => train.state?.guard === "running").length;
    const trouble = sorted.filter(({ train }) => train.stale || train.faults.some((fault) => fault.severity !== "info")).length;
    setText(find(".overview-sum"), t("overview.sum", { all: formatQuantity(sorted.length), running: formatQuantity(running), trouble: formatQuantity(trouble) }));
  }

  #add(id) {
    const canvas = createElement("canvas", { width: "300", height: "200", "aria-hidden": "true" });
    const parts = {
      name: createElement("b", { class: "tile-name" }), guard: createElement("span", { class: "tile-guard" }), guardName: createElement("span"),
      numbers: createElement("span", { class: "tile-numbers" }), fault: createElement("span", { class: "tile-fault" }), stale: createElement("span", { class: "tile-stale" }),
    };
    parts.icon = icon("dots");
    parts.guard.append(parts.icon, parts.guardName);
    const open = createElement("button", { type: "button", class: "tile-open" });
    open.append(createElement("span", { class: "tile-picture" }, canvas, parts.stale), createElement("span", { class: "tile-line" }, parts.name, parts.guard));
    open.append(createElement("span", { class: "tile-line tile-details" }, parts.numbers), parts.fault);
    open.addEventListener("click", () => this.#on.open(id));
    parts.stop = createElement("button", { type: "button", class: "tile-stop" }, icon("octagon"), createElement("span"));
    parts.stop.addEventListener("click", () => this.#on.stop(id));
    const frameCanvas = new FrameCanvas(canvas, { onDrawn: (header) => this.#on.drawn(id, header) });
    const tile = { element: createElement("li", { class: "tile" }, open, parts.stop), frameCanvas, ...parts };
    this.#tiles.set(id, tile);
    return tile;
  }
}

function fill(tile, known, now) {
  const { train } = known;
  const guard = train.state?.guard ?? "";
  const fresh = freshness(known, { ...now, slow: true });
  setAttribute(tile.element, "data-state", guard || "init");
  setAttribute(tile.element, "data-fresh", fresh.kind);
  setText(tile.name, train.name);
  setAttribute(find("use", tile.icon), "href", `#i-${guardIcon(guard)}`);
  setText(tile.guardName, guardName(guard));
  const battery = train.state?.hub.battery_percent ?? null;
  const parts = [train.state ? formatQuantity(train.state.power_percent, "%") : "", battery === null ? "" : t("tile.battery", { battery: formatQuantity(battery, "%") })];
  setText(tile.numbers, parts.filter(Boolean).join(" · "));
  const fault = train.faults[0];
  setTrainText(tile.fault, fault?.message);
  const staleText = fresh.kind === "fresh" ? "" : t(`stale.${fresh.kind}`);
  setText(tile.stale, staleText && fresh.ms >= 1000 ? `${staleText} · ${formatDuration(Math.floor(fresh.ms / 1000) * 1000)}` : staleText);
  setText(find("span", tile.stop), t("tile.stop"));
  setAttribute(tile.stop, "aria-label", t("tile.stop.label", { train: train.name }));
}
