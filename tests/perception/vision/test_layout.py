"""Recognition of layouts by the shapes of a network's outputs."""

import pytest

from edge_agent.perception.vision import OutputLayout, recognise
from edge_agent.perception.vision.decode import Shape

CASES: list[tuple[str, list[Shape], int, OutputLayout, tuple[int, ...]]] = [
    ("yolov8", [(1, 84, 8400)], 80, OutputLayout.CHANNELS_FIRST, (0,)),
    ("ours", [(1, 4940, 13)], 9, OutputLayout.CHANNELS_LAST, (0,)),
    ("yolov5", [(1, 25200, 85)], 80, OutputLayout.OBJECTNESS_LAST, (0,)),
    ("yolov5_with_raw_heads", [(1, 3, 80, 80, 85), (1, 25200, 85)], 80, OutputLayout.OBJECTNESS_LAST, (1,)),
    ("objectness_first", [(1, 85, 8400)], 80, OutputLayout.OBJECTNESS_FIRST, (0,)),
    ("yolov10", [(1, 300, 6)], 80, OutputLayout.END_TO_END, (0,)),
    ("no_batch_axis", [(300, 6)], 80, OutputLayout.END_TO_END, (0,)),
    ("yolov7_end2end_nothing_found", [(0, 7)], 80, OutputLayout.END_TO_END_BATCH, (0,)),
    ("efficient_nms", [(1, 1), (1, 100, 4), (1, 100), (1, 100)], 80, OutputLayout.EFFICIENT_NMS, (0, 1, 2, 3)),
    ("efficient_nms_keeping_one", [(1, 1), (1, 1, 4), (1, 1), (1, 1)], 80, OutputLayout.EFFICIENT_NMS, (0, 1, 2, 3)),
    ("efficient_nms_flat_count", [(1,), (1, 20, 4), (1, 20), (1, 20)], 80, OutputLayout.EFFICIENT_NMS, (0, 1, 2, 3)),
    ("two_classes_dense_by_grid", [(1, 8400, 6)], 2, OutputLayout.CHANNELS_LAST, (0,)),
    ("two_classes_dense_by_small_grid", [(1, 525, 6)], 2, OutputLayout.CHANNELS_LAST, (0,)),
    ("two_classes_nms_inside", [(1, 300, 6)], 2, OutputLayout.END_TO_END, (0,)),
    ("two_classes_channels_first", [(1, 6, 8400)], 2, OutputLayout.CHANNELS_FIRST, (0,)),
    ("one_class_objectness", [(1, 25200, 6)], 1, OutputLayout.OBJECTNESS_LAST, (0,)),
    ("more_rows_than_an_nms_keeps", [(1, 2000, 6)], 2, OutputLayout.CHANNELS_LAST, (0,)),
]


@pytest.mark.parametrize(("shapes", "classes", "layout", "indices"), [case[1:] for case in CASES], ids=lambda _: "")
def test_recognise_known_form_is_recognised_by_shape(
    shapes: list[Shape], classes: int, layout: OutputLayout, indices: tuple[int, ...]
) -> None:
    side = 160 if shapes == [(1, 525, 6)] else 640
    spec = recognise(shapes, classes, side, side)
    assert spec is not None
    assert (spec.layout, spec.indices) == (layout, indices)


@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 1000)],
        [(1, 116, 8400), (1, 32, 160, 160)],
        [(2, 84, 8400)],
        [(1, 255, 80, 80)],
        [()],
        [],
        [(1, 100, 4), (1, 100)],
    ],
    ids=["classifier", "segmentation", "batch_of_two", "raw_grid", "no_numbers", "none", "half_an_nms"],
)
def test_recognise_anything_else_is_refused(shapes: list[Shape]) -> None:
    assert recognise(shapes, 80, 640, 640) is None


def test_recognise_manifest_settles_what_shapes_leave_open() -> None:
    shapes: list[Shape] = [(1, 300, 6)]
    message = recognise(shapes, 2, 640, 640, OutputLayout.CHANNELS_LAST)
    assert message is not None
    assert message.layout is OutputLayout.CHANNELS_LAST


def test_recognise_manifest_against_the_shapes_is_refused() -> None:
    assert recognise([(1, 84, 8400)], 80, 640, 640, OutputLayout.END_TO_END) is None
