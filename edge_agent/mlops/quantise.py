"""Convert a detector to half floats or 8-bit integers, from its ONNX file alone.

`python -m edge_agent.mlops.quantise engines/signs.onnx` writes three files with their manifests beside the model; see
`Precision`. 8-bit ranges are calibrated on synthetic pictures; measure the accuracy with `edge-agent evaluate`.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_agent.errors import ConfigError
from edge_agent.mlops.synth.options import SynthOptions
from edge_agent.mlops.synth.scene import SceneGenerator
from edge_agent.perception.vision import Letterbox
from edge_agent.runtime.files import write_atomic

CALIBRATION_PICTURES = 48
_SEED = 7000
_WIDTH_PX, _HEIGHT_PX = 640, 480  # a webcam's picture, as the train's camera gives it
_QUANTISED = ["Conv", "Relu", "Concat", "MaxPool", "Resize", "Add"]
_KEPT_METADATA = frozenset({"names", "stride", "imgsz", "task", "license"})
# The entries of a manifest that hold in every precision.
_MANIFEST_KEYS = ("labels", "input", "stride", "layout", "output", "threshold", "licence")


class Precision(StrEnum):
    """Precision of a converted model; the value is part of its file name. Input and output stay float32.

    FP16: half floats up to the last convolutions. INT8: signed and symmetric, weights per channel, float biases: what
    TensorRT reads. UINT8: unsigned activations with a zero point, 7-bit weights, integer biases: what ONNX Runtime
    executes in integers from end to end on a CPU.
    """

    FP16 = "fp16"
    INT8 = "int8"
    UINT8 = "uint8"


def convert(model: bytes, precision: Precision, pictures: Iterable[NDArray[np.uint8]] = ()) -> bytes:
    """Return an ONNX file in another precision; 8 bits need `pictures`, (h, w, 3) uint8 BGR, for calibration.

    Raises ConfigError unless the file is an ONNX model with one static input [1, 3, height, width].
    """
    graph = _folded(model)
    if precision is Precision.FP16:
        _to_half(graph)
    else:
        graph = _quantised(graph, precision, pictures)
    for one in [one for one in graph.metadata_props if one.key not in _KEPT_METADATA]:
        graph.metadata_props.remove(one)
    onnx.checker.check_model(graph, full_check=True)
    return bytes(graph.SerializeToString(deterministic=True))


def calibration_pictures(count: int = CALIBRATION_PICTURES, seed: int = _SEED) -> Iterator[NDArray[np.uint8]]:
    """Yield `count` synthetic pictures, (480, 640, 3) uint8 BGR, the same for the same seed."""
    generator = SceneGenerator(SynthOptions(count, seed=seed, width=_WIDTH_PX, height=_HEIGHT_PX))
    for index in range(count):
        yield generator.scene(index).image


def write(model: Path, out: Path, pictures: Iterable[NDArray[np.uint8]] | None = None) -> Iterator[Path]:
    """Write each precision of `model` with its manifest into a folder; yields each path once it is written.

    Raises ConfigError when the model or its manifest cannot be read, FatalError when a file cannot be written.
    """
    data, description = _read(model)
    chosen = list(calibration_pictures() if pictures is None else pictures)
    for precision in Precision:
        path = out / f"{model.stem}-{precision}.onnx"
        converted = convert(data, precision, chosen)
        write_atomic(path, converted)
        manifest = {
            "schema": 1,
            "model": path.name,
            "sha256": hashlib.sha256(converted).hexdigest(),
            **{key: description[key] for key in _MANIFEST_KEYS if key in description},
            "precision": precision.value,
            "made_from": {"model": model.name, "sha256": hashlib.sha256(data).hexdigest()},
        }
        manifest |= _existing_metrics(path, manifest["sha256"])
        write_atomic(path.with_suffix(".json"), (json.dumps(manifest, indent=2) + "\n").encode())
        yield path


def _existing_metrics(path: Path, digest: str) -> dict[str, Any]:
    """Return the metrics of an existing manifest for the very same file; empty where there are none."""
    try:
        existing = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    same = isinstance(existing, dict) and existing.get("sha256") == digest and "metrics" in existing
    return {"metrics": existing["metrics"]} if same else {}


def _read(model: Path) -> tuple[bytes, dict[str, Any]]:
    beside = model.with_suffix(".json")
    try:
        description = json.loads(beside.read_text(encoding="utf-8"))
        return model.read_bytes(), dict(description)
    except OSError as error:
        raise ConfigError(
            f"{error.filename} cannot be read: {error.strerror}", remedy="name a trained model"
        ) from error
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{beside} is not a manifest", remedy="export the model again") from error


def _folded(model: bytes) -> Any:
    """Load a model with norms folded into the convolutions and constants folded."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "folded.onnx"
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.log_severity_level = 4
        options.optimized_model_filepath = str(path)
        try:
            ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            line = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise ConfigError(f"not a model that ONNX Runtime can load ({line})", remedy="export it again") from error
        graph = onnx.load(str(path))
    shape = [side.dim_value for side in graph.graph.input[0].type.tensor_type.shape.dim]
    if len(graph.graph.input) != 1 or len(shape) != 4 or 0 in shape:
        raise ConfigError(f"the model's input is {shape}", remedy="export it for one picture of a fixed size")
    del graph.opset_import[:]  # the optimiser lists domains that the graph does not use
    graph.opset_import.append(helper.make_opsetid("", 17))
    return graph


def _consumers(graph: Any) -> dict[str, list[Any]]:
    consumers = defaultdict(list)
    for node in graph.graph.node:
        for name in node.input:
            consumers[name].append(node)
    return consumers


def _body(graph: Any) -> set[str]:
    """Return the names of the nodes up to the last convolutions; those after them compute boxes in pixels, exactly."""
    consumers, body = _consumers(graph), set()
    for node in reversed(graph.graph.node):
        after = (user.name for output in node.output for user in consumers[output])
        if node.op_type == "Conv" or any(name in body for name in after):
            body.add(node.name)
    return body


def _last_convolutions(graph: Any, body: set[str]) -> set[str]:
    consumers = _consumers(graph)
    return {
        node.name
        for node in graph.graph.node
        if node.name in body and not any(user.name in body for output in node.output for user in consumers[output])
    }


def _to_half(graph: Any) -> None:
    """Convert the body to half floats, in place, with casts at its input and outputs."""
    body, consumers = _body(graph), _consumers(graph)
    source = graph.graph.input[0].name
    weights = {one.name: one for one in graph.graph.initializer if one.data_type == TensorProto.FLOAT}
    nodes = [helper.make_node("Cast", [source], [f"{source}_half"], name="to_half", to=TensorProto.FLOAT16)]
    for node in graph.graph.node:
        nodes.append(node)
        if node.name not in body:
            continue
        for index, name in enumerate(node.input):
            if name == source:
                node.input[index] = f"{source}_half"
            elif name in weights and node.op_type == "Conv":
                half = numpy_helper.to_array(weights[name]).astype(np.float16)
                weights.pop(name).CopyFrom(numpy_helper.from_array(half, name))
        for name in node.output:
            outside = [user for user in consumers[name] if user.name not in body]
            if outside:
                nodes.append(
                    helper.make_node("Cast", [name], [f"{name}_single"], name=f"{name}_single", to=TensorProto.FLOAT)
                )
            for user in outside:
                user.input[list(user.input).index(name)] = f"{name}_single"
    # Copies, since the list that is cleared next owns the originals.
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.graph.node[:], graph.graph.value_info[:]
    graph.graph.node.extend(copies)


class _CalibrationReader:
    """Implements CalibrationDataReader of ONNX Runtime's quantiser."""

    def __init__(self, name: str, letterbox: Letterbox, pictures: Iterable[NDArray[np.uint8]]) -> None:
        self._name, self._letterbox, self._pictures = name, letterbox, iter(pictures)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """Return the next picture as the network's input; None at the end."""
        picture = next(self._pictures, None)
        return None if picture is None else {self._name: self._letterbox.fill(picture)[0].copy()}

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        return iter(self.get_next, None)


def _quantised(graph: Any, precision: Precision, pictures: Iterable[NDArray[np.uint8]]) -> Any:
    """Insert Q and DQ nodes around the body with ONNX Runtime's quantiser, except for the last convolutions."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static  # noqa: PLC0415 - loads for a second

    body, source = _body(graph), graph.graph.input[0]
    exact = {node.name for node in graph.graph.node} - body | _last_convolutions(graph, body)
    _, _, height, width = (side.dim_value for side in source.type.tensor_type.shape.dim)
    signed = precision is Precision.INT8
    # The quantiser warns about models that were not preprocessed, and recognises them by this entry: `_folded` did it.
    helper.set_model_props(
        graph, {**{one.key: one.value for one in graph.metadata_props}, "onnx.quant.pre_process": "onnxruntime.quant"}
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantised.onnx"
        quantize_static(
            graph,
            str(path),
            _CalibrationReader(source.name, Letterbox(width, height), pictures),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_QUANTISED,
            per_channel=True,
            activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=not signed,  # CPUs without VNNI sum in 16 bits, which 7-bit weights do not overflow
            nodes_to_exclude=sorted(exact),
            extra_options={"ActivationSymmetric": signed, "WeightSymmetric": True, "QuantizeBias": not signed},
        )
        return onnx.load(str(path))


def main() -> None:
    """Read the options and write."""
    parser = argparse.ArgumentParser(description="Write a detector as fp16, int8 (TensorRT) and uint8 (CPU).")
    parser.add_argument("model", type=Path, help="the ONNX file; its manifest lies beside it")
    parser.add_argument("--out", type=Path, help="where to write; beside the model if not given")
    options = parser.parse_args()
    for path in write(options.model, options.out or options.model.parent):
        sys.stderr.write(f"{path}\n")


if __name__ == "__main__":
    main()
