"""Annotated pictures, and what a detector finds in them, in the classes of the annotations."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import ConfigError, UsageError
from edge_agent.mlops.coco import corners, picture_path, read_coco
from edge_agent.ports import Detector


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedPicture:
    """One picture: boxes (K, 4) float64 left, top, right, bottom in pixels; classes (K,), indices of GroundTruth.names.

    The picture itself stays on disk.
    """

    path: Path
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]


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

    Raises ConfigError naming the file when it is no COCO file, is empty or a picture is missing, and UsageError when
    the map names an unknown class.
    """
    coco = read_coco(annotations)
    names = tuple(coco.categories.values())
    class_of_label = {name: index for index, name in enumerate(names)}
    for label, name in (label_map or {}).items():
        if name not in names:
            raise UsageError(f"--label-map names the class {name!r}", remedy=f"{annotations} has {', '.join(names)}")
        class_of_label[label] = names.index(name)
    index_of_id = {number: index for index, number in enumerate(coco.categories)}
    pictures = []
    for entry in coco.images:
        path = picture_path(images, entry["file_name"])
        if not path.is_file():
            raise ConfigError(f"{path} is missing", remedy="check --images")
        rows = coco.annotations.get(entry["id"], [])
        classes = np.array([index_of_id[row["category_id"]] for row in rows], dtype=np.int64)
        pictures.append(AnnotatedPicture(path, corners(rows), classes))
    if not pictures:
        raise ConfigError(f"{annotations} lists no pictures", remedy="there is nothing to evaluate")
    return GroundTruth(tuple(pictures), names, class_of_label)


def run_detector(
    detector: Detector, truth: GroundTruth, tick: Callable[[], None] = lambda: None
) -> list[PictureDetections]:
    """Run a detector on every picture, rotated as EXIF says; labels that stand for no class are left out.

    `tick` is called once for each picture. Raises ConfigError naming a picture that cannot be read.
    """
    results = []
    for picture in truth.pictures:
        image = cv2.imread(str(picture.path), cv2.IMREAD_COLOR)
        if image is None:
            raise ConfigError(f"{picture.path} is not a readable picture", remedy="remove it or save it again")
        known = [one for one in detector.infer(np.asarray(image, np.uint8)) if one.label in truth.class_of_label]
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
