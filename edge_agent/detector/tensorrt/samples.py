"""The pictures on which an engine must agree with ONNX Runtime.

Knows where they lie. Knows nothing of detectors.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_agent import resources
from edge_agent.errors import ConfigError

_SUFFIXES = (".jpg", ".jpeg", ".png")


def sample_pictures(folder: Path | None = None) -> list[NDArray[np.uint8]]:
    """Read all pictures of a folder, engines/samples if none is given; raises ConfigError where there are none."""
    folder = folder or resources.engines_dir() / "samples"
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in _SUFFIXES)
    read = (cv2.imread(str(path), cv2.IMREAD_COLOR) for path in paths)
    pictures = [np.asarray(picture, np.uint8) for picture in read if picture is not None]
    if not pictures:
        raise ConfigError(f"{folder}: holds no pictures to compare engines on", remedy="name a folder with .jpg files")
    return pictures
