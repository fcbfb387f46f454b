"""One training picture: a room, a table with track and signs, seen by a random camera, with its boxes.

A scene depends only on the data set's options and its own index, so any number of processes render the same pictures.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from edge_agent.mlops.synth import photo, room, table
from edge_agent.mlops.synth.billboard import PosedSign, paint
from edge_agent.mlops.synth.faces import Faces
from edge_agent.mlops.synth.labels import LabelledBox, PaintedSign, boxes_of, mark
from edge_agent.mlops.synth.options import SynthOptions, read_backgrounds
from edge_agent.mlops.synth.plan import CameraSetup, plan_signs, random_camera_setup, random_count
from edge_agent.mlops.synth.textures import Image, Textures, make_textures


@dataclass(frozen=True)
class Scene:
    """A finished picture: (h, w, 3) uint8 BGR, its boxes, and the JPEG quality to store it with."""

    image: Image
    boxes: tuple[LabelledBox, ...]
    jpeg_quality: int


class SceneGenerator:
    """Renders the scenes of one data set.

    Args:
        options: the data set's parameters; its photographs are used in a third of the scenes.

    Raises:
        UsageError: a folder of artwork or backgrounds that cannot be used.
    """

    def __init__(self, options: SynthOptions) -> None:
        self._options = options
        self._textures: Textures = make_textures(options.seed)
        self._faces = Faces(options.seed, options.artwork_dir)
        self._backgrounds = read_backgrounds(options.backgrounds_dir)

    def scene(self, index: int) -> Scene:
        """Render picture number `index`."""
        options = self._options
        rng = np.random.default_rng([options.seed, 3, index])
        setup = random_camera_setup(rng, options.width, options.height)
        image = np.zeros((options.height, options.width, 3), dtype=np.uint8)
        crowd_rng = self._crowd_rng(index)
        self._paint_surroundings(image, setup, rng, crowd_rng)
        planned = plan_signs(setup, self._faces, rng, random_count(rng, options.negatives))
        if crowd_rng:
            room.paint_lookalikes_around(image, crowd_rng, self._textures, planned)
        visibility = np.zeros(image.shape[:2], dtype=np.uint8)
        signs = self._paint_signs(image, visibility, setup, rng, planned)
        if rng.random() < 0.1:
            before = image.copy()
            room.paint_near(image, rng, self._textures, 1)
            visibility[np.any(image != before, axis=2)] = 0
        exposure = photo.random_exposure(rng, self._textures)
        final = photo.expose(image, exposure, self._textures, rng)
        return Scene(final, boxes_of(final, visibility, signs, exposure.spread_px()), exposure.jpeg_quality)

    def _crowd_rng(self, index: int) -> Generator | None:
        """Return a generator for the look-alikes of a crowded scene, None for others."""
        # A generator of its own, so that the rest of the scene does not depend on `clutter`.
        rng = np.random.default_rng([self._options.seed, 11, index])
        return rng if rng.random() < self._options.clutter else None

    def _paint_surroundings(
        self, image: Image, setup: CameraSetup, rng: Generator, crowd_rng: Generator | None
    ) -> None:
        view, far_mm = setup.view, setup.far_mm
        far_px = view.horizon_px + view.camera_mm * view.focal_px / far_mm
        if self._backgrounds and rng.random() < 0.33:
            image[:] = _crop(rng, self._backgrounds[int(rng.integers(len(self._backgrounds)))], image.shape)
            if rng.random() < 0.5:
                return
        else:
            room.paint_room(image, rng, self._textures, float(np.clip(far_px, 0, view.height)))
        if crowd_rng:
            room.paint_lookalikes_far(image, crowd_rng, self._textures, float(np.clip(far_px, 0, view.height)))
        if rng.random() < 0.93:
            table.paint_table(image, view, rng, self._textures, far_mm)
            if rng.random() < 0.85:
                table.paint_track(image, view, rng, far_mm)
        if rng.random() < 0.55:
            room.paint_near(image, rng, self._textures, 3)
        if crowd_rng:
            room.paint_lookalikes_near(image, crowd_rng, self._textures, far_px)

    def _paint_signs(
        self, image: Image, visibility: Image, setup: CameraSetup, rng: Generator, planned: list[PosedSign]
    ) -> list[PaintedSign]:
        """Paint signs from far to near; write each one's number into `visibility`."""
        painted = []
        for number, sign in enumerate(planned, start=1):
            seen, stand = paint(image, sign, setup.view, rng, self._textures)
            for polygon in stand:
                mark(visibility, polygon, 0)
            mark(visibility, seen.hull, number)
            painted.append(PaintedSign(number, sign, seen))
        return painted


def _crop(rng: Generator, photograph: Image, shape: tuple[int, ...]) -> Image:
    """Return a random part of a photograph at the size of the scene."""
    height, width = shape[:2]
    zoom = max(height / photograph.shape[0], width / photograph.shape[1]) * float(rng.uniform(1.0, 2.0))
    rows, columns = int(height / zoom), int(width / zoom)
    y, x = int(rng.integers(photograph.shape[0] - rows + 1)), int(rng.integers(photograph.shape[1] - columns + 1))
    part = photograph[y : y + rows, x : x + columns]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
