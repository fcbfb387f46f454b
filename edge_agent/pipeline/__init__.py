"""capture -> detect -> decide -> drive: the tasks of the control path; the only room that knows the order.

A frame flows one way. Between capture and detection lies one slot that holds the newest frame; everything behind a
prediction happens in the same step of the loop.
"""

from edge_agent.pipeline.capture import Capture, CaptureParameters
from edge_agent.pipeline.control import Control, ControlParameters
from edge_agent.pipeline.inference import DetectorSlot, DetectorWorker, Inference

__all__ = [
    "Capture",
    "CaptureParameters",
    "Control",
    "ControlParameters",
    "DetectorSlot",
    "DetectorWorker",
    "Inference",
]
