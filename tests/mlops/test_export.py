"""The exported file: the same outputs as PyTorch, self-contained, and readable by the agent."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

import onnx  # noqa: E402
import onnxruntime as ort  # noqa: E402

from edge_agent.errors import ConfigError, FatalError  # noqa: E402
from edge_agent.mlops import export  # noqa: E402
from edge_agent.mlops.network import Architecture, ExportNet, SignNet  # noqa: E402
from edge_agent.perception.detector import OnnxDetector  # noqa: E402
from edge_agent.signs import LABELS  # noqa: E402

TINY = Architecture(widths=(8, 8, 16, 16, 16), depths=(1, 1, 1, 1), neck=(16, 16), head=16, bins=8)


@pytest.fixture(scope="module")
def net() -> SignNet:
    torch.manual_seed(3)
    made = SignNet(TINY)
    made.train()
    with torch.no_grad():
        made(torch.rand(2, 3, 64, 96))  # norms that are not at their start
    return made.eval()


def run(data: bytes, pixels: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> np.ndarray:  # type: ignore[type-arg]
    (out,) = ort.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"images": pixels})
    return np.asarray(out)


def test_export_equals_torch(net: SignNet) -> None:
    made = export.export(net, 96, 64, LABELS)
    pixels = np.random.default_rng(5).random((1, 3, 64, 96), dtype=np.float32)
    with torch.no_grad():
        ours = ExportNet(net, 64, 96).eval()(torch.from_numpy(pixels)).numpy()
    theirs = run(made.data, pixels)
    assert theirs.shape == (1, 12 * 8 + 6 * 4, 4 + len(LABELS))
    assert np.abs(ours - theirs).max() < 1e-2
    assert made.box_difference_px < 0.1


def test_export_graph_is_static_with_names_and_no_shape_arithmetic(net: SignNet) -> None:
    model = onnx.load_from_string(export.export(net, 96, 64, LABELS).data)
    props = {prop.key: prop.value for prop in model.metadata_props}
    assert props["names"] == repr(dict(enumerate(LABELS)))
    assert props["imgsz"] == "[64, 96]"
    assert {node.op_type for node in model.graph.node}.isdisjoint({"Shape", "Range", "NonMaxSuppression"})
    assert [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 64, 96]


def test_export_opens_in_the_agent(net: SignNet, tmp_path: Path) -> None:
    export.save(tmp_path / "net.onnx", export.export(net, 96, 64, LABELS))
    detector = OnnxDetector(tmp_path / "net.onnx", threshold=0.0001)
    assert detector.info.labels == LABELS
    assert detector.infer(np.full((48, 80, 3), 200, np.uint8))
    detector.close()


def test_export_margin_widens_boxes_and_shift_lifts_scores(net: SignNet) -> None:
    pixels = np.random.default_rng(5).random((1, 3, 64, 96), dtype=np.float32)
    plain = run(export.export(net, 96, 64, LABELS).data, pixels)
    changed = run(export.export(net, 96, 64, LABELS, shifts=dict.fromkeys(LABELS, 2.0), margin_px=1.5).data, pixels)
    assert np.allclose(changed[..., 2:4], plain[..., 2:4] + 3.0, atol=1e-3)
    assert np.allclose(changed[..., :2], plain[..., :2], atol=1e-3)
    assert (changed[..., 4:] > plain[..., 4:]).all()


def test_export_that_disagrees_with_torch_is_refused(net: SignNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(FatalError, match="differs from PyTorch"):
        export.export(net, 96, 64, LABELS)


def test_read_back_returns_the_very_weights(net: SignNet, tmp_path: Path) -> None:
    export.save(tmp_path / "net.onnx", export.export(net, 96, 64, LABELS))
    arch, weights = export.read_back(tmp_path / "net.onnx")
    assert arch == TINY
    state = net.state_dict()
    assert set(weights) == set(state)
    assert all(torch.equal(weights[key], state[key]) for key in state if not key.endswith("num_batches_tracked"))


def test_read_back_foreign_file_names_it(tmp_path: Path) -> None:
    foreign = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
    onnx.save(foreign, str(tmp_path / "other.onnx"))
    (tmp_path / "broken.onnx").write_bytes(b"\xff\xff\xff")
    for name in ("other.onnx", "broken.onnx", "absent.onnx"):
        with pytest.raises(ConfigError, match=name):
            export.read_back(tmp_path / name)
