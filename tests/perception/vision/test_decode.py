"""From a network's outputs to detections."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.errors import FatalError
from edge_agent.events import Box
from edge_agent.perception.vision import DENSE, Candidates, OutputLayout, OutputSpec, decode, suppress, to_detections
from edge_agent.perception.vision.letterbox import Placement, place
from tests.perception.detector.models import Row, outputs_for

ROWS: list[Row] = [(10, 12, 30, 40, 0.9, 1), (50, 20, 70, 60, 0.7, 0), (60, 5, 66, 9, 0.3, 2)]
LABELS = ("a", "b", "c")


def spec_of(layout: OutputLayout) -> OutputSpec:
    return OutputSpec(layout, (0, 1, 2, 3) if layout is OutputLayout.EFFICIENT_NMS else (0,))


def decoded(layout: OutputLayout, rows: list[Row], threshold: float = 0.5) -> Candidates:
    return decode(list(outputs_for(layout, rows, 3).values()), spec_of(layout), threshold)


@pytest.mark.parametrize("layout", list(OutputLayout))
def test_decode_each_form_gives_the_boxes_above_threshold(layout: OutputLayout) -> None:
    found = decoded(layout, ROWS)
    assert found.boxes == pytest.approx(np.array([row[:4] for row in ROWS[:2]]), abs=1e-3)
    assert found.scores == pytest.approx([0.9, 0.7])
    assert found.classes.tolist() == [1, 0]


@pytest.mark.parametrize("layout", list(OutputLayout))
def test_decode_each_form_without_signs_gives_nothing(layout: OutputLayout) -> None:
    found = decoded(layout, [])
    assert found.boxes.shape == (0, 4)
    assert found.scores.shape == found.classes.shape == (0,)
    assert to_detections(suppress(found, 0.5, 10), place(96, 64, 96, 64), 96, 64, LABELS) == ()


@pytest.mark.parametrize("layout", list(OutputLayout))
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_decode_number_that_is_none_is_fatal(layout: OutputLayout, poison: float) -> None:
    outputs = [output.copy() for output in outputs_for(layout, ROWS, 3).values()]
    broken = next(output for output in outputs if output.dtype == np.float32)
    broken.flat[broken.size // 2] = poison
    with pytest.raises(FatalError, match="NaN or infinity"):
        decode(outputs, spec_of(layout), 0.5)


@pytest.mark.parametrize("layout", sorted(DENSE))
def test_decode_random_dense_head_agrees_with_a_simple_decoder(layout: OutputLayout) -> None:
    rng = np.random.default_rng(7)
    objectness = layout in {OutputLayout.OBJECTNESS_FIRST, OutputLayout.OBJECTNESS_LAST}
    rows = rng.random((1, 200, 8 + objectness), np.float32)
    rows[0, :, :4] *= 100
    output = (
        rows if layout in {OutputLayout.CHANNELS_LAST, OutputLayout.OBJECTNESS_LAST} else rows.transpose(0, 2, 1).copy()
    )
    found = decode([output], OutputSpec(layout, (0,)), 0.6)
    plain = _simple_decode(rows[0], objectness=objectness, threshold=0.6)
    assert len(plain) > 30
    ours = np.column_stack([found.scores, found.classes, found.boxes])
    assert ours == pytest.approx(np.array(plain), abs=1e-3)


def _simple_decode(rows: NDArray[np.float32], *, objectness: bool, threshold: float) -> list[tuple[float, ...]]:
    """Return score, class and corners of each row that passes, best first, by simple loops."""
    message = []
    for x, y, w, h, *rest in rows.tolist():
        scores = [rest[0] * score for score in rest[1:]] if objectness else rest
        if max(scores) >= threshold:
            message.append((max(scores), scores.index(max(scores)), x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    return sorted(message, reverse=True)


def test_decode_half_precision_output_is_read() -> None:
    output = outputs_for(OutputLayout.CHANNELS_FIRST, ROWS, 3)["out"].astype(np.float16)
    found = decode([output], spec_of(OutputLayout.CHANNELS_FIRST), 0.5)
    assert found.scores == pytest.approx([0.9, 0.7], abs=1e-3)


def test_decode_end_to_end_of_another_picture_in_the_batch_is_ignored() -> None:
    output = outputs_for(OutputLayout.END_TO_END_BATCH, ROWS, 3)["out"].copy()
    output[0, 0] = 1
    assert decode([output], spec_of(OutputLayout.END_TO_END_BATCH), 0.5).scores == pytest.approx([0.7])


def test_decode_low_threshold_on_a_noisy_head_keeps_the_best_only() -> None:
    rows: list[Row] = [(i, i, i + 5, i + 5, 0.2 + i / 1000, 0) for i in range(400)]
    output = outputs_for(OutputLayout.CHANNELS_LAST, rows, 3, places=1300)["out"]
    found = decode([output], spec_of(OutputLayout.CHANNELS_LAST), 0.1)
    assert len(found.scores) == 300
    assert found.scores.min() > 0.2 + 90 / 1000


def test_suppress_two_classes_on_one_sign_keeps_the_better() -> None:
    rows: list[Row] = [(10, 10, 30, 30, 0.6, 0), (11, 10, 31, 30, 0.8, 2), (60, 10, 80, 30, 0.55, 0)]
    for layout in (OutputLayout.CHANNELS_LAST, OutputLayout.END_TO_END):
        kept = suppress(decoded(layout, rows), 0.5, 10)
        assert kept.classes.tolist() == [2, 0]
        assert kept.scores == pytest.approx([0.8, 0.55])


def test_suppress_overlap_at_the_limit_keeps_both() -> None:
    rows: list[Row] = [(0, 0, 20, 10, 0.9, 0), (0, 5, 20, 15, 0.8, 0)]  # overlap: a third
    assert len(suppress(decoded(OutputLayout.CHANNELS_LAST, rows), 0.34, 10).scores) == 2
    assert len(suppress(decoded(OutputLayout.CHANNELS_LAST, rows), 0.32, 10).scores) == 1


def test_suppress_more_than_asked_keeps_the_best() -> None:
    assert suppress(decoded(OutputLayout.CHANNELS_LAST, ROWS, 0.1), 0.5, 2).scores == pytest.approx([0.9, 0.7])


def test_to_detections_boxes_return_to_the_picture_and_are_clipped() -> None:
    boxes = np.array([[-20, 10, 40, 60], [200, 200, 210, 210], [10, 20, 30, 30]], np.float32)
    found = Candidates(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.array([0, 1, 2]))
    spot = Placement(0.5, 0.5, left=0, top=10, width=100, height=50)
    detections = to_detections(found, spot, 200, 100, LABELS)
    assert [(d.label, d.box) for d in detections] == [("a", Box(0, 0, 80, 100)), ("c", Box(20, 20, 60, 40))]
    assert all(isinstance(value, float) for d in detections for value in (d.score, d.box.x1, d.box.y2))


@pytest.mark.parametrize("class_id", [3, -1])
def test_to_detections_class_without_a_name_is_fatal(class_id: int) -> None:
    found = Candidates(np.array([[1, 1, 5, 5]], np.float32), np.array([0.9], np.float32), np.array([class_id]))
    with pytest.raises(FatalError, match="3 names"):
        to_detections(found, place(96, 64, 96, 64), 96, 64, LABELS)
