"""From a clean rendering to a small camera's picture: uneven light, casts, haze, blur, noise.

Knows what lenses and sensors do. Knows nothing of what is in the picture.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.random import Generator
from numpy.typing import NDArray

from edge_agent.mlops.synth.billboard import smear_kernel
from edge_agent.mlops.synth.textures import Image, Textures
from edge_agent.mlops.synth.view import log_uniform


@dataclass(frozen=True)
class Exposure:
    """What happened to one picture on its way through lens and sensor.

    Args:
        tone: (256, 3) uint8 table from rendered to recorded BGR.
        defocus_px: sigma of the lens's blur.
        smear_px: (2,) run of the camera's motion.
        noise: standard deviation of the sensor's noise.
        saturation: 1 leaves colours alone.
        coarse: factor of a smaller picture it was enlarged from; 1 for none.
        light: (h, w) index of the light's map, and its strength; 0 for even light.
        sharpening: strength of the halo that phones draw around edges; 0 for none.
        jpeg_quality: 40 to 95.
    """

    tone: NDArray[np.uint8]
    defocus_px: float
    smear_px: tuple[float, float]
    noise: float
    saturation: float
    coarse: float
    light: tuple[int, float]
    sharpening: float
    jpeg_quality: int

    def spread_px(self) -> tuple[float, float]:
        """How much wider, on each side, blur makes a small object look: x, y."""
        soft = 0.6 * self.defocus_px
        return (soft + 0.25 * abs(self.smear_px[0]), soft + 0.25 * abs(self.smear_px[1]))


def random_exposure(rng: Generator, textures: Textures) -> Exposure:
    """One camera, one moment."""
    defocus = float(rng.uniform(0.2, 1.0)) if rng.random() < 0.6 else 0.0
    if rng.random() < 0.08:
        defocus = float(rng.uniform(1.0, 2.0))
    smear = (0.0, 0.0)
    if rng.random() < 0.22:
        length, angle = log_uniform(rng, 1.5, 10.0), float(rng.normal(0, 0.6))
        smear = (length * float(np.cos(angle)), length * float(np.sin(angle)))
    return Exposure(
        tone=_tone(rng),
        defocus_px=defocus,
        smear_px=smear,
        noise=float(rng.uniform(0, 2.5)) if rng.random() < 0.75 else float(rng.uniform(2.5, 9)),
        saturation=float(rng.uniform(0.45, 1.25)),
        coarse=float(rng.uniform(1.2, 2.2)) if rng.random() < 0.18 else 1.0,
        light=(int(rng.integers(len(textures.smooth))), float(rng.choice([0.0, 0.25, 0.5]) * rng.random())),
        sharpening=float(rng.uniform(0.3, 1.5)) if rng.random() < 0.3 else 0.0,
        jpeg_quality=int(rng.integers(40, 96)),
    )


def _tone(rng: Generator) -> NDArray[np.uint8]:
    """Exposure, gamma, white balance and haze in one table."""
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
    if rng.random() < 0.4:  # a soft shoulder instead of a hard clip
        knee = float(rng.uniform(0.7, 2.5))
        curve = (1 + knee) * curve / (knee + curve)
    if rng.random() < 0.28:
        amount = float(rng.uniform(0.05, 0.5))
        curve = curve * (1 - amount) + amount * rng.uniform(0.45, 1.0) * np.clip(cast, 0.5, 1.0)
    return np.asarray(np.clip(curve * 255, 0, 255), dtype=np.uint8)


def expose(image: Image, exposure: Exposure, textures: Textures, rng: Generator) -> Image:
    """Turn a rendering into the picture that a camera delivers, (h, w, 3) uint8 BGR: light, then lens, then sensor."""
    seen: MatLike = _develop(_focus(_lit(image, exposure, textures), exposure), exposure)
    if exposure.noise > 0.3:
        start = int(rng.integers(len(textures.grain) - image.size))
        grain = textures.grain[start : start + image.size].reshape(image.shape)
        noisy = cv2.scaleAdd(grain, exposure.noise, seen.astype(np.float32))
        np.maximum(noisy, 0, out=noisy)  # convertScaleAbs would fold what is below zero
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
    """Apply defocus, the camera's motion, and the loss of a smaller picture enlarged."""
    height, width = image.shape[:2]
    seen: MatLike = image
    if exposure.defocus_px:
        seen = cv2.GaussianBlur(seen, (0, 0), exposure.defocus_px)
    if exposure.smear_px != (0.0, 0.0):
        seen = cv2.filter2D(seen, -1, smear_kernel(exposure.smear_px))
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
