"""Image processing: pictures into network input, network output into detections, detections into drawings.

Pure functions on NumPy arrays, except for ResizedPicture; the caller chooses the thread.
"""

from edge_agent.perception.vision.decode import (
    DENSE,
    Candidates,
    OutputLayout,
    OutputSpec,
    decode,
    recognise,
    suppress,
    to_detections,
)
from edge_agent.perception.vision.letterbox import Letterbox, Placement, ResizedPicture, resize

__all__ = [
    "DENSE",
    "Candidates",
    "Letterbox",
    "OutputLayout",
    "OutputSpec",
    "Placement",
    "ResizedPicture",
    "decode",
    "recognise",
    "resize",
    "suppress",
    "to_detections",
]
