"""Which engine is wanted, and how its detections are taken: what can be said without loading the rest of this room.

Knows names of files. Knows nothing of TensorRT.
"""

from dataclasses import dataclass
from pathlib import Path

ENGINE_SUFFIXES = (".engine", ".plan")


@dataclass(frozen=True, slots=True)
class PostprocessOptions:
    """How detections are taken from the network's outputs; `threshold` None for the engine's own, or 0.5."""

    threshold: float | None = None
    iou: float = 0.5
    max_detections: int = 100


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Which engine: of `model`, the float32 ONNX or a ready-made engine, in a precision, kept in `folder`."""

    model: Path
    precision: str
    folder: Path
    needs_manifest: bool = False

    @property
    def ready_made(self) -> bool:
        """Tell whether the model is an engine already."""
        return self.model.suffix in ENGINE_SUFFIXES

    def onnx(self) -> Path | None:
        """Return the ONNX file that stands in for it on the CPU: the model, or what lies beside the engine."""
        beside = self.model.with_suffix(".onnx") if self.ready_made else self.model
        return beside if beside.is_file() or not self.ready_made else None
