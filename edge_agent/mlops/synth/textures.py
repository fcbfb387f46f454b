"""Surfaces shared by the scenes of a data set, from its seed: table tops, fabrics, slow unevenness and sensor noise."""

from dataclasses import dataclass

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.random import Generator
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

GROUND_PX = 384
FABRIC_PX = 192
_GRAIN = 1 << 21


@dataclass(frozen=True)
class Textures:
    """The surfaces shared by all scenes of a data set.

    Args:
        grain: (n,) float32, standard normal: sensor noise.
        smooth: (h, w) float32 maps of low frequency within about -1 to 1.
        grounds: (h, w) uint8 maps, mean 128, deviation about 40: grain of table tops.
        fabrics: (h, w, 3) uint8 BGR patterns.
    """

    grain: Plane
    smooth: tuple[Plane, ...]
    grounds: tuple[Image, ...]
    fabrics: tuple[Image, ...]


def make_textures(seed: int) -> Textures:
    """Return the surfaces of the data set with this seed."""
    rng = np.random.default_rng([seed, 7])
    return Textures(
        grain=rng.standard_normal(_GRAIN, dtype=np.float32),
        smooth=tuple(_smooth(rng, 64, int(rng.integers(1, 4))) for _ in range(48)),
        grounds=tuple(_ground(rng, index) for index in range(12)),
        fabrics=tuple(_fabric(rng, index) for index in range(40)),
    )


def _smooth(rng: Generator, size: int, cells: int) -> Plane:
    coarse = rng.uniform(-1, 1, (cells + 1, cells + 1)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def _ground(rng: Generator, index: int) -> Image:
    """Return wood grain (long streaks), leather or plaster (fine or blotchy noise), in turn."""
    noise: MatLike = rng.standard_normal((GROUND_PX, GROUND_PX)).astype(np.float32)
    if index % 3 < 2:
        sigma = (float(rng.uniform(12, 40)), float(rng.uniform(0.6, 1.6)))
        noise = cv2.GaussianBlur(noise, (0, 0), sigmaX=sigma[0], sigmaY=sigma[1])
    else:
        noise = cv2.GaussianBlur(noise, (0, 0), float(rng.uniform(0.6, 2.5)))
    noise = noise / np.float32(float(np.std(noise)) + 1e-6)
    blotches = cv2.resize(_smooth(rng, 64, 6), (GROUND_PX, GROUND_PX), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(128 + 40 * (noise * 0.9 + blotches * 0.4), 0, 255).astype(np.uint8))


_LOUD = np.array(
    [(20, 190, 235), (30, 30, 200), (150, 60, 20), (90, 40, 20), (235, 235, 235), (40, 140, 40), (30, 30, 30),
     (30, 110, 220), (180, 150, 60), (120, 120, 190)], dtype=np.float64)  # fmt: skip


def _loud(rng: Generator) -> tuple[int, int, int]:
    colour = np.clip(_LOUD[rng.integers(len(_LOUD))] + rng.normal(0, 18, 3), 0, 255)
    return (int(colour[0]), int(colour[1]), int(colour[2]))


def _fabric(rng: Generator, index: int) -> Image:
    """Return a patterned fabric: flowers, waves, stripes, a mesh, spots or patches, in turn."""
    ground = _loud(rng) if rng.random() < 0.4 else (int(rng.integers(60, 130)), int(rng.integers(20, 60)), 18)
    cloth = np.full((FABRIC_PX, FABRIC_PX, 3), ground, dtype=np.uint8)
    painters = (_flowers, _waves, _flowers, _stripes, _mesh, _spots, _waves, _patches)
    painters[index % len(painters)](cloth, rng)
    return cloth


def _flowers(cloth: Image, rng: Generator) -> None:
    for _ in range(int(rng.integers(4, 10))):
        centre = rng.uniform(0, FABRIC_PX, 2)
        petals, size = int(rng.integers(5, 14)), rng.uniform(14, 40)
        colour, heart = (20, 190, 230) if rng.random() < 0.4 else _loud(rng), _loud(rng)
        for petal in range(petals):
            angle = 2 * np.pi * petal / petals
            at = centre + size * np.array([np.cos(angle), np.sin(angle)])
            axes = (int(size * 0.45) + 1, int(size * 0.18) + 1)
            cv2.ellipse(
                cloth, (int(at[0]), int(at[1])), axes, float(np.degrees(angle)), 0, 360, colour, -1, cv2.LINE_AA
            )
        cv2.circle(cloth, (int(centre[0]), int(centre[1])), int(size * 0.6), heart, -1, cv2.LINE_AA)
        cv2.circle(cloth, (int(centre[0]), int(centre[1])), int(size * 0.35), _loud(rng), -1, cv2.LINE_AA)


def _waves(cloth: Image, rng: Generator) -> None:
    colours = [_loud(rng) for _ in range(3)]
    colours[0] = (20, 190, 230)
    for _ in range(int(rng.integers(8, 26))):
        start, heading = rng.uniform(0, FABRIC_PX, 2), rng.uniform(0, 6.3)
        steps = np.cumsum(rng.uniform(4, 12, (7, 1)) * _headings(heading + np.cumsum(rng.normal(0, 0.9, 7))), axis=0)
        path = (start + steps).astype(np.int32)
        width = int(rng.integers(4, 14))
        cv2.polylines(cloth, [path], False, (20, 18, 18), width + 3, cv2.LINE_AA)
        cv2.polylines(cloth, [path], False, colours[int(rng.integers(3))], width, cv2.LINE_AA)


def _headings(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _stripes(cloth: Image, rng: Generator) -> None:
    step, colours = int(rng.integers(6, 24)), [_loud(rng) for _ in range(3)]
    for index, x in enumerate(range(0, FABRIC_PX, step)):
        cv2.rectangle(cloth, (x, 0), (x + step - 1, FABRIC_PX), colours[index % 3], -1)
    if rng.random() < 0.5:
        for y in range(0, FABRIC_PX, step):
            cv2.rectangle(cloth, (0, y), (FABRIC_PX, y + step // 3), colours[0], -1)


def _mesh(cloth: Image, rng: Generator) -> None:
    step, dark = int(rng.integers(6, 16)), (24, 22, 20)
    cloth[:] = (20, 170, 210) if rng.random() < 0.6 else _loud(rng)
    for at in range(-FABRIC_PX, 2 * FABRIC_PX, step):
        cv2.line(cloth, (at, 0), (at + FABRIC_PX, FABRIC_PX), dark, max(1, step // 4), cv2.LINE_AA)
        cv2.line(cloth, (at, 0), (at - FABRIC_PX, FABRIC_PX), dark, max(1, step // 4), cv2.LINE_AA)


def _spots(cloth: Image, rng: Generator) -> None:
    radius, colour = int(rng.integers(4, 16)), _loud(rng)
    ring = _loud(rng) if rng.random() < 0.5 else colour
    for y in range(0, FABRIC_PX + radius, 3 * radius):
        for x in range(0, FABRIC_PX + radius, 3 * radius):
            cv2.circle(cloth, (x, y), radius, colour, -1, cv2.LINE_AA)
            cv2.circle(cloth, (x, y), max(1, radius // 2), ring, -1, cv2.LINE_AA)


def _patches(cloth: Image, rng: Generator) -> None:
    for _ in range(int(rng.integers(15, 50))):
        centre, size = rng.uniform(0, FABRIC_PX, 2), rng.uniform(6, 36)
        corners = centre + rng.uniform(-size, size, (int(rng.integers(3, 8)), 2))
        cv2.fillPoly(cloth, [corners.astype(np.int32)], _loud(rng), cv2.LINE_AA)
