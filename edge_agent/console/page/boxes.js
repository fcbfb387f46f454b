// Draws detections over a picture, sharp at any size. Knows pixels and colours; what a sign means is not its business.

import { figure, known } from "./i18n.js";

const GOLDEN = 0.618034; // multiples of it spread over the colour circle without coming close to each other
const LABELS = ["speed_limit_30", "speed_limit_50", "speed_limit_other", "stop", "no_entry", "danger", "pedestrian_crossing", "traffic_light", "other_sign"];
const COLOURS = ["#ffb454", "#59c2ff", "#d2a6ff", "#ff6b6b", "#ff8f40", "#ffd94a", "#7fd962", "#5ee0c8", "#d0d7de"];

/** The colour of a label: always the same. */
export function colourOf(label) {
  const place = LABELS.indexOf(label);
  if (place >= 0) return COLOURS[place];
  const sum = [...label].reduce((total, letter) => (total * 31 + letter.codePointAt(0)) % 9973, 7);
  return `hsl(${Math.round(((sum * GOLDEN) % 1) * 360)} 90% 70%)`;
}

/** The name of a sign in the reader's language; a foreign model's label as it is. */
export function signName(label) {
  return known(`sign.${label}`, String(label).replaceAll("_", " "));
}

/** A detection in words: `stop 97 %`. */
export function inWords(detection) {
  return `${signName(detection.label)} ${figure(detection.score * 100, "%")}`;
}

/** Draw `detections` (boxes in pixels of a picture of `width` by `height`) on a canvas that lies over the picture. */
export function drawBoxes(canvas, detections, width, height) {
  const ratio = Math.min(3, window.devicePixelRatio || 1);
  const [wide, high] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (canvas.width !== wide || canvas.height !== high) [canvas.width, canvas.height] = [wide, high];
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, wide, high);
  const scale = wide / width;
  const unit = Math.max(ratio, wide / 400);
  for (const one of [...detections].reverse()) drawBox(context, one, scale, high / height, unit);
  for (const one of [...detections].reverse()) drawLabel(context, one, { scale, tall: high / height, unit, wide });
}

function drawBox(context, { label, box }, scale, tall, unit) {
  const place = [box.x1 * scale, box.y1 * tall, (box.x2 - box.x1) * scale, (box.y2 - box.y1) * tall];
  context.lineJoin = "round";
  context.lineWidth = 3 * unit;
  context.strokeStyle = "rgb(0 0 0 / 65%)";
  context.strokeRect(...place);
  context.lineWidth = 1.6 * unit;
  context.strokeStyle = colourOf(label);
  context.strokeRect(...place);
}

function drawLabel(context, one, { scale, tall, unit, wide }) {
  const text = inWords(one);
  const size = 9.5 * unit;
  context.font = `600 ${size}px ${getComputedStyle(document.body).fontFamily}`;
  const width = context.measureText(text).width + 1.2 * size;
  const height = 1.55 * size;
  const x = Math.max(0, Math.min(one.box.x1 * scale - unit, wide - width));
  const above = one.box.y1 * tall - height - 2 * unit;
  const y = above >= 0 ? above : one.box.y2 * tall + 2 * unit;
  context.fillStyle = colourOf(one.label);
  context.beginPath();
  context.roundRect(x, y, width, height, 3 * unit);
  context.fill();
  context.fillStyle = "#101010";
  context.textBaseline = "middle";
  context.fillText(text, x + 0.6 * size, y + height / 2 + 0.04 * size);
}
