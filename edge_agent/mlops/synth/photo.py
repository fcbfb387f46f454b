"""From a clean rendering to the picture of a small camera: uneven light, colour casts, haze, blur, noise."""

from dataclasses import dataclass

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.random import Generator
from numpy.typing import NDArray

from edge_agent.mlops.synth.billboard import motion_kernel
from edge_agent.mlops.synth.textures import Image, Textures
from edge_agent.mlops.synth.view import log_uniform


@dataclass(frozen=True)
class Exposure:
    """Properties of lens and sensor for one picture.

    Args:
        tone: (256, 3) uint8 table from rendered to recorded BGR.
        defocus_px: sigma of the lens's blur.
        motion_px: (2,) extent of the motion blur.
        noise: standard deviation of the sensor's noise.
        saturation: 1 leaves colours alone.
        coarse: factor by which a smaller picture was enlarged; 1 for none.
        light: index of the light map in Textures.smooth, and its strength; 0 for even light.
        sharpening: strength of a phone's sharpening; 0 for none.
        jpeg_quality: 40 to 95.
    """

    tone: NDArray[np.uint8]
    defocus_px: float
    motion_px: tuple[float, float]
    noise: float
    saturation: float
    coarse: float
    light: tuple[int, float]
    sharpening: float
    jpeg_quality: int

    def spread_px(self) -> tuple[float, float]:
        """Return by how many pixels in x and y blur widens a small object on each side."""
        soft = 0.6 * self.defocus_px
        return (soft + 0.25 * abs(self.motion_px[0]), soft + 0.25 * abs(self.motion_px[1]))


def random_exposure(rng: Generator, textures: Textures) -> Exposure:
    """Choose a random exposure."""
    defocus = float(rng.uniform(0.2, 1.0)) if rng.random() < 0.6 else 0.0
    if rng.random() < 0.08:
        defocus = float(rng.uniform(1.0, 2.0))
    motion = (0.0, 0.0)
    if rng.random() < 0.22:
        length, angle = log_uniform(rng, 1.5, 10.0), float(rng.normal(0, 0.6))
        motion = (length * float(np.cos(angle)), length * float(np.sin(angle)))
    return Exposure(
        tone=_tone(rng),
        defocus_px=defocus,
        motion_px=motion,
        noise=float(rng.uniform(0, 2.5)) if rng.random() < 0.75 else float(rng.uniform(2.5, 9)),
        saturation=float(rng.uniform(0.45, 1.25)) if rng.random() < 0.9 else float(rng.choice([0.0, 0.2])),
        coarse=float(rng.uniform(1.2, 2.2)) if rng.random() < 0.18 else 1.0,
        light=(int(rng.integers(len(textures.smooth))), float(rng.choice([0.0, 0.25, 0.5]) * rng.random())),
        sharpening=float(rng.uniform(0.3, 1.5)) if rng.random() < 0.3 else 0.0,
        jpeg_quality=int(rng.integers(40, 96)),
    )


def _tone(rng: Generator) -> NDArray[np.uint8]:
    """Return a lookup table of exposure, gamma, white balance and haze."""
    level = np.arange(256, dtype=np.float64) / 255
    stops = float(rng.normal(-0.15, 0.4))
    if rng.random() < 0.15:
        stops = float(rng.uniform(-2.2, -0.8))
    cast = np.exp(rng.normal(0, 0.06, 3))
    kind = rng.random()
    if kind < 0.14:  # lamp light
        cast *= np.array([rng.uniform(0.35, 0.85), rng.uniform(0.8, 0.98), 1.1])
    elif kind < 0.24:  # daylight from one side
        cast *= np.array([1.12, rng.uniform(0.92, 1.0), rng.uniform(0.65, 0.95)])
    elif kind < 0.27:
        cast *= rng.uniform(0.7, 1.15, 3)
    curve = (level[:, None] * 2.0**stops * cast) ** float(rng.uniform(0.75, 1.35))
    if rng.random() < 0.4:  # a soft shoulder instead of clipping
        knee = float(rng.uniform(0.7, 2.5))
        curve = (1 + knee) * curve / (knee + curve)
    if rng.random() < 0.28:
        amount = float(rng.uniform(0.05, 0.5))
        curve = curve * (1 - amount) + amount * rng.uniform(0.45, 1.0) * np.clip(cast, 0.5, 1.0)
    return np.asarray(np.clip(curve * 255, 0, 255), dtype=np.uint8)


def expose(image: Image, exposure: Exposure, textures: Textures, rng: Generator) -> Image:
    """Return the picture that a camera delivers of a rendering, (h, w, 3) uint8 BGR: light, lens, sensor."""
    seen: MatLike = _develop(_focus(_lit(image, exposure, textures), exposure), exposure)
    if exposure.noise > 0.3:
        start = int(rng.integers(len(textures.grain) - image.size))
        grain = textures.grain[start : start + image.size].reshape(image.shape)
        noisy = cv2.scaleAdd(grain, exposure.noise, seen.astype(np.float32))
        np.maximum(noisy, 0, out=noisy)  # convertScaleAbs would mirror negative values
        seen = cv2.convertScaleAbs(noisy)
    return np.asarray(seen, dtype=np.uint8)


def _lit(image: Image, exposure: Exposure, textures: Textures) -> Image:
    """Apply uneven light."""
    index, strength = exposure.light
    if not strength:
        return image
    height, width = image.shape[:2]
    light = cv2.resize(textures.smooth[index], (width, height), interpolation=cv2.INTER_LINEAR)
    factor = np.asarray(light * strength + 1, dtype=np.float32)
    return np.asarray(cv2.multiply(image, cv2.merge([factor] * 3), dtype=cv2.CV_8U), dtype=np.uint8)


def _focus(image: Image, exposure: Exposure) -> Image:
    """Apply defocus, motion blur and a lower resolution."""
    height, width = image.shape[:2]
    seen: MatLike = image
    if exposure.defocus_px:
        seen = cv2.GaussianBlur(seen, (0, 0), exposure.defocus_px)
    if exposure.motion_px != (0.0, 0.0):
        seen = cv2.filter2D(seen, -1, motion_kernel(exposure.motion_px))
    if exposure.coarse > 1:
        small = (int(width / exposure.coarse), int(height / exposure.coarse))
        seen = cv2.resize(cv2.resize(seen, small, interpolation=cv2.INTER_AREA), (width, height))
    return np.asarray(seen, dtype=np.uint8)


def _develop(image: Image, exposure: Exposure) -> Image:
    """Apply tone, saturation and a camera's sharpening."""
    seen: MatLike = cv2.LUT(image, exposure.tone[:, None])
    grey = cv2.cvtColor(cv2.cvtColor(seen, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    seen = cv2.addWeighted(seen, exposure.saturation, grey, 1 - exposure.saturation, 0)
    if exposure.sharpening:
        soft = cv2.GaussianBlur(seen, (0, 0), 1.2)
        seen = cv2.addWeighted(seen, 1 + exposure.sharpening, soft, -exposure.sharpening, 0)
    return np.asarray(seen, dtype=np.uint8)
