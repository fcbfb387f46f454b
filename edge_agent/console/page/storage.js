// Stores preferences in the browser, if it allows that.

/** The text stored under a name, in `localStorage` or (for this tab only) `sessionStorage`; null if there is none. */
export function load(name, where = "localStorage") {
  try {
    return window[where].getItem(name);
  } catch {
    return null;
  }
}

/** Store a text under a name; null removes it. */
export function store(name, text, where = "localStorage") {
  try {
    if (text === null) window[where].removeItem(name);
    else window[where].setItem(name, text);
  } catch {
    // Not stored: the choice is lost when the page is closed.
  }
}
