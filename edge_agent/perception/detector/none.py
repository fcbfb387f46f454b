"""A detector that sees nothing: `detector.backend: none`.

For proving what happens to a train that cannot see, and for measuring everything but the network. Knows nothing at all.
"""

import numpy as np
from numpy.typing import NDArray

from edge_agent.events import Detection
from edge_agent.ports import DetectorInfo
from edge_agent.signs import LABELS


class NoDetector:
    """Implements ports.Detector; every picture is empty to it."""

    info = DetectorInfo("none", model="", sha256="", input_width=0, input_height=0, labels=LABELS)

    def infer(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        """Return no detections, whatever the picture."""
        del image
        return ()

    def close(self) -> None:
        """Hold nothing, release nothing."""
