"""Measuring a detector on annotated pictures, through the agent's own path.

Knows COCO files, matching, figures and plots. Knows nothing of how a detector was made.
"""

from edge_agent.mlops.evaluate.matching import Matches, match
from edge_agent.mlops.evaluate.metrics import Comparison, Report, compare, measure
from edge_agent.mlops.evaluate.truth import GroundTruth, PictureDetections, read_truth, run_detector

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
