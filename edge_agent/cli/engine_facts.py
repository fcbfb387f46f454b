"""What `edge-agent engine` tells of models and engines: facts for JSON, and words for people.

Knows files' descriptions. Knows nothing of how they are printed.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from edge_agent.perception.detector.tensorrt.verification import Agreement


def agreement_facts(agreement: Agreement) -> dict[str, Any]:
    """Return how far an engine agrees, for JSON."""
    return {
        "pictures": agreement.pictures,
        "pairs": agreement.pairs,
        "worst_iou": round(agreement.worst_iou, 4),
        "worst_score": round(agreement.worst_score, 4),
    }


def agreement_words(agreement: Agreement) -> str:
    """Say how far an engine agrees, in a line."""
    return (
        f"{agreement.pairs} signs in {agreement.pictures} pictures, least IoU {agreement.worst_iou:.3f}, "
        f"scores within {agreement.worst_score:.3f}"
    )


def engine_info(path: Path) -> dict[str, Any]:
    """Return what an engine says of itself; raises DamagedEngineError when it is not whole."""
    from edge_agent.perception.detector.tensorrt.engine_file import read_engine

    about, content = read_engine(path)
    key = about.key
    return {
        "engine": path.name,
        "whole": True,
        "model": about.model or None,
        "labels": list(about.labels),
        "input": f"{about.width}x{about.height}",
        "bytes": len(content),
        "built by": "edge-agent" if key else "another program",
        "for": machine_words(about),
        "onnx sha256": key.onnx_sha256 if key else None,
        "precision": key.precision if key else None,
        "built": format_date(about.built_unix_s) if key else None,
        "took s": about.built_in_s if key else None,
    }


def onnx_info(path: Path) -> dict[str, Any]:
    """Return what a model is; raises ConfigError when the agent could not run it."""
    from edge_agent.perception.detector import OnnxDetector

    detector = OnnxDetector(path)
    told = detector.info
    detector.close()
    return {
        "model": path.name,
        "sha256": told.sha256,
        "labels": list(told.labels),
        "input": f"{told.input_width}x{told.input_height}",
        "output": detector.head.spec.layout.value,
        "threshold": detector.threshold,
        "quality": quality(model_facts(path)["metrics"]),
    }


def engine_facts(path: Path, about: Any) -> dict[str, Any]:
    """Return one engine of the list."""
    key = about.key if about else None
    return {
        "engine": path.name,
        "of": key.onnx_sha256 if key else None,
        "bytes": path.stat().st_size,
        "for": machine_words(about),
        "precision": key.precision if key else None,
        "built": format_date(about.built_unix_s) if key else None,
    }


def machine_words(about: Any) -> str:
    """Say for which machine an engine was built."""
    if about is None:
        return "damaged: it says nothing that can be read"
    if about.key is None:
        return "not told"
    machine = about.key.machine
    jetson = f", Jetson Linux {machine.l4t}" if machine.l4t else ""
    return f"TensorRT {machine.tensorrt} on {machine.gpu} (SM {machine.sm}){jetson}, {about.key.precision}"


def format_date(unix_s: float) -> str:
    """Say when that was."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_s))


def model_facts(path: Path) -> dict[str, Any]:
    """Return one model of the list."""
    content = path.read_bytes()
    try:
        metrics = json.loads(path.with_suffix(".json").read_text(encoding="utf-8")).get("metrics")
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, AttributeError):
        metrics = None  # the detector tells what is wrong with a manifest when it is asked to run the model
    return {
        "model": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "metrics": metrics if isinstance(metrics, dict) else None,
    }


def quality(metrics: dict[str, Any] | None) -> str:
    """Name the average precision on each data set that the manifest tells of."""
    if metrics is None:
        return "no manifest"
    told = [
        f"{name}: AP50 {figures['ap50']:.3f}"
        for name, figures in metrics.items()
        if isinstance(figures, dict) and isinstance(figures.get("ap50"), int | float)
    ]
    return ", ".join(told) or "-"
