"""What `--collect DIR` makes of the settings: an observer that keeps hard frames.

Knows which settings the collector works by. Knows nothing of what it keeps.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_agent.config import Settings
    from edge_agent.observers.hard_frames import Collector
    from edge_agent.perception.detector import DetectorOptions


@dataclass(frozen=True, slots=True)
class CollectorOptions:
    """Where hard frames go, and the most megabytes that the folder may hold."""

    folder: Path
    megabytes: int


def open_collector(keeping: CollectorOptions, settings: "Settings") -> "Collector":
    """Return an observer that keeps hard frames; raises UsageError when its folder cannot be written to."""
    from edge_agent.observers.hard_frames import Collector
    from edge_agent.perception.tracking import TrackerParameters

    how = settings.policy
    tracking = TrackerParameters(min_iou=how.track_iou, forget_s=how.track_lost_ms / 1000)
    threshold, budget_bytes = _threshold(settings.detector), keeping.megabytes * 1_000_000
    return Collector(keeping.folder, threshold=threshold, budget_bytes=budget_bytes, tracking=tracking)


def _threshold(how: "DetectorOptions") -> float:
    """Return the least score of a detection: the settings', else the manifest's, else the default."""
    from edge_agent.perception.detector import SHIPPED_MODEL
    from edge_agent.perception.detector.manifest import read_manifest
    from edge_agent.perception.detector.postprocess import DEFAULT_THRESHOLD
    from edge_agent.runtime import resources

    if how.threshold is not None:
        return how.threshold
    model = how.model or resources.engines_dir() / SHIPPED_MODEL
    if how.backend == "none" or not model.is_file():  # that it is missing is told when it is opened
        return DEFAULT_THRESHOLD
    manifest = read_manifest(model, hashlib.sha256(model.read_bytes()).hexdigest())
    own = manifest.threshold if manifest else None
    return DEFAULT_THRESHOLD if own is None else own
