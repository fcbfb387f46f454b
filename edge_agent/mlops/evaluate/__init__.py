"""Measuring a detector on annotated pictures, through the agent's own path.

Knows COCO files, matching, figures and plots. Knows nothing of how a detector was made.
"""

from edge_agent.mlops.evaluate.compare import Comparison, compare
from edge_agent.mlops.evaluate.detect import PictureDetections, run_detector
from edge_agent.mlops.evaluate.matching import Matches, match
from edge_agent.mlops.evaluate.metrics import Report, measure
from edge_agent.mlops.evaluate.truth import GroundTruth, read_truth

__all__ = [
    "Comparison",
    "GroundTruth",
    "Matches",
    "PictureDetections",
    "Report",
    "compare",
    "match",
    "measure",
    "read_truth",
    "run_detector",
]
