"""Pictures to network input, network output to detections, detections to drawings.

Knows arrays, boxes and colours. Knows nothing of cameras, backends or what a sign means.
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
