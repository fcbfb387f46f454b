"""Pictures to network input, network output to detections, detections to drawings.

Knows arrays, boxes and colours. Knows nothing of cameras, backends or what a sign means.
"""

from edge_agent.perception.vision.decode import Candidates, decode, suppress, to_detections
from edge_agent.perception.vision.layout import DENSE, OutputLayout, OutputSpec, recognise
from edge_agent.perception.vision.letterbox import Letterbox, Placement, resize
from edge_agent.perception.vision.picture import ResizedPicture

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
