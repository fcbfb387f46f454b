"""The control path: capture -> detect -> decide -> drive.

In come the camera's pictures, the hub's events and the operators' orders; out go targets for the driver, and copies of
frames, predictions, decisions and states for the observers. All tasks run in the event loop, the detector in a thread
of its own. A frame flows one way: between capture and detection lies one slot that holds the newest frame, and what
follows from a prediction happens in the same step of the loop.
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
