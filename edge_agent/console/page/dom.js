// Finds, creates and changes elements. Text is always inserted as text: nothing from the network becomes markup.

const SVG = "http://www.w3.org/2000/svg";

/** The first element that matches `selector` below `root`; throws if there is none. */
export function find(selector, root = document) {
  const element = root.querySelector(selector);
  if (!element) throw new Error(`the page has no ${selector}`);
  return element;
}

/** A new element; attributes that are false, null or undefined are omitted, children are elements or strings. */
export function createElement(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** A new SVG element, see createElement(). */
export function createSvg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** One of the page's SVG symbols, hidden from screen readers. */
export function icon(name) {
  return createSvg("svg", { class: "icon", "aria-hidden": "true" }, createSvg("use", { href: `#i-${name}` }));
}

/** Set a text only if it changes: screen readers announce every write to a live region. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set or (null, false) remove an attribute, only if it changes. */
export function setAttribute(element, name, value) {
  if (value === null || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) {
    element.setAttribute(name, value);
  }
}
