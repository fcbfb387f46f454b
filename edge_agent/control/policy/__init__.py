"""What the signs ask of the train: confirmation over frames, distance, priority, holds, cool-down. Pure functions."""

from edge_agent.control.policy.policy import Memory, Tuning, Wish, observe, release, wish
from edge_agent.perception.tracking import Track, Tracking, follow, iou

__all__ = ["Memory", "Track", "Tracking", "Tuning", "Wish", "follow", "iou", "observe", "release", "wish"]
