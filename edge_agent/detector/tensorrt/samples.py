"""The pictures on which an engine must agree with ONNX Runtime.

Knows where they lie: in `samples/` beside the model, where that is, else those that ship. Knows nothing of detectors.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent import resources
from edge_agent.errors import ConfigError

_SUFFIXES = (".jpg", ".jpeg", ".png")


def sample_pictures(model: Path | None = None, folder: Path | None = None) -> list[NDArray[np.uint8]]:
    """Read all pictures of `folder`, or those for `model`; raises ConfigError where there are none."""
    beside = model.parent / "samples" if model is not None else None
    if folder is None:
        folder = beside if beside is not None and beside.is_dir() else resources.engines_dir() / "samples"
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in _SUFFIXES)
    read = (cv2.imread(str(path), cv2.IMREAD_COLOR) for path in paths)
    pictures = [np.asarray(picture, np.uint8) for picture in read if picture is not None]
    if not pictures:
        raise ConfigError(f"{folder}: holds no pictures to compare engines on", remedy="name a folder with .jpg files")
    return pictures
