// Remembers small choices in the browser. Knows nothing of what they mean; works on where the browser keeps nothing.

/** What was kept under a name, for good or (with `sessionStorage`) for this tab; null where nothing was. */
export function kept(name, where = "localStorage") {
  try {
    return window[where].getItem(name);
  } catch {
    return null;
  }
}

/** Keep a text under a name; null forgets it. */
export function keep(name, text, where = "localStorage") {
  try {
    if (text === null) window[where].removeItem(name);
    else window[where].setItem(name, text);
  } catch {
    // The choice lasts as long as the page.
  }
}
