"""From weights to an ONNX file that the agent runs, and back: the file keeps every weight under its own name.

Knows ONNX, its metadata and how to check a file against PyTorch. Knows nothing of training or of manifests.
"""

import io
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from edge_agent.errors import ConfigError, FatalError
from edge_agent.mlops.network import Architecture, ExportNet, SignNet
from edge_agent.runtime.files import write_atomic

OPSET = 17
"""Old enough for TensorRT 8.6 and every ONNX Runtime since 1.12."""
TOLERANCE = 1e-3
"""Largest difference from PyTorch that export accepts, relative to the largest output (1 for scores)."""
ARCHITECTURE_KEY = "edge_agent_architecture"
TWINS_KEY = "edge_agent_twins"
_NO_SHIFTS: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of an export: the bytes, and the largest difference from PyTorch in boxes (px) and scores.

    `shifts` and `margin_px` are what was added on the way, see `ExportNet`.
    """

    data: bytes
    shifts: dict[str, float]
    margin_px: float
    box_difference_px: float
    score_difference: float


def export(
    net: SignNet,
    width: int,
    height: int,
    labels: Sequence[str],
    *,
    shifts: Mapping[str, float] = _NO_SHIFTS,
    margin_px: float = 0.0,
) -> Exported:
    """Make a static, self-contained ONNX file; see `ExportNet` for `shifts` and `margin_px`.

    Input `images` [1, 3, height, width] RGB 0..1; output `output0` [1, N, 4 + classes]: centre x, centre y, width,
    height in input pixels, then scores. Raises FatalError when ONNX Runtime and PyTorch disagree.
    """
    net = net.cpu()
    module = (
        ExportNet(net.forked(), height, width, shifts=[shifts.get(label, 0.0) for label in labels], margin_px=margin_px)
        .eval()
        .cpu()
    )
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter by tracing is the one that leaves norms apart from convolutions: weights can be read back.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.zeros(1, 3, height, width),),
            buffer,  # type: ignore[arg-type] # a file object is taken, the stub says otherwise
            opset_version=OPSET,
            dynamo=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            input_names=["images"],
            output_names=["output0"],
        )
    model = onnx.load_from_string(buffer.getvalue())
    _describe(model, net, labels, width, height)
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString()
    return Exported(data, dict(shifts), margin_px, *verify(data, module, width, height))


def _describe(model: Any, net: SignNet, labels: Sequence[str], width: int, height: int) -> None:
    """Add the metadata that YOLO readers look for, and ours."""
    onnx.helper.set_model_props(
        model,
        {
            "names": repr(dict(enumerate(labels))),
            "stride": str(max(net.arch.strides)),
            "imgsz": str([height, width]),
            "task": "detect",
            "license": "Apache-2.0",
            ARCHITECTURE_KEY: json.dumps(net.arch.to_json(), sort_keys=True),
            TWINS_KEY: json.dumps(_twins(model, net)),
        },
    )


def _held(model: Any) -> dict[str, NDArray[Any]]:
    """Return the file's weights by the names they have in the network."""
    return {one.name.removeprefix("net."): onnx.numpy_helper.to_array(one) for one in model.graph.initializer}


def _twins(model: Any, net: SignNet) -> dict[str, str]:
    """Tell under which name to find a weight that equals another: the exporter keeps one of each such heap."""
    held = _held(model)
    state = net.forked().state_dict()
    missing = {name: value.numpy() for name, value in state.items() if name not in held and value.ndim}
    return {
        name: next(other for other, theirs in held.items() if np.array_equal(theirs, value))
        for name, value in missing.items()
    }


@torch.no_grad()
def verify(data: bytes, module: ExportNet, width: int, height: int) -> tuple[float, float]:
    """Run both on two pictures of noise and return the largest difference of boxes (px) and of scores."""
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    boxes = scores = 0.0
    for _ in range(2):
        pixels = rng.random((1, 3, height, width), dtype=np.float32)
        (theirs,) = session.run(None, {"images": pixels})
        ours = module(torch.from_numpy(pixels)).numpy()
        difference = np.abs(theirs - ours)
        boxes = max(boxes, float(difference[..., :4].max()))
        scores = max(scores, float(difference[..., 4:].max()))
    if not (boxes <= TOLERANCE * max(width, height) and scores <= TOLERANCE):
        raise FatalError(
            f"the exported network differs from PyTorch by {boxes:.3g} px and {scores:.3g} in score",
            remedy="report this with the versions of torch and onnxruntime",
        )
    return boxes, scores


def save(path: Path, exported: Exported) -> None:
    """Write the file whole or not at all; raises FatalError naming it."""
    write_atomic(path, exported.data)


def read_back(path: Path) -> tuple[Architecture, dict[str, torch.Tensor]]:
    """Read architecture and weights from a file that `export` made; raises ConfigError naming the file otherwise."""
    try:
        model = onnx.load(str(path))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except DecodeError as error:
        raise ConfigError(f"{path} is not an ONNX file") from error
    props = {prop.key: prop.value for prop in model.metadata_props}
    if ARCHITECTURE_KEY not in props:
        raise ConfigError(f"{path} was not exported by this program", remedy="training starts from our own files only")
    arch = Architecture.from_json(json.loads(props[ARCHITECTURE_KEY]))
    held = _held(model)
    held |= {name: held[other] for name, other in json.loads(props.get(TWINS_KEY, "{}")).items()}
    for left in [name for name in held if ".enter.left." in name]:
        right = left.replace(".left.", ".right.")
        held[left.replace(".left.", ".")] = np.concatenate((held[left], held[right]))
    weights = {}
    for name, value in SignNet(arch).state_dict().items():
        if name.endswith("num_batches_tracked"):
            weights[name] = torch.tensor(0)
        elif name in held and held[name].shape == tuple(value.shape):
            weights[name] = torch.from_numpy(held[name].copy())
        else:
            raise ConfigError(f"{path} lacks the weight {name}", remedy="export it again with this version")
    return arch, weights
