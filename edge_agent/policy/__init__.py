"""What the signs ask of the train: confirmation over frames, distance, priority, holds, cool-down. Pure functions."""

from edge_agent.policy.policy import Memory, Tuning, Wish, observe, release, wish
from edge_agent.policy.tracker import Track, Tracking, follow, iou

__all__ = ["Memory", "Track", "Tracking", "Tuning", "Wish", "follow", "iou", "observe", "release", "wish"]
