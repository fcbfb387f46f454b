// The command token: from the URL's fragment or the dialog, stored for this tab only.

import { find } from "./dom.js";
import { load, store } from "./storage.js";

const STORAGE = "sessionStorage";
const FRAGMENT = /[#&]token=([^&]*)/;

/** Holds the token. `onChange()` is called when it is set or removed. */
export class Token {
  #value = load("token", STORAGE);
  #dialog = find(".token-dialog");
  #field = find("#token");
  #onChange = () => {};
  #previousFocus = null;

  constructor(onChange) {
    this.#readUrl();
    this.#onChange = onChange;
    addEventListener("hashchange", () => this.#readUrl());
    find("form", this.#dialog).addEventListener("submit", () => this.#set(this.#field.value.trim() || null));
    find(".forget", this.#dialog).addEventListener("click", () => this.#set(null));
    find(".cancel", this.#dialog).addEventListener("click", () => this.close());
    this.#dialog.addEventListener("close", () => this.#previousFocus?.focus());
  }

  /** The token, or null. */
  get value() {
    return this.#value;
  }

  /** Whether the dialog is open. */
  get open() {
    return this.#dialog.open;
  }

  /** Open the dialog. It is not modal, because an emergency stop must stay usable. */
  openDialog() {
    if (this.open) return;
    this.#previousFocus = document.activeElement;
    this.#field.value = "";
    this.#dialog.show();
    this.#field.focus();
  }

  /** Close the dialog without a change. */
  close() {
    this.#dialog.close();
  }

  #set(value) {
    this.#value = value;
    store("token", value, STORAGE);
    if (this.open) this.close();
    this.#onChange();
  }

  /** Read the token from `#token=...`, and remove it from the address bar and the history at once. */
  #readUrl() {
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
