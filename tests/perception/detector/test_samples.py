"""A detector is tried on the drawn sample pictures."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.errors import FatalError
from edge_agent.events import Box, Detection
from edge_agent.perception.detector import OnnxDetector, shipped_model
from edge_agent.perception.detector.samples import samples_problem
from edge_agent.ports import DetectorInfo
from edge_agent.runtime import resources

STOP_IN_4 = Box(130, 330, 250, 450)


class Stub:
    """Detects the same in every picture."""

    def __init__(self, *found: Detection, labels: tuple[str, ...] = ("stop", "danger")) -> None:
        self.info = DetectorInfo("stub", "m.onnx", "", 0, 0, labels)
        self.found = found
        self.calls = 0

    def infer(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        self.calls += 1
        return self.found

    def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("precision", ["fp32", "uint8", "int8"])
def test_trial_the_shipped_detector_finds_signs(precision: str) -> None:
    detector = OnnxDetector(shipped_model(resources.engines_dir(), precision))
    assert samples_problem(detector) == ""
    # Also one that knows only a sign or two, as somebody's own.
    for label in ("stop", "danger", "speed_limit_30", "no_entry", "traffic_light"):
        detector.info = replace(detector.info, labels=(label,))
        assert samples_problem(detector) == ""


def test_trial_stops_at_the_first_sign_that_is_found() -> None:
    detector = Stub(Detection("stop", 0.9, STOP_IN_4))
    assert samples_problem(detector) == ""
    assert detector.calls < 5


@pytest.mark.parametrize(
    "found", [(), (Detection("danger", 0.9, STOP_IN_4),), (Detection("stop", 0.9, Box(0.2, 0.7, 0.4, 0.95)),)]
)
def test_trial_a_detector_that_finds_nothing_is_named(found: tuple[Detection, ...]) -> None:
    detector = Stub(*found)
    assert samples_problem(detector).startswith("m.onnx finds none of the ")
    assert detector.calls > 4


def test_trial_a_detector_of_other_things_is_not_judged() -> None:
    detector = Stub(labels=("moose",))
    assert (samples_problem(detector), detector.calls) == ("", 0)


def test_trial_a_detector_that_fails_is_named() -> None:
    class Broken(Stub):
        def infer(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
            raise FatalError("NaN")

    assert samples_problem(Broken()) == "m.onnx fails on a sample picture: NaN"
