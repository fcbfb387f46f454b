"""Surfaces generated from a seed (wood, plaster, fabric), and tone tables and compositing for pictures.

All pictures are uint8; colours are BGR.
"""

import math
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]


def wood_grain(rng: Generator, size_px: int, contrast: float = 26.0) -> Image:
    """Return a seamless (size_px, size_px) grey tile with a mean of 128 and the grain along x."""
    noise = np.fft.rfft2(rng.standard_normal((size_px, size_px)))
    y, x = np.fft.fftfreq(size_px)[:, None], np.fft.rfftfreq(size_px)[None]
    # A cyclic Gaussian blur is a product of spectra; each is scaled to keep the deviation of the noise at 1.
    blurs = ((0.5, 0.9, 31.0), (0.35, 5.0, 151.0), (0.3, 40.0, 81.0))
    spectrum = sum(
        share * 2 * math.sqrt(math.pi * across * along) * np.exp(-2 * np.pi**2 * ((across * y) ** 2 + (along * x) ** 2))
        for share, across, along in blurs
    )
    return _bytes(128 + contrast * np.fft.irfft2(noise * spectrum))


def _bytes(values: NDArray[Any]) -> Image:
    out: Image = np.clip(values, 0, 255).astype(np.uint8)
    return out


def tone_map(dark: Colour, light: Colour) -> Image:
    """Return a (256, 1, 3) colour table from `dark` at grey 64 to `light` at grey 192, for cv2.applyColorMap."""
    share = ((np.arange(256) - 64) / 128)[:, None]
    ramp = np.array(dark) + share * (np.array(light) - np.array(dark))
    return _bytes(ramp)[:, None, :]


def apply_tones(picture: Image, tones: Image) -> Image:
    """Apply a (1, 256, 3) tone table to a picture of three channels, or of four with alpha last."""
    out = picture.copy()
    out[:, :, :3] = cv2.LUT(np.ascontiguousarray(picture[:, :, :3]), tones)
    return out


def apply_tones_to_colour(colour: Colour, tones: Image) -> Colour:
    """Apply a (1, 256, 3) tone table to one colour."""
    b, g, r = (int(tones[0, min(255, max(0, round(part))), channel]) for channel, part in enumerate(colour))
    return b, g, r


def premultiplied(picture: Image) -> Image:
    """Return a (h, w, 4) picture with premultiplied alpha, as resizing, warping and compositing need it."""
    alpha = np.ascontiguousarray(np.repeat(picture[:, :, 3:], 4, axis=2))
    alpha[:, :, 3] = 255
    return cv2.multiply(picture, alpha, scale=1 / 255).astype(np.uint8)


def composite(canvas: Image, patch: Image) -> None:
    """Composite a (h, w, 4) patch with premultiplied alpha onto a canvas of 3 or 4 channels, in place."""
    clear = 255 - patch[:, :, 3]
    if canvas.shape[2] == 3:
        rest, over = cv2.merge([clear] * 3), np.ascontiguousarray(patch[:, :, :3])
    else:
        rest, over = cv2.merge([clear] * 4), patch
    canvas[:] = cv2.add(cv2.multiply(canvas, rest, scale=1 / 255), over)


def plaster(rng: Generator, height_px: int, width_px: int, colour: Colour) -> Image:
    """Return a (height_px, width_px, 3) painted wall with uneven light."""
    coarse = rng.standard_normal((max(2, height_px // 160), max(2, width_px // 160))).astype(np.float32)
    clouds = cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    light = 4.0 * clouds + np.linspace(8, -10, height_px, dtype=np.float32)[:, None]
    return _bytes(np.array(colour, np.float32) + light[:, :, None])


def fabric(rng: Generator, height_px: int, width_px: int) -> Image:
    """Return a (height_px, width_px, 3) fabric with a bold print of suns and leaves, or a fine net of lines."""
    ground, first, second = (_cloth_colour(rng) for _ in range(3))
    cloth = np.full((height_px, width_px, 3), ground, np.uint8)
    if rng.random() < 0.35:
        _net(cloth, first, int(rng.integers(6, 14)))
    else:
        _print(rng, cloth, first, second)
    weave = rng.normal(0, 5, (height_px, width_px, 1))
    return _bytes(cloth + weave)


def _cloth_colour(rng: Generator) -> Colour:
    strong = ((130, 50, 20), (40, 30, 180), (20, 190, 230), (60, 50, 45), (90, 110, 40), (200, 200, 205), (30, 90, 160))
    return strong[int(rng.integers(len(strong)))]


def _net(cloth: Image, colour: Colour, step_px: int) -> None:
    height_px, width_px = cloth.shape[:2]
    for start in range(-height_px, width_px + height_px, step_px):
        cv2.line(cloth, (start, 0), (start + height_px, height_px), colour, 1)
        cv2.line(cloth, (start, height_px), (start + height_px, 0), colour, 1)


def _print(rng: Generator, cloth: Image, first: Colour, second: Colour) -> None:
    height_px, width_px = cloth.shape[:2]
    unit = max(4, min(height_px, width_px) // 6)
    for _ in range(max(6, height_px * width_px // (unit * unit) // 2)):
        x, y = int(rng.integers(width_px)), int(rng.integers(height_px))
        if rng.random() < 0.4:
            for turn in np.arange(0, 2 * np.pi, np.pi / 6):
                tip = (int(x + unit * np.cos(turn)), int(y + unit * np.sin(turn)))
                cv2.line(cloth, (x, y), tip, first, max(2, unit // 6))
            cv2.circle(cloth, (x, y), unit // 2, second, -1)
        else:
            angle = float(rng.uniform(0, 180))
            cv2.ellipse(cloth, (x, y), (unit, max(2, unit // 3)), angle, 0, 360, second, -1)
