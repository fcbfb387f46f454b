// Draws detections on a canvas over the picture, at the resolution of the screen.

import { currentLanguage, formatQuantity } from "./i18n.js";
import SIGNS from "./signs.js";

const GOLDEN_RATIO = 0.618034; // its multiples are spread evenly over the colour circle

/** The colour of a label; the same label always gets the same one. */
export function colourOf(label) {
  if (Object.hasOwn(SIGNS, label)) return SIGNS[label].colour;
  const hash = [...label].reduce((total, letter) => (total * 31 + letter.codePointAt(0)) % 9973, 7);
  return `hsl(${Math.round(((hash * GOLDEN_RATIO) % 1) * 360)} 90% 70%)`;
}

/** The name of a sign in the current language; an unknown label of another model unchanged. */
export function signName(label) {
  return Object.hasOwn(SIGNS, label) ? SIGNS[label][currentLanguage()] : String(label).replaceAll("_", " ");
}

/** A detection as text: `stop 97 %`. */
export function describeDetection(detection) {
  return `${signName(detection.label)} ${formatQuantity(detection.score * 100, "%")}`;
}

/** Draw `detections` (boxes in pixels of a picture of `width` by `height`) on a canvas that lies over the picture. */
export function drawBoxes(canvas, detections, width, height) {
  const ratio = Math.min(3, window.devicePixelRatio || 1);
  const [canvasWidth, canvasHeight] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (canvas.width !== canvasWidth || canvas.height !== canvasHeight) [canvas.width, canvas.height] = [canvasWidth, canvasHeight];
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvasWidth, canvasHeight);
  const scale = { x: canvasWidth / width, y: canvasHeight / height };
  const unit = Math.max(ratio, canvasWidth / 400);
  // In reverse, so that the most confident is on top; labels after all boxes, so that no box covers one.
  for (const detection of [...detections].reverse()) drawBox(context, detection, scale, unit);
  for (const detection of [...detections].reverse()) drawLabel(context, detection, { scale, unit, canvasWidth });
}

function drawBox(context, { label, box }, scale, unit) {
  const rectangle = [box.x1 * scale.x, box.y1 * scale.y, (box.x2 - box.x1) * scale.x, (box.y2 - box.y1) * scale.y];
  context.lineJoin = "round";
  context.lineWidth = 3 * unit;
  context.strokeStyle = "rgb(0 0 0 / 65%)";
  context.strokeRect(...rectangle);
  context.lineWidth = 1.6 * unit;
  context.strokeStyle = colourOf(label);
  context.strokeRect(...rectangle);
}

function drawLabel(context, detection, { scale, unit, canvasWidth }) {
  const text = describeDetection(detection);
  const size = 9.5 * unit;
  context.font = `600 ${size}px ${getComputedStyle(document.body).fontFamily}`;
  const width = context.measureText(text).width + 1.2 * size;
  const height = 1.55 * size;
  const x = Math.max(0, Math.min(detection.box.x1 * scale.x - unit, canvasWidth - width));
  const above = detection.box.y1 * scale.y - height - 2 * unit;
  const y = above >= 0 ? above : detection.box.y2 * scale.y + 2 * unit;
  context.fillStyle = colourOf(detection.label);
  context.beginPath();
  context.roundRect(x, y, width, height, 3 * unit);
  context.fill();
  context.fillStyle = "#101010";
  context.textBaseline = "middle";
  context.fillText(text, x + 0.6 * size, y + height / 2 + 0.04 * size);
}
