"""Evaluation: pictures or films and what is in them in, figures with confidence intervals and plots out.

Detectors run through the Detector port, with the same code as on the train; everything blocks in the caller's thread.
"""

from edge_agent.mlops.evaluate.decisions import (
    DecisionComparison as DecisionComparison,
    DecisionReport as DecisionReport,
    compare_decisions as compare_decisions,
    judge as judge,
)
from edge_agent.mlops.evaluate.matching import Matches as Matches, match as match
from edge_agent.mlops.evaluate.metrics import (
    Comparison as Comparison,
    Report as Report,
    compare as compare,
    measure as measure,
)
from edge_agent.mlops.evaluate.playback import PlaybackOptions as PlaybackOptions, play as play
from edge_agent.mlops.evaluate.truth import (
    GroundTruth as GroundTruth,
    PictureDetections as PictureDetections,
    read_truth as read_truth,
    run_detector as run_detector,
)
