"""capture -> detect -> decide -> drive: the tasks of the control path; the only room that knows the order.

A frame flows one way. Between capture and detection lies one slot that holds the newest frame; everything behind a
prediction happens in the same step of the loop.
"""

from edge_agent.pipeline.capture import Capture, Pace
from edge_agent.pipeline.control import Control, Rules
from edge_agent.pipeline.inference import Inference, Post, Worker

__all__ = ["Capture", "Control", "Inference", "Pace", "Post", "Rules", "Worker"]
