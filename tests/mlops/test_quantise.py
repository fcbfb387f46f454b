"""Models in lower precision: the same detections, in the form that each backend needs."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import onnx  # noqa: E402
import onnxruntime as ort  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from edge_agent.errors import ConfigError  # noqa: E402
from edge_agent.mlops import export, quantise  # noqa: E402
from edge_agent.mlops.network import Architecture, SignNet  # noqa: E402
from edge_agent.mlops.quantise import Precision  # noqa: E402
from edge_agent.perception.detector import OnnxDetector  # noqa: E402
from edge_agent.signs import LABELS  # noqa: E402

TINY = Architecture(widths=(8, 8, 16, 16, 16), depths=(1, 1, 1, 1), neck=(16, 16), head=16, bins=8)
WIDTH, HEIGHT = 96, 64
rng = np.random.default_rng(1)
PICTURES = [rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(4)]


@pytest.fixture(scope="module")
def model() -> bytes:
    torch.manual_seed(3)
    net = SignNet(TINY)
    net.train()
    with torch.no_grad():
        net(torch.rand(2, 3, HEIGHT, WIDTH))
    return export.export(net.eval(), WIDTH, HEIGHT, LABELS).data


def answer(data: bytes, optimised: Path | None = None) -> Any:
    options = ort.SessionOptions()
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    pixels = np.random.default_rng(5).random((1, 3, HEIGHT, WIDTH), dtype=np.float32)
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, {"images": pixels})[0]


@pytest.mark.parametrize("precision", list(Precision))
def test_converted_model_answers_nearly_the_same_in_float32(model: bytes, precision: Precision) -> None:
    before, after = answer(model), answer(quantise.convert(model, precision, PICTURES))
    assert after.dtype == np.float32
    assert np.abs(after[..., :4] - before[..., :4]).max() < 2.0
    assert np.abs(after[..., 4:] - before[..., 4:]).max() < 0.02


def test_half_floats_reach_the_last_convolutions_and_no_further(model: bytes) -> None:
    made = onnx.load_from_string(quantise.convert(model, Precision.FP16))
    weights = {one.name: one.data_type for one in made.graph.initializer}
    convolutions = [node for node in made.graph.node if node.op_type == "Conv"]
    assert {weights[name] for node in convolutions for name in node.input[1:]} == {TensorProto.FLOAT16}
    assert weights["centres"] == TensorProto.FLOAT
    assert [one.type.tensor_type.elem_type for one in (*made.graph.input, *made.graph.output)] == [
        TensorProto.FLOAT
    ] * 2


def test_int8_is_signed_and_symmetric_with_weights_by_channel_and_float_biases(model: bytes) -> None:
    made = onnx.load_from_string(quantise.convert(model, Precision.INT8, PICTURES))
    held = {one.name: numpy_helper.to_array(one) for one in made.graph.initializer}
    users = {output: node for node in made.graph.node for output in node.output}
    steps = [node for node in made.graph.node if node.op_type in {"QuantizeLinear", "DequantizeLinear"}]
    assert steps
    for node in steps:
        assert held[node.input[2]].dtype == np.int8
        assert not held[node.input[2]].any()
    by_channel = [node for node in steps if held[node.input[1]].ndim == 1 and held[node.input[1]].size > 1]
    assert by_channel
    biases = [node.input[2] for node in made.graph.node if node.op_type == "Conv" and len(node.input) == 3]
    assert biases
    assert all(held[name].dtype == np.float32 for name in biases if name not in users)
    assert not any(name in users for name in biases)


def test_uint8_is_executed_in_integers_but_for_the_last_convolutions(model: bytes, tmp_path: Path) -> None:
    answer(quantise.convert(model, Precision.UINT8, PICTURES), tmp_path / "optimised.onnx")
    counted = Counter(node.op_type for node in onnx.load(str(tmp_path / "optimised.onnx")).graph.node)
    assert counted["QLinearConv"] > 20
    assert counted["Conv"] + counted["FusedConv"] == 4  # boxes and scores, at two strides


def test_same_model_and_pictures_give_the_same_bytes(model: bytes) -> None:
    assert quantise.convert(model, Precision.UINT8, PICTURES) == quantise.convert(model, Precision.UINT8, PICTURES)


def test_written_files_open_in_the_agent_and_name_their_source(model: bytes, tmp_path: Path) -> None:
    source = tmp_path / "net.onnx"
    source.write_bytes(model)
    digest = hashlib.sha256(model).hexdigest()
    described = {"schema": 1, "model": "net.onnx", "sha256": digest, "labels": list(LABELS), "threshold": 0.3}
    source.with_suffix(".json").write_text(json.dumps(described))
    paths = list(quantise.write(source, tmp_path / "out", PICTURES))
    assert [path.name for path in paths] == ["net-fp16.onnx", "net-int8.onnx", "net-uint8.onnx"]
    for path in paths:
        detector = OnnxDetector(path, needs_manifest=True)
        assert (detector.threshold, detector.info.labels) == (0.3, LABELS)
        manifest = json.loads(path.with_suffix(".json").read_text())
        assert manifest["made_from"] == {"model": "net.onnx", "sha256": digest}
        path.with_suffix(".json").write_text(json.dumps(manifest | {"metrics": {"ap50": 0.9}}))
    paths = list(quantise.write(source, tmp_path / "out", PICTURES))
    assert all(json.loads(path.with_suffix(".json").read_text())["metrics"] == {"ap50": 0.9} for path in paths)
    list(quantise.write(source, tmp_path / "out", PICTURES[:1]))
    assert "metrics" not in json.loads((tmp_path / "out" / "net-uint8.json").read_text()), "another file by now"


def test_drawn_pictures_are_the_same_for_the_same_seed() -> None:
    one, other = next(quantise.calibration_pictures(1, seed=3)), next(quantise.calibration_pictures(1, seed=3))
    assert one.shape == (480, 640, 3)
    assert np.array_equal(one, other)


def test_file_that_is_not_a_model_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match="not a model that ONNX Runtime can load"):
        quantise.convert(b"no model", Precision.FP16)


def test_model_of_any_size_is_refused() -> None:
    shape = [1, 3, "height", "width"]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("images", "out")]
    node = helper.make_node("Relu", ["images"], ["out"], name="relu")
    graph = helper.make_graph([node], "any", value[:1], value[1:])
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    with pytest.raises(ConfigError, match="fixed size"):
        quantise.convert(data, Precision.FP16)


def test_model_without_a_manifest_is_refused(model: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(model)
    with pytest.raises(ConfigError, match=r"net\.json cannot be read"):
        list(quantise.write(tmp_path / "net.onnx", tmp_path, PICTURES))
