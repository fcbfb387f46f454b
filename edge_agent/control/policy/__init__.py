"""What the signs ask of the train: confirmation over frames, distance, priority, holds, cool-down. Pure functions."""

from edge_agent.control.policy.policy import PolicyMemory, PolicyOutput, Tuning, evaluate, observe, release
from edge_agent.perception.tracking import Track, TrackerParameters, iou, update_tracks

__all__ = [
    "PolicyMemory",
    "PolicyOutput",
    "Track",
    "TrackerParameters",
    "Tuning",
    "evaluate",
    "iou",
    "observe",
    "release",
    "update_tracks",
]
