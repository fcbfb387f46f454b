"""The detector on the CPU: any YOLO-family ONNX file, through ONNX Runtime."""

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from edge_agent.errors import ConfigError, FatalError
from edge_agent.events import Detection
from edge_agent.perception.detector.manifest import Manifest, manifest_path, parse_names, read_manifest
from edge_agent.perception.detector.postprocess import (
    DEFAULT_THRESHOLD,
    MAX_SIDE,
    MIN_SIDE,
    ModelDescription,
    OutputDecoder,
    check_task,
    parse_size,
    read_model,
    recognise_outputs,
)
from edge_agent.perception.vision import Letterbox, OutputSpec
from edge_agent.perception.vision.letterbox import PAD_GREY
from edge_agent.ports import DetectorInfo

_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}

# ONNX Runtime's exceptions have no common base class but Exception.
ORT_ERRORS: tuple[type[Exception], ...] = tuple(
    value for value in vars(ort_state).values() if isinstance(value, type) and issubclass(value, Exception)
)

_LOAD_ERRORS: tuple[type[Exception], ...] = (*ORT_ERRORS, RuntimeError)
# ONNX Runtime has no exception of its own for too little memory, or for too few threads.
_NO_MEMORY = ("bad_alloc", "pthread_create")
_IR_REMEDY = "update onnxruntime, or set the model's ir_version to the highest supported one and save it again"
# TensorProto.external_data (field 13) with its entry `location`, as every writer of protobuf lays it out.
_EXTERNAL_DATA = re.compile(rb"\x6a..?\x0a\x08location\x12", re.DOTALL)


class OnnxDetector:
    """Implements ports.Detector on ONNX Runtime's CPU provider.

    Input of the network: one picture, [1, 3, height, width], RGB, float32 or float16 in 0..1 or uint8 in 0..255; axes
    may be dynamic.
    Outputs: the layouts of vision.OutputLayout. Raises ConfigError when the file is no such model.

    Args:
        model: the ONNX file; a manifest beside it (same name, `.json`) is checked and used.
        threshold: minimum score; None for the manifest's, or 0.5.
        iou: IoU above which two boxes count as one sign.
        threads: threads of the network.
        max_detections: maximum number of detections in one picture.
        needs_manifest: refuse a model without a manifest.
    """

    info: DetectorInfo

    def __init__(
        self,
        model: Path,
        *,
        threshold: float | None = None,
        iou: float = 0.5,
        threads: int = 1,
        max_detections: int = 100,
        needs_manifest: bool = False,
    ) -> None:
        content = read_model(model)
        digest = hashlib.sha256(content).hexdigest()
        manifest = read_manifest(model, digest)
        if needs_manifest and manifest is None:
            raise ConfigError(
                f"{model}: its manifest {manifest_path(model).name} is missing",
                remedy="reinstall edge-agent, or set detector.model to a model of your own",
            )
        _refuse_external_weights(model, content)
        self._session = _open_session(model, content, threads)
        check_task(self._session.get_modelmeta().custom_metadata_map.get("task", ""), str(model))
        labels = _labels(self._session, manifest, model)
        network_input = _input(self._session, model)
        width, height = _input_size(network_input.shape, self._session, manifest)
        self._input_name = network_input.name
        self._letterbox = Letterbox(width, height, _DTYPES[network_input.type])
        manifest_threshold = manifest.threshold if manifest else None
        self.threshold = next(
            value for value in (threshold, manifest_threshold, DEFAULT_THRESHOLD) if value is not None
        )
        self.info = DetectorInfo("onnxruntime", model.name, digest, width, height, labels)
        self.decoder = OutputDecoder(self._probe(model, manifest), labels, self.threshold, iou, max_detections)

    def infer(self, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        """Find signs in a (height, width, 3) uint8 BGR picture; boxes in its pixels, best score first.

        Raises FatalError when the network fails, or outputs NaN or infinity.
        """
        blob, placement = self._letterbox.fill(image)
        return self.decoder.decode(self._run(blob), placement, image)

    def close(self) -> None:
        """Release the session; the detector cannot be used afterwards."""
        del self._session

    def _run(self, blob: NDArray[Any]) -> list[NDArray[Any]]:
        try:
            outputs: list[NDArray[Any]] = self._session.run(None, {self._input_name: blob})
        except ORT_ERRORS as error:
            raise FatalError(
                f"the network failed: {_one_line(error)}", remedy="check the model with edge-agent detect"
            ) from error
        return outputs

    def _probe(self, model: Path, manifest: Manifest | None) -> OutputSpec:
        """Run once on a grey picture, to learn the outputs' actual shapes and to warm the session up."""
        grey = np.full((self.info.input_height, self.info.input_width, 3), PAD_GREY, np.uint8)
        outputs = self._run(self._letterbox.fill(grey)[0])
        layout = manifest.layout if manifest else None
        description = ModelDescription(
            str(model), self.info.labels, self.info.input_width, self.info.input_height, layout
        )
        return recognise_outputs(outputs, description, self.threshold)


def _refuse_external_weights(model: Path, content: bytes) -> None:
    """Raise ConfigError for a model that has weights in a second file."""
    # Neither its sha256 nor its manifest would cover them, and ONNX Runtime looks for them in the working directory.
    if _EXTERNAL_DATA.search(content):
        raise ConfigError(
            f"{model}: it has weights in a second file, which its sha256 does not cover",
            remedy="save it as one file: onnx.save(onnx.load('in.onnx'), 'out.onnx')",
        )


def _open_session(model: Path, content: bytes, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Threads spinning between pictures cost more than they save at 10 pictures a second.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except _LOAD_ERRORS as error:
        if any(sign in str(error) for sign in _NO_MEMORY):
            raise MemoryError(_one_line(error)) from error
        raise ConfigError(
            f"{model}: not a model that ONNX Runtime {ort.__version__} can load ({_one_line(error)})",
            remedy=_IR_REMEDY if "IR version" in str(error) else "copy or export it again",
        ) from error


def _labels(session: Any, manifest: Manifest | None, model: Path) -> tuple[str, ...]:
    if manifest:
        return manifest.labels
    text = session.get_modelmeta().custom_metadata_map.get("names", "")
    labels = parse_names(text)
    if labels is None:
        problem = "its metadata 'names' cannot be parsed" if text else "the model has no class names"
        raise ConfigError(f"{model}: {problem}", remedy=f"list them in a manifest, {manifest_path(model)}")
    return labels


def _input(session: Any, model: Path) -> Any:
    """Return the network's only input; raises ConfigError unless it takes one picture."""
    inputs = session.get_inputs()
    remedy = "export it for one picture at a time, as float [1, 3, height, width]"
    if len(inputs) != 1 or inputs[0].type not in _DTYPES:
        listed = ", ".join(f"{item.name} {item.type}" for item in inputs)
        raise ConfigError(f"{model}: its inputs are {listed or 'none'}", remedy=remedy)
    if not _takes_one_picture(inputs[0].shape):
        raise ConfigError(f"{model}: its input is {inputs[0].shape}", remedy=remedy)
    return inputs[0]


def _takes_one_picture(shape: list[Any]) -> bool:
    """Return whether a shape can be [1, 3, height, width]; a dynamic axis, which is not an int, fits any length."""
    if len(shape) != 4:
        return False
    batch, channels, *sides = (side if isinstance(side, int) else None for side in shape)
    return (
        batch in {None, 1}
        and channels in {None, 3}
        and all(side is None or MIN_SIDE <= side <= MAX_SIDE for side in sides)
    )


def _input_size(shape: list[Any], session: Any, manifest: Manifest | None) -> tuple[int, int]:
    """Return width and height in pixels: the model's own, else the manifest's, else `imgsz`, else 640."""
    size = parse_size(session.get_modelmeta().custom_metadata_map.get("imgsz", ""))
    height = shape[2] if isinstance(shape[2], int) else (manifest and manifest.input_height) or size[0]
    width = shape[3] if isinstance(shape[3], int) else (manifest and manifest.input_width) or size[1]
    return width, height


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
