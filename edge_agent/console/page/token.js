// The token that allows commands: from the address's fragment or the dialog, kept for this tab only.

import { find } from "./dom.js";
import { keep, kept } from "./keep.js";

const PLACE = "sessionStorage";
const FRAGMENT = /[#&]token=([^&]*)/;

/** Holds the token. `onChange()` is called when it is set or forgotten. */
export class Token {
  #value = kept("token", PLACE);
  #dialog = find(".token-dialog");
  #field = find("#token");
  #onChange = () => {};
  #back = null;

  constructor(onChange) {
    this.#fromAddress();
    this.#onChange = onChange;
    addEventListener("hashchange", () => this.#fromAddress());
    find("form", this.#dialog).addEventListener("submit", () => this.#set(this.#field.value.trim() || null));
    find(".forget", this.#dialog).addEventListener("click", () => this.#set(null));
    find(".cancel", this.#dialog).addEventListener("click", () => this.close());
    this.#dialog.addEventListener("close", () => this.#back?.focus());
  }

  /** The token, or null. */
  get value() {
    return this.#value;
  }

  /** Whether the dialog is open. */
  get open() {
    return this.#dialog.open;
  }

  /** Ask for it. The dialog covers nothing that stops a train, so it is not modal. */
  ask() {
    if (this.open) return;
    this.#back = document.activeElement;
    this.#field.value = "";
    this.#dialog.show();
    this.#field.focus();
  }

  /** Close the dialog and leave the token as it is. */
  close() {
    this.#dialog.close();
  }

  #set(value) {
    this.#value = value;
    keep("token", value, PLACE);
    if (this.open) this.close();
    this.#onChange();
  }

  /** Take the token out of `#token=...`, and out of the address bar and the history at once. */
  #fromAddress() {
    const found = FRAGMENT.exec(location.hash);
    if (!found) return;
    history.replaceState(null, "", location.pathname + location.search);
    this.#set(decodeToken(found[1]));
  }
}

function decodeToken(text) {
  try {
    return decodeURIComponent(text) || null;
  } catch {
    return text;
  }
}
