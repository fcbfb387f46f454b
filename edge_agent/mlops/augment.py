"""Augmentation: many training views of a picture by scale, mosaic, light and blur; never mirrored, as signs carry text.

Pure: all randomness comes from the generator passed in.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.mlops.coco import IGNORE

Image = NDArray[np.uint8]

MIN_SIGN_PX = 7.0
"""A sign whose longer side is shorter is illegible, and is ignored: neither sign nor background."""
PAD_VALUE = 114
"""Grey of the padding that letterboxing adds."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingView:
    """A training view: (H, W, 3) uint8 BGR with boxes (K, 4) left, top, right, bottom and labels (K,)."""

    image: Image
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AugmentOptions:
    """Probabilities and strengths of the augmentations."""

    mosaic: float = 0.6
    scale: tuple[float, float] = (0.55, 2.2)
    stretch: float = 0.12
    colour: float = 0.5
    grey: float = 0.1
    noise: float = 0.2
    blur: float = 0.2
    bars: float = 0.1
    empty: float = 0.08


def crop(
    source: TrainingView, width: int, height: int, options: AugmentOptions, rng: np.random.Generator
) -> TrainingView:
    """Cut a random window, scaled and slightly stretched, that lies entirely in the picture."""
    rows, columns = source.image.shape[:2]
    least = max(width / columns, height / rows)
    low, high = max(options.scale[0], least), max(options.scale[1], least)
    scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    stretch = float(np.exp(rng.uniform(-options.stretch, options.stretch)))
    scale_x, scale_y = max(scale * stretch, width / columns), max(scale / stretch, height / rows)
    free_x, free_y = columns * scale_x - width, rows * scale_y - height
    left, top = rng.uniform(0, max(free_x, 0.0)), rng.uniform(0, max(free_y, 0.0))
    if len(source.boxes) and rng.random() < 0.5:
        left, top = _window_around(
            source.boxes[rng.integers(len(source.boxes))], (scale_x, scale_y), (width, height), rng
        )
        left, top = min(max(left, 0.0), max(free_x, 0.0)), min(max(top, 0.0), max(free_y, 0.0))
    matrix = np.array([[scale_x, 0, -left], [0, scale_y, -top]])
    # Pixel centres are at half coordinates: without this a shrunk picture is offset against its boxes.
    matrix[:, 2] += np.array([scale_x, scale_y]) * 0.5 - 0.5
    image = cv2.warpAffine(source.image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    boxes = source.boxes * np.array([scale_x, scale_y] * 2, np.float32) - np.array([left, top] * 2, np.float32)
    return clip(
        TrainingView(np.asarray(image, np.uint8), boxes.astype(np.float32), source.labels), (0, 0, width, height)
    )


def _window_around(
    box: NDArray[np.float32], scale: tuple[float, float], size: tuple[int, int], rng: np.random.Generator
) -> tuple[float, float]:
    """Return the top left corner, in scaled pixels, of a random window that contains the centre of a box."""
    x, y = float(box[0] + box[2]) / 2 * scale[0], float(box[1] + box[3]) / 2 * scale[1]
    return x - rng.uniform(0.1, 0.9) * size[0], y - rng.uniform(0.1, 0.9) * size[1]


def clip(view: TrainingView, window: tuple[int, int, int, int]) -> TrainingView:
    """Clip boxes to a window (left, top, right, bottom); ignore those mostly cut off or tiny, drop those outside."""
    if not len(view.boxes):
        return view
    left, top, right, bottom = window
    cut = view.boxes.copy()
    cut[:, 0::2] = cut[:, 0::2].clip(left, right)
    cut[:, 1::2] = cut[:, 1::2].clip(top, bottom)
    before, after = (view.boxes[:, 2:] - view.boxes[:, :2]), (cut[:, 2:] - cut[:, :2])
    share = after.prod(axis=1) / before.prod(axis=1).clip(min=1e-6)
    # A sign of which a crop leaves a smaller share is ignored.
    labels = np.where((share < 0.6) | (after.max(axis=1) < MIN_SIGN_PX), IGNORE, view.labels)
    keep = (share > 0.02) & (after.min(axis=1) > 0.5)
    return TrainingView(view.image, cut[keep], labels[keep])


def mosaic(
    sources: list[TrainingView], width: int, height: int, options: AugmentOptions, rng: np.random.Generator
) -> TrainingView:
    """Join four windows at a random point: many scales and signs in one view."""
    x, y = int(rng.uniform(0.3, 0.7) * width), int(rng.uniform(0.3, 0.7) * height)
    corners = ((0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height))
    canvas = np.empty((height, width, 3), np.uint8)
    boxes, labels = [], []
    for source, (left, top, right, bottom) in zip(sources, corners, strict=True):
        part = crop(source, right - left, bottom - top, options, rng)
        canvas[top:bottom, left:right] = part.image
        boxes.append(part.boxes + np.array([left, top] * 2, np.float32))
        labels.append(part.labels)
    return TrainingView(canvas, np.concatenate(boxes), np.concatenate(labels))


def recolour(image: Image, rng: np.random.Generator) -> Image:
    """Change white balance, exposure, contrast and gamma by one lookup table per channel."""
    ramp = np.arange(256, dtype=np.float32) / 255
    gain = np.exp(rng.normal(0, 0.12, 3)) * np.exp(rng.normal(0, 0.2))
    gamma = np.exp(rng.normal(0, 0.25))
    lift, contrast = rng.normal(0, 0.03), np.exp(rng.normal(0, 0.12))
    curves = ((ramp[:, None] ** gamma * gain - 0.5) * contrast + 0.5 + lift) * 255
    return np.asarray(cv2.LUT(image, curves.clip(0, 255).astype(np.uint8)[None]), np.uint8)


def desaturate(image: Image, rng: np.random.Generator) -> Image:
    """Blend towards grey, or away from it."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    share = rng.uniform(-0.3, 0.9)
    return np.asarray(cv2.addWeighted(image, 1 - share, grey, share, 0), np.uint8)


def soften(image: Image, rng: np.random.Generator) -> Image:
    """Blur: out of focus, by motion, or by lower resolution."""
    kind = rng.integers(3)
    if kind == 0:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.3)), np.uint8)
    if kind == 1:
        length = int(rng.integers(3, 7))
        kernel = np.zeros((length, length), np.float32)
        kernel[length // 2] = 1 / length
        turn = cv2.getRotationMatrix2D(((length - 1) / 2,) * 2, rng.uniform(-25, 25), 1)
        kernel = np.asarray(cv2.warpAffine(kernel, turn, (length, length)), np.float32)
        return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)
    rows, columns = image.shape[:2]
    small = cv2.resize(image, None, fx=(f := rng.uniform(0.55, 0.95)), fy=f, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (columns, rows), interpolation=cv2.INTER_LINEAR), np.uint8)


def bars(view: TrainingView, rng: np.random.Generator) -> TrainingView:
    """Overlay grey bars as letterboxing adds them: above and below, or left and right."""
    rows, columns = view.image.shape[:2]
    image = view.image.copy()
    if rng.random() < 0.5:
        size = int(rng.integers(4, 40))
        image[:size] = image[-size:] = PAD_VALUE
        return clip(TrainingView(image, view.boxes, view.labels), (0, size, columns, rows - size))
    size = int(rng.integers(4, 40))
    image[:, :size] = image[:, -size:] = PAD_VALUE
    return clip(TrainingView(image, view.boxes, view.labels), (size, 0, columns - size, rows))


def grain(image: Image, rng: np.random.Generator) -> Image:
    """Add sensor noise."""
    # The same in all three channels, which takes a third of the time.
    noise = rng.standard_normal(image.shape[:2], dtype=np.float32) * np.float32(rng.uniform(1, 7))
    return np.asarray(cv2.add(image, cv2.merge([noise] * 3), dtype=cv2.CV_8U), np.uint8)


def change_appearance(image: Image, options: AugmentOptions, rng: np.random.Generator) -> Image:
    """Apply the augmentations that do not move boxes."""
    if rng.random() < options.colour:
        image = recolour(image, rng)
    if rng.random() < options.grey:
        image = desaturate(image, rng)
    if rng.random() < options.blur:
        image = soften(image, rng)
    if rng.random() < options.noise:
        image = grain(image, rng)
    return image
