"""Annotated pictures, and what a detector finds in them, in the classes of the annotations."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ConfigError, UsageError
from edge_agent.mlops.coco import CocoFile
from edge_agent.perception.camera.images import read_image
from edge_agent.ports import Detector
from edge_agent.signs import LABELS


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedPicture:
    """One picture: boxes (K, 4) float64 left, top, right, bottom in pixels; classes (K,), indices of GroundTruth.names.

    `ignored` (K,) is True for boxes that are neither a sign nor background; one of class IGNORE is that for every
    class. The picture itself stays on disk.
    """

    path: Path
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    ignored: NDArray[np.bool_]

    def signs(self, kind: int | None = None) -> NDArray[np.intp]:
        """Return the indices of the signs, of all classes or of one."""
        return np.flatnonzero(~self.ignored if kind is None else ~self.ignored & (self.classes == kind))


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """All pictures; `names` are the annotations' classes; `class_of_label` maps a detector's label to one of them."""

    pictures: tuple[AnnotatedPicture, ...]
    names: tuple[str, ...]
    class_of_label: dict[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class PictureDetections:
    """A detector's output for one picture, best score first.

    Boxes (K, 4) float64 left, top, right, bottom in pixels; scores (K,); classes (K,), indices of GroundTruth.names;
    the detector's own labels.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    classes: NDArray[np.int64]
    labels: tuple[str, ...]


def read_truth(images: Path, annotations: Path, label_map: dict[str, str] | None = None) -> GroundTruth:
    """Read a COCO file; labels that the map leaves out stand for a class of their own name, if there is one.

    A class that no annotation uses is left out, unless it is one of ours or in the map. Raises ConfigError as CocoFile
    does, and UsageError when the map names an unknown class.
    """
    label_map = label_map or {}
    coco = CocoFile(annotations, frozenset(LABELS) | frozenset(label_map.values()))
    names = tuple(dict.fromkeys(coco.categories.values()))
    class_of_label = {name: index for index, name in enumerate(names)}
    for label, name in label_map.items():
        if name not in names:
            raise UsageError(
                f"--label-map names the class {name!r}", remedy=f"{annotations} has {', '.join(coco.listed.values())}"
            )
        class_of_label[label] = names.index(name)
    pictures = []
    for one in coco.read(images):
        classes = np.array([names.index(coco.categories[category]) for category in one.categories], dtype=np.int64)
        pictures.append(AnnotatedPicture(one.path, one.boxes, classes, one.ignored))
    return GroundTruth(tuple(pictures), names, class_of_label)


def run_detector(
    detector: Detector, truth: GroundTruth, tick: Callable[[], None] = lambda: None
) -> list[PictureDetections]:
    """Run a detector on every picture, rotated as EXIF says; labels that stand for no class are left out.

    `tick` is called once for each picture. Raises ConfigError naming a picture that cannot be read.
    """
    results = []
    for picture in truth.pictures:
        read = read_image(picture.path)
        if read is None:
            raise ConfigError(f"{picture.path} is not a readable picture", remedy="remove it or save it again")
        known = [one for one in detector.infer(read[0]) if one.label in truth.class_of_label]
        boxes = [[one.box.x1, one.box.y1, one.box.x2, one.box.y2] for one in known]
        results.append(
            PictureDetections(
                np.array(boxes, np.float64).reshape(-1, 4),
                np.array([one.score for one in known], np.float64),
                np.array([truth.class_of_label[one.label] for one in known], np.int64),
                tuple(one.label for one in known),
            )
        )
        tick()
    return results
