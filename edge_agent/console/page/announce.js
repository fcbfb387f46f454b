// Tells a screen reader what matters, seldom: nothing twice, and calm news at most every two seconds.

import { find, say } from "./dom.js";

const CALM_MS = 2000;

/** Speaks through the page's two live regions. */
export class Announcer {
  #polite = find("#polite");
  #urgent = find("#urgent");
  #waiting = null;
  #timer = 0;
  #spokenMs = -Infinity;

  /** Say something now: a fault, or a command that nobody acknowledged. */
  urgent(text) {
    this.#urgent.textContent = ""; // the same words again are news again
    requestAnimationFrame(() => say(this.#urgent, text));
  }

  /** Say something when it is quiet; only the newest of what waits is said. */
  calm(text) {
    this.#waiting = text;
    if (this.#timer) return;
    const waitMs = Math.max(0, this.#spokenMs + CALM_MS - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      this.#spokenMs = performance.now();
      say(this.#polite, this.#waiting);
    }, waitMs);
  }
}
