// Announcements for screen readers: nothing twice, and polite ones at most every two seconds.

import { find, setText } from "./dom.js";

const POLITE_MS = 2000;

/** Writes into the page's two live regions. */
export class Announcer {
  #polite = find("#polite");
  #urgent = find("#urgent");
  #waiting = null;
  #timer = 0;
  #announcedMs = -Infinity;

  /** Announce now: a fault, or a command without acknowledgement. */
  urgent(text) {
    this.#urgent.textContent = ""; // so that the same text is announced again
    requestAnimationFrame(() => setText(this.#urgent, text));
  }

  /** Announce when the last polite text is two seconds old; of several waiting texts, only the newest. */
  polite(text) {
    this.#waiting = text;
    if (this.#timer) return;
    const waitMs = Math.max(0, this.#announcedMs + POLITE_MS - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#announcedMs = performance.now();
      setText(this.#polite, this.#waiting);
    }, waitMs);
  }
}
