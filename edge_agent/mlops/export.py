"""Export a network to an ONNX file that the agent runs, and read its weights back.

The file keeps every weight under its own name, so training can start from it.
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

TOLERANCE = 1e-3
"""Largest accepted difference from PyTorch, relative to the largest possible output (1 for scores)."""
ARCHITECTURE_KEY = "edge_agent_architecture"
DUPLICATES_KEY = "edge_agent_twins"
_NO_SHIFTS: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class Exported:
    """An exported file's content, and its largest difference from PyTorch in boxes (pixels) and scores.

    `shifts` and `margin_px` are those of `ExportNet`.
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
    """Export to a static, self-contained ONNX file; see `ExportNet` for `shifts` and `margin_px`.

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
        # The tracing exporter keeps norms separate from convolutions, so that weights can be read back.
        warnings.simplefilter("ignore")
        # Supported by TensorRT 8.6 and by every ONNX Runtime since 1.12.
        torch.onnx.export(
            module,
            (torch.zeros(1, 3, height, width),),
            buffer,  # type: ignore[arg-type] # a file object is accepted, contrary to the stub
            opset_version=17,
            dynamo=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            input_names=["images"],
            output_names=["output0"],
        )
    model = onnx.load_from_string(buffer.getvalue())
    _add_metadata(model, net, labels, width, height)
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString()
    return Exported(data, dict(shifts), margin_px, *verify(data, module, width, height))


def _add_metadata(model: Any, net: SignNet, labels: Sequence[str], width: int, height: int) -> None:
    onnx.helper.set_model_props(
        model,
        {
            "names": repr(dict(enumerate(labels))),
            "stride": str(max(net.arch.strides)),
            "imgsz": str([height, width]),
            "task": "detect",
            "license": "Apache-2.0",
            ARCHITECTURE_KEY: json.dumps(net.arch.to_json(), sort_keys=True),
            DUPLICATES_KEY: json.dumps(_duplicates(model, net)),
        },
    )


def _weights(model: Any) -> dict[str, NDArray[Any]]:
    """Return the file's weights by their names in the network."""
    return {one.name.removeprefix("net."): onnx.numpy_helper.to_array(one) for one in model.graph.initializer}


def _duplicates(model: Any, net: SignNet) -> dict[str, str]:
    """Return for each weight that the exporter deduplicated the name of the equal one that is in the file."""
    weights_in_file = _weights(model)
    state = net.forked().state_dict()
    missing = {name: value.numpy() for name, value in state.items() if name not in weights_in_file and value.ndim}
    return {
        name: next(other for other, theirs in weights_in_file.items() if np.array_equal(theirs, value))
        for name, value in missing.items()
    }


@torch.no_grad()
def verify(data: bytes, module: ExportNet, width: int, height: int) -> tuple[float, float]:
    """Run both on two pictures of noise and return the largest difference in boxes (pixels) and in scores.

    Raises FatalError when a difference exceeds TOLERANCE.
    """
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
    """Write the file atomically; raises FatalError naming it."""
    write_atomic(path, exported.data)


def read_back(path: Path) -> tuple[Architecture, dict[str, torch.Tensor]]:
    """Read architecture and weights from a file of `export`; raises ConfigError naming any other file."""
    try:
        model = onnx.load(str(path))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except DecodeError as error:
        raise ConfigError(f"{path} is not an ONNX file") from error
    props = {prop.key: prop.value for prop in model.metadata_props}
    if ARCHITECTURE_KEY not in props:
        raise ConfigError(
            f"{path} was not exported by this program",
            remedy="training can only start from a file exported by `edge-agent train`",
        )
    arch = Architecture.from_json(json.loads(props[ARCHITECTURE_KEY]))
    weights_in_file = _weights(model)
    weights_in_file |= {
        name: weights_in_file[other] for name, other in json.loads(props.get(DUPLICATES_KEY, "{}")).items()
    }
    for left in [name for name in weights_in_file if ".enter.left." in name]:
        right = left.replace(".left.", ".right.")
        weights_in_file[left.replace(".left.", ".")] = np.concatenate((weights_in_file[left], weights_in_file[right]))
    weights = {}
    for name, value in SignNet(arch).state_dict().items():
        if name.endswith("num_batches_tracked"):
            weights[name] = torch.tensor(0)
        elif name in weights_in_file and weights_in_file[name].shape == tuple(value.shape):
            weights[name] = torch.from_numpy(weights_in_file[name].copy())
        else:
            raise ConfigError(f"{path} lacks the weight {name}", remedy="export it again with this version")
    return arch, weights
