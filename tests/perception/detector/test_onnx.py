"""The ONNX Runtime detector with all kinds of models."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_agent.errors import ConfigError, FatalError
from edge_agent.events import Box
from edge_agent.perception.detector import OnnxDetector
from edge_agent.perception.vision import OutputLayout
from tests.perception.detector.models import Row, outputs_for, save, save_fragile, write_manifest

ROWS: list[Row] = [(10, 12, 30, 40, 0.9, 1), (11, 12, 31, 40, 0.8, 2), (50, 20, 70, 60, 0.7, 0)]
NAMES = "{0: 'a', 1: 'b', 2: 'c'}"
PICTURE = np.zeros((64, 96, 3), np.uint8)


def tiny(folder: Path, layout: OutputLayout = OutputLayout.CHANNELS_LAST, **more: object) -> Path:
    return save(folder / "m.onnx", outputs_for(layout, ROWS, 3), **{"names": NAMES, **more})  # type: ignore[arg-type]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("layout", list(OutputLayout))
def test_detector_every_form_of_output_gives_the_same_signs(tmp_path: Path, layout: OutputLayout) -> None:
    detector = OnnxDetector(tiny(tmp_path, layout))
    found = detector.infer(PICTURE)
    assert [d.label for d in found] == ["b", "a"]
    assert [d.score for d in found] == pytest.approx([0.9, 0.7])
    assert (found[0].box.x1, found[0].box.y2) == pytest.approx((10, 40), abs=1e-3)
    detector.close()


def test_detector_info_names_file_hash_size_and_labels(tmp_path: Path) -> None:
    model = tiny(tmp_path)
    info = OnnxDetector(model).info
    assert (info.backend, info.model, info.sha256) == ("onnxruntime", "m.onnx", sha256(model))
    assert (info.input_width, info.input_height, info.labels) == (96, 64, ("a", "b", "c"))


def test_detector_boxes_are_in_pixels_of_the_picture_that_was_given(tmp_path: Path) -> None:
    found = OnnxDetector(tiny(tmp_path)).infer(np.zeros((640, 960, 3), np.uint8))
    assert found[0].box == Box(*(pytest.approx(value, abs=0.01) for value in (100, 120, 300, 400)))


def test_detector_picture_with_bars_is_mapped_back(tmp_path: Path) -> None:
    detector = OnnxDetector(tiny(tmp_path))
    narrow = detector.infer(np.zeros((64, 64, 3), np.uint8))  # 16 pixels of border on either side
    assert (narrow[0].box.x1, narrow[0].box.x2) == pytest.approx((0, 14), abs=1e-3)
    assert narrow[1].box.x1 == pytest.approx(34, abs=1e-3)


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8])
def test_detector_input_type_is_served(tmp_path: Path, dtype: int) -> None:
    assert len(OnnxDetector(tiny(tmp_path, dtype=dtype)).infer(PICTURE)) == 2


def test_detector_dynamic_axes_take_the_exporters_size(tmp_path: Path) -> None:
    model = tiny(tmp_path, batch="batch", size=("height", "width"), metadata={"imgsz": "[64, 96]"})
    info = OnnxDetector(model).info
    assert (info.input_width, info.input_height) == (96, 64)


def test_detector_dynamic_axes_take_the_manifests_size_first(tmp_path: Path) -> None:
    model = tiny(tmp_path, size=("height", "width"), metadata={"imgsz": "[64, 96]"})
    write_manifest(model, sha256(model), ["a", "b", "c"], input={"width": 320, "height": 224})
    info = OnnxDetector(model).info
    assert (info.input_width, info.input_height) == (320, 224)


@pytest.mark.parametrize("imgsz", ["", "640", "[0, 640]", "[a, b]"])
def test_detector_dynamic_axes_without_a_size_take_640(tmp_path: Path, imgsz: str) -> None:
    info = OnnxDetector(tiny(tmp_path, size=("height", "width"), metadata={"imgsz": imgsz})).info
    assert (info.input_width, info.input_height) == (640, 640)


def test_detector_threshold_is_the_callers_then_the_manifests_then_half(tmp_path: Path) -> None:
    model = tiny(tmp_path)
    assert OnnxDetector(model).threshold == 0.5
    write_manifest(model, sha256(model), ["a", "b", "c"], threshold=0.75)
    assert [d.label for d in OnnxDetector(model).infer(PICTURE)] == ["b"]
    assert [d.label for d in OnnxDetector(model, threshold=0.6).infer(PICTURE)] == ["b", "a"]


def test_detector_max_detections_keeps_the_best(tmp_path: Path) -> None:
    assert [d.label for d in OnnxDetector(tiny(tmp_path), max_detections=1).infer(PICTURE)] == ["b"]


def test_detector_iou_of_nearly_one_keeps_what_overlaps(tmp_path: Path) -> None:
    assert [d.label for d in OnnxDetector(tiny(tmp_path), iou=0.99).infer(PICTURE)] == ["b", "c", "a"]


def test_detector_names_of_the_manifest_come_first(tmp_path: Path) -> None:
    model = tiny(tmp_path)
    write_manifest(model, sha256(model), ["x", "y", "z"])
    assert OnnxDetector(model).info.labels == ("x", "y", "z")


def test_detector_one_changed_byte_is_refused(tmp_path: Path) -> None:
    model = tiny(tmp_path)
    write_manifest(model, sha256(model), ["a", "b", "c"])
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)
    with pytest.raises(ConfigError, match="the model has changed"):
        OnnxDetector(model)


def test_detector_that_must_have_a_manifest_is_refused_without(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"m\.json is missing"):
        OnnxDetector(tiny(tmp_path), needs_manifest=True)


def refused(model: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        OnnxDetector(model)
    message = str(caught.value)
    assert str(model) in message
    assert caught.value.remedy
    assert "\n" not in message
    return message


def test_model_missing_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "nothing.onnx")


def test_model_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_model_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    model = tiny(tmp_path)
    content = model.read_bytes()
    model.write_bytes(content[: int(len(content) * share)])
    assert refused(model)


def test_model_that_is_something_else_is_refused(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(b"<html>not found</html>" * 50)
    assert "ONNX Runtime" in refused(model)


@pytest.mark.parametrize(("names", "message"), [(None, "no class names"), ("a, b, c", "'names' cannot be parsed")])
def test_model_without_readable_names_asks_for_a_manifest(tmp_path: Path, names: str | None, message: str) -> None:
    message = refused(tiny(tmp_path, names=names))
    assert message in message
    assert "m.json" in message


def test_model_with_another_number_of_names_is_refused(tmp_path: Path) -> None:
    assert "[1, 126, 7] has no known layout for 4 class names" in refused(tiny(tmp_path, names="['a', 'b', 'c', 'd']"))


def test_model_with_an_output_of_another_shape_is_refused(tmp_path: Path) -> None:
    model = save(tmp_path / "m.onnx", {"out": np.zeros((1, 1000), np.float32)}, names=NAMES)
    assert "no known layout" in refused(model)


@pytest.mark.parametrize(
    "more",
    [{"batch": 4}, {"size": (3, 64)}, {"dtype": TensorProto.INT64}, {"dtype": TensorProto.DOUBLE}],
    ids=["batch_of_four", "three_rows", "integers", "doubles"],
)
def test_model_with_another_input_is_refused(tmp_path: Path, more: dict[str, object]) -> None:
    assert "[1, 3, height, width]" in refused(tiny(tmp_path, **more))


def test_model_with_boxes_as_fractions_is_refused(tmp_path: Path) -> None:
    output = outputs_for(OutputLayout.CHANNELS_FIRST, ROWS, 3)["out"].copy()
    output[0, :4] /= 100
    assert "not in pixels" in refused(save(tmp_path / "m.onnx", {"out": output}, names=NAMES))


@pytest.mark.parametrize("layout", [OutputLayout.END_TO_END, OutputLayout.END_TO_END_BATCH, OutputLayout.EFFICIENT_NMS])
@pytest.mark.parametrize("score", [0.9, 0.1])
def test_model_with_nms_inside_and_boxes_as_fractions_is_refused(
    tmp_path: Path, layout: OutputLayout, score: float
) -> None:
    outputs = outputs_for(layout, [(0.1, 0.2, 0.3, 1.01, score, 1)], 3)
    if layout is OutputLayout.EFFICIENT_NMS:
        outputs["det_boxes"][0, 1:] = 0
    with pytest.raises(ConfigError, match=r"m\.onnx: its boxes are not in pixels"):
        OnnxDetector(save(tmp_path / "m.onnx", outputs, names=NAMES))


@pytest.mark.parametrize("layout", [OutputLayout.END_TO_END, OutputLayout.END_TO_END_BATCH])
def test_model_with_nms_inside_that_finds_nothing_on_grey_is_accepted(tmp_path: Path, layout: OutputLayout) -> None:
    OnnxDetector(save(tmp_path / "m.onnx", outputs_for(layout, [], 3), names=NAMES))


@pytest.mark.parametrize("task", ["obb", "segment", "pose", "classify", "Semantic"])
def test_model_of_another_task_is_refused(tmp_path: Path, task: str) -> None:
    with pytest.raises(ConfigError, match=rf"m\.onnx: it is a model for the task '{task}'.*a detection model"):
        OnnxDetector(tiny(tmp_path, metadata={"task": task}))


@pytest.mark.parametrize("task", ["detect", "Detect", "object-detection"])
def test_model_of_our_task_is_accepted(tmp_path: Path, task: str) -> None:
    OnnxDetector(tiny(tmp_path, metadata={"task": task}))


def test_model_of_a_newer_ir_shows_the_whole_reason(tmp_path: Path) -> None:
    model = onnx.load(tiny(tmp_path))
    model.ir_version = 99
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(ConfigError, match=r"IR version: 99, max supported IR version: .*set the model's ir_version"):
        OnnxDetector(tmp_path / "m.onnx")


@pytest.mark.parametrize("inside", ["initializer", "constant", "subgraph"])
def test_model_with_weights_in_a_second_file_is_refused(
    tmp_path: Path, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(tiny(tmp_path))
    weights = numpy_helper.from_array(np.arange(400, dtype=np.float32), "w")
    node = helper.make_node("Constant", [], ["w"], value=weights)
    if inside == "initializer":
        model.graph.initializer.append(weights)
    elif inside == "constant":
        model.graph.node.insert(0, node)
    else:
        branch = helper.make_graph([node], "g", [], [helper.make_tensor_value_info("w", TensorProto.FLOAT, [400])])
        model.graph.initializer.append(numpy_helper.from_array(np.bool_(True), "yes"))
        model.graph.node.insert(0, helper.make_node("If", ["yes"], ["v"], then_branch=branch, else_branch=branch))
    monkeypatch.chdir(tmp_path)  # where ONNX Runtime would find them
    onnx.save(model, "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=64, convert_attribute=True)
    assert (tmp_path / "w.bin").stat().st_size >= 1600
    with pytest.raises(ConfigError, match="weights in a second file"):
        OnnxDetector(tmp_path / "m.onnx")


def test_model_with_metadata_called_location_is_accepted(tmp_path: Path) -> None:
    OnnxDetector(tiny(tmp_path, metadata={"location": "weights.bin"}))


def test_model_with_scores_before_the_sigmoid_is_refused(tmp_path: Path) -> None:
    output = outputs_for(OutputLayout.OBJECTNESS_LAST, ROWS, 3)["out"].copy()
    output[0, :, 4:] -= 6
    assert "not from 0 to 1" in refused(save(tmp_path / "m.onnx", {"out": output}, names=NAMES))


def test_model_that_answers_nan_to_a_bright_picture_is_fatal_there_only(tmp_path: Path) -> None:
    model = save_fragile(tmp_path / "m.onnx", outputs_for(OutputLayout.CHANNELS_LAST, ROWS, 3), names=NAMES)  # type: ignore[arg-type]
    detector = OnnxDetector(model)
    assert len(detector.infer(PICTURE)) == 2
    with pytest.raises(FatalError, match="NaN"):
        detector.infer(np.full_like(PICTURE, 255))
    assert len(detector.infer(PICTURE)) == 2


def test_detector_prints_nothing_on_stderr(tmp_path: Path) -> None:
    model = tiny(tmp_path)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(model.read_bytes()[:300])
    code = (
        "import sys\nfrom pathlib import Path\nimport numpy as np\n"
        "from edge_agent.perception.detector import OnnxDetector\nfrom edge_agent.errors import ConfigError\n"
        "OnnxDetector(Path(sys.argv[1]), threads=2).infer(np.zeros((64, 96, 3), np.uint8))\n"
        "try:\n    OnnxDetector(Path(sys.argv[2]))\nexcept ConfigError:\n    print('refused')\n"
    )
    command = [sys.executable, "-c", code, str(model), str(broken)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "refused\n", "")
