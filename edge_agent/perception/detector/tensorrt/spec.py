"""Which engine is wanted and how its outputs are decoded; importable without the rest of this package."""

from dataclasses import dataclass
from pathlib import Path

ENGINE_SUFFIXES = (".engine", ".plan")


@dataclass(frozen=True, slots=True)
class PostprocessOptions:
    """How to decode the network's outputs; `threshold` None for the engine's own, or 0.5."""

    threshold: float | None = None
    iou: float = 0.5
    max_detections: int = 100


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """An engine of `model`, the float32 ONNX file or a ready-made engine, in a precision, cached in `folder`."""

    model: Path
    precision: str
    folder: Path
    needs_manifest: bool = False

    @property
    def ready_made(self) -> bool:
        """Whether the model is an engine already."""
        return self.model.suffix in ENGINE_SUFFIXES

    def onnx(self) -> Path | None:
        """Return the ONNX file to run on the CPU instead: the model, or the one beside the engine if it exists."""
        beside = self.model.with_suffix(".onnx") if self.ready_made else self.model
        return beside if beside.is_file() or not self.ready_made else None
