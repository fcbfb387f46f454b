"""Which ONNX file an engine is built from, and what the file says of itself.

Knows our naming: beside `signs.onnx` may lie `signs-fp16.onnx` and `signs-int8.onnx`, the same network in another
precision with float32 at both ends. Knows ONNX Runtime, which reads the file first: what it refuses is not built.
"""

from dataclasses import dataclass
from pathlib import Path

from edge_agent.detector.head import read_model
from edge_agent.detector.onnx import OnnxDetector
from edge_agent.detector.shipped import SHIPPED_MODEL, shipped
from edge_agent.detector.tensorrt.bindings import Machine
from edge_agent.detector.tensorrt.engine_file import About, Key
from edge_agent.errors import ConfigError

PRECISIONS = ("auto", "fp16", "int8", "fp32")
_AUTO = ("fp16", "fp32")
"""What `auto` takes, the first whose file is there: fp16 costs no accuracy, int8 some."""


@dataclass(frozen=True, slots=True)
class Source:
    """The ONNX file of one precision, and what its engine is to say of itself (without key and times)."""

    path: Path
    precision: str
    content: bytes
    about: About
    sha256: str

    def key(self, machine: Machine) -> Key:
        """Return the key of this model's engine on that machine."""
        return Key(self.sha256, machine, self.precision, self.profile)

    @property
    def profile(self) -> tuple[int, int, int, int]:
        """The shape of the input: one picture, three colours, height, width."""
        return 1, 3, self.about.height, self.about.width


def precise(model: Path, precision: str) -> tuple[Path, str]:
    """Return the file of the float32 `model` in a precision, and which; raises ConfigError where there is none."""
    wanted = _AUTO if precision == "auto" else (precision,)
    for name in wanted:
        if name == "fp32":
            return model, name
        path = model.with_name(f"{model.stem}-{name}.onnx")
        if model.name == SHIPPED_MODEL:
            path = shipped(model.parent, name)  # one that was made from an older model does not count
        if path != model and path.exists():
            return path, name
    raise ConfigError(
        f"there is no {model.stem}-{precision}.onnx that was made from {model.name}",
        remedy="make it with `python -m edge_agent.mlops.quantise`, or leave out --precision",
    )


def open_source(model: Path, precision: str, *, needs_manifest: bool = False) -> Source:
    """Read the file and have ONNX Runtime look at it; raises ConfigError when it is no model for us."""
    path, name = precise(model, precision)
    detector = OnnxDetector(path, needs_manifest=needs_manifest)
    info = detector.info
    layout = detector.head.spec.layout
    detector.close()
    about = About(info.labels, info.input_width, info.input_height, detector.threshold, layout, path.name)
    return Source(path, name, read_model(path), about, info.sha256)
