"""Try a detector on the drawn sample pictures: one that finds nothing there would let the train drive blind."""

import json
from pathlib import Path

from edge_agent.errors import FatalError
from edge_agent.events import Box
from edge_agent.perception.camera.images import read_image
from edge_agent.ports import Detector
from edge_agent.runtime import resources

# Loose: what the detector is, not how good.
_MIN_IOU = 0.3
# Fewer signs than this prove nothing: a good detector may miss them.
_MIN_SIGNS = 3


def samples_problem(detector: Detector, folder: Path | None = None) -> str:
    """Return what is wrong with a detector that finds none of the sample pictures' signs whose labels it has, else "".

    Stops at the first sign that is found; blocks, so call it in the detector's thread.
    """
    folder = folder or resources.engines_dir() / "samples"
    tried = 0
    for name, signs in json.loads((folder / "signs.json").read_text(encoding="utf-8")).items():
        wanted = [(label, Box(*box)) for label, box in signs if label in detector.info.labels]
        found = read_image(folder / name) if wanted else None
        if found is None:
            continue
        tried += len(wanted)
        try:
            detections = detector.infer(found[0])
        except FatalError as error:
            return f"{detector.info.model} fails on a sample picture: {error.message}"
        for one in detections:
            if any(one.label == label and one.box.iou(box) >= _MIN_IOU for label, box in wanted):
                return ""
    if tried < _MIN_SIGNS:
        return ""
    return f"{detector.info.model} finds none of the {tried} signs of its labels in the sample pictures"
