"""A labelled picture with coloured squares for signs, and a detector that finds them by their colours."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent.events import Box, Detection
from edge_agent.mlops.approaches import ApproachOptions
from edge_agent.ports import DetectorInfo

RED, YELLOW = (0, 0, 255), (0, 255, 255)
STOP, DANGER = (300, 240, 340, 280), (500, 200, 520, 220)
NEAR_PX = {"stop": 32.0, "danger": 20.0}
OPTIONS = ApproachOptions(NEAR_PX, seeds=1)


def write_picture(folder: Path, *, categories: tuple[str, str] = ("stop", "danger")) -> tuple[Path, Path]:
    """Write one picture of 640x480 with a red and a yellow square; return its folder and its COCO file."""
    image = np.full((480, 640, 3), 90, np.uint8)
    for (x1, y1, x2, y2), colour in ((STOP, RED), (DANGER, YELLOW)):
        cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), colour, -1)
    (folder / "images").mkdir(parents=True)
    cv2.imwrite(str(folder / "images" / "one.png"), image)
    boxes = [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in (STOP, DANGER)]
    content: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "one.png", "width": 640, "height": 480}],
        "categories": [{"id": index, "name": name} for index, name in enumerate(categories)],
        "annotations": [{"id": n, "image_id": 1, "category_id": n, "bbox": box} for n, box in enumerate(boxes)],
    }
    file = folder / "coco.json"
    file.write_text(json.dumps(content))
    return folder / "images", file


class ColourDetector:
    """Implements ports.Detector: takes the largest red patch for `red` and the largest yellow one for `yellow`."""

    info = DetectorInfo("colours", "", "", 640, 480, ("stop", "danger"))

    def __init__(self, *, red: str = "stop", yellow: str = "danger") -> None:
        self._names = {"red": red, "yellow": yellow}

    def infer(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        blue, green, red = (image[..., channel].astype(int) for channel in range(3))
        masks = {
            "red": (red > 1.8 * green) & (red > 1.8 * blue),
            "yellow": (green > 1.5 * blue + 40) & (red > 1.5 * blue),
        }
        found = (self._find(self._names[colour], mask) for colour, mask in masks.items())
        return tuple(detection for detection in found if detection is not None)

    def _find(self, label: str, mask: NDArray[np.bool_]) -> Detection | None:
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
        if count < 2:
            return None
        x, y, width, height, area = max(stats[1:].tolist(), key=lambda row: row[4])
        return Detection(label, 0.85, Box(x, y, x + width, y + height)) if area > 40 else None

    def close(self) -> None:
        pass
