"""Pictures to network input, network output to detections, detections to drawings.

Knows arrays, boxes and colours. Knows nothing of cameras, backends or what a sign means.
"""

from edge_agent.perception.vision.decode import Candidates, decode, suppress, to_detections
from edge_agent.perception.vision.layout import DENSE, Layout, OutputSpec, recognise
from edge_agent.perception.vision.letterbox import Letterbox, Placement, resize
from edge_agent.perception.vision.picture import Fitted

__all__ = [
    "DENSE",
    "Candidates",
    "Fitted",
    "Layout",
    "Letterbox",
    "OutputSpec",
    "Placement",
    "decode",
    "recognise",
    "resize",
    "suppress",
    "to_detections",
]
