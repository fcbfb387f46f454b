"""Evaluation: a COCO file and its pictures in, figures with confidence intervals and plots out.

Detectors run through the Detector port, with the same code as on the train; everything blocks in the caller's thread.
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
