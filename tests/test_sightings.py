"""The judge of sightings: what is readable, when it was confirmed, when it was obeyed, and what was never there."""

import numpy as np
import pytest

from edge_agent.config import load_rules
from edge_agent.events import Action, Box, Decision, Detection, Frame, Prediction
from edge_agent.perception.vision import CameraPicture

from .support.sightings import READABLE_PX, Judge, percentiles

IMAGE = np.zeros((400, 600, 3), np.uint8)
PERIOD_S = 0.1
INFERENCE_S = 0.03


def sign(height: float, label: str = "stop", x: float = 300) -> Detection:
    return Detection(label, 0.9, Box(x, 100, x + height, 100 + height))


class Drive:
    """Feeds a judge one picture each PERIOD_S: what is there, and what the detector says of it."""

    def __init__(self) -> None:
        self.judge = Judge(load_rules().signs)
        self.frames = 0

    def picture(self, *there: Detection, seen: bool | tuple[Detection, ...] = True) -> str:
        taken_s, name = self.frames * PERIOD_S, f"f{self.frames}"
        self.frames += 1
        self.judge.feed(Frame(name, self.frames, CameraPicture(IMAGE), taken_s, 0.0, there))
        detections = seen if isinstance(seen, tuple) else there if seen else ()
        self.judge.feed(Prediction(name, self.frames, taken_s, 0.0, 600, 400, detections, 30.0, taken_s + INFERENCE_S))
        return name

    def decide(self, frame_id: str, label: str = "stop") -> None:
        decided_s = (self.frames - 1) * PERIOD_S + INFERENCE_S
        self.judge.feed(Decision("d", frame_id, decided_s, None, Action.STOP, 0, label, f"{label} sign"))


def test_sign_counts_as_readable_by_its_true_height_alone() -> None:
    drive = Drive()
    drive.picture(sign(READABLE_PX - 0.1))
    assert drive.judge.passages == []
    drive.picture(sign(READABLE_PX), seen=False)
    (passage,) = drive.judge.passages
    assert passage.readable_s == pytest.approx(PERIOD_S)


def test_sign_that_the_edge_cuts_is_not_readable_yet() -> None:
    drive = Drive()
    drive.picture(sign(30, x=-2))
    assert drive.judge.passages == []
    drive.picture(sign(30, x=0))
    assert drive.judge.passages == []
    drive.picture(sign(30, x=1))
    assert len(drive.judge.passages) == 1


def test_sign_without_a_rule_is_none_to_be_obeyed() -> None:
    drive = Drive()
    drive.picture(sign(30, "giraffe"))
    assert drive.judge.passages == []


def test_sign_that_leaves_over_the_edge_is_no_new_one() -> None:
    drive = Drive()
    drive.picture(sign(60))
    for height in (50, 30, 20):
        drive.picture(Detection("stop", 1.0, Box(600 - height, 100, 600, 100 + height)))
    assert len(drive.judge.passages) == 1


def test_waits_are_from_the_first_readable_picture_to_the_confirming_one_and_to_the_decision() -> None:
    drive = Drive()
    drive.picture(sign(14), seen=False)
    for n in range(8):
        frame_id = drive.picture(sign(17 + n), seen=n in (1, 3, 4))  # three of the last five, at the fifth
    drive.decide(frame_id)
    (passage,) = drive.judge.passages
    assert passage.confirmed_after_s == pytest.approx(4 * PERIOD_S + INFERENCE_S)
    assert passage.decided_after_s == pytest.approx(7 * PERIOD_S + INFERENCE_S)
    assert drive.judge.false_decisions == 0


def test_sign_confirmed_before_it_is_readable_has_a_negative_wait() -> None:
    drive = Drive()
    for height in (13, 14, 15, 17):
        drive.picture(sign(height))
    (passage,) = drive.judge.passages
    assert passage.confirmed_after_s == pytest.approx(INFERENCE_S - PERIOD_S)


@pytest.mark.parametrize(
    "instead", [(), (sign(20, "no_entry"),), (sign(20, x=10),), (Detection("stop", 0.05, sign(20).box),)]
)
def test_nothing_another_sign_elsewhere_or_hardly_sure_confirms_nothing(instead: tuple[Detection, ...]) -> None:
    drive = Drive()
    for _ in range(10):
        drive.picture(sign(20), seen=instead)
    (passage,) = drive.judge.passages
    assert passage.confirmed_after_s is None
    assert passage.decided_after_s is None


def test_decision_for_a_sign_that_is_not_in_its_picture_is_false() -> None:
    drive = Drive()
    drive.decide(drive.picture(sign(30)), "danger")
    drive.decide(drive.picture())
    assert drive.judge.false_decisions == 2


def test_second_sign_of_a_kind_is_a_passage_of_its_own() -> None:
    drive = Drive()
    for height in (20, 30, 40):
        frame_id = drive.picture(sign(height))
    drive.decide(frame_id)
    for height in (18, 24, 28):  # it was behind the first one all the while
        frame_id = drive.picture(sign(height))
    drive.decide(frame_id)
    assert [passage.decided_after_s is not None for passage in drive.judge.passages] == [True, True]


def test_sign_that_comes_back_after_it_was_out_of_sight_is_a_passage_of_its_own() -> None:
    drive = Drive()
    drive.picture(sign(20))
    drive.picture()
    drive.picture(sign(30))
    assert len(drive.judge.passages) == 2


def test_percentiles_leave_out_what_never_came() -> None:
    assert percentiles([]) == {"p50": None, "p95": None, "max": None, "n": 0}
    assert percentiles([None, *(n / 10 for n in range(100))]) == {"p50": 4.9, "p95": 9.4, "max": 9.9, "n": 100}
