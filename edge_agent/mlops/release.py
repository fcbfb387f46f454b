"""Turning a trained network into what ships: the ONNX file, its manifest, and taking the place of an older one.

Knows the manifest's contents and how files replace each other. Knows nothing of training or the command line.
"""

import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_agent.errors import ConfigError, FatalError
from edge_agent.runtime.files import write_atomic
from edge_agent.signs import LABELS

if TYPE_CHECKING:  # they need PyTorch, which promoting a model does without
    from edge_agent.mlops.export import Exported
    from edge_agent.mlops.network import Architecture

SCHEMA = 1
LICENCE = "Apache-2.0"
SHIPPED = "signs"


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a model came about: enough to make it again."""

    command: str
    samples: int
    data: list[dict[str, Any]]
    torch: str
    commit: str
    metrics: dict[str, Any] = field(default_factory=dict)


def manifest(
    name: str,
    exported: "Exported",
    arch: "Architecture",
    *,
    size: tuple[int, int],
    threshold: float,
    origin: Provenance,
) -> dict[str, Any]:
    """Describe a model; the agent refuses a file whose sha256 differs from the one here. `size` is width, height."""
    return {
        "schema": SCHEMA,
        "model": name,
        "sha256": hashlib.sha256(exported.data).hexdigest(),
        "labels": list(LABELS),
        "input": {"width": size[0], "height": size[1], "layout": "NCHW", "colour": "RGB", "scale": "1/255"},
        "stride": list(arch.strides),
        "layout": "channels_last",
        "output": {"format": "[1,N,4+classes]", "box": "cxcywh pixels", "nms": "outside"},
        "threshold": threshold,
        "licence": LICENCE,
        "architecture": arch.to_json(),
        "export": {
            "score_logit_shifts": exported.shifts,
            "margin_px": exported.margin_px,
            "largest_difference_from_torch": {
                "box_px": exported.box_difference_px,
                "score": exported.score_difference,
            },
        },
        "training": {
            "data": origin.data,
            "command": origin.command,
            "commit": origin.commit,
            "samples": origin.samples,
            "torch": origin.torch,
        },
        "metrics": origin.metrics,
    }


def write(folder: Path, exported: "Exported", described: dict[str, Any]) -> Path:
    """Write model and manifest into a folder and return the model's path.

    The manifest comes last: between the two writes the agent sees a model that nobody vouches for, and refuses it.
    """
    path = folder / str(described["model"])
    write_atomic(path, exported.data)
    write_atomic(path.with_suffix(".json"), (json.dumps(described, indent=2) + "\n").encode())
    return path


def describe_data(folder: Path, pictures: int) -> dict[str, Any]:
    """Tell where a data set came from: what its generator noted in `synth.json`, or just its name and size."""
    file = folder / "synth.json"
    noted = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {"name": folder.resolve().name, "pictures": pictures, **noted}


def commit_of_here() -> str:
    """Return the commit of the code that runs, or `unknown` outside a checkout."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    here = Path(__file__).parent
    asked = subprocess.run(  # noqa: S603 - fixed words
        [git, "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


def promote(new_model: Path, engines: Path) -> Path | None:
    """Put a model and its manifest in the place of the shipped one; returns where the old model was kept.

    The old pair becomes `signs-SHA.onnx` and `.json`, SHA being the first eight digits of its sha256. Raises
    ConfigError when the new pair is not whole, FatalError when a file cannot be written.
    """
    data, described = _checked_pair(new_model)
    kept = _keep_old(engines)
    described["model"] = f"{SHIPPED}.onnx"
    write_atomic(engines / f"{SHIPPED}.onnx", data)
    write_atomic(engines / f"{SHIPPED}.json", (json.dumps(described, indent=2) + "\n").encode())
    return kept


def _checked_pair(model: Path) -> tuple[bytes, dict[str, Any]]:
    """Read a model and its manifest and see that they belong together."""
    beside = model.with_suffix(".json")
    try:
        data = model.read_bytes()
        described: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{error.filename} cannot be read: {error.strerror}", remedy="export the model again"
        ) from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{beside} is not JSON: {error}", remedy="export the model again") from error
    if described.get("sha256") != hashlib.sha256(data).hexdigest():
        raise ConfigError(f"{model} is not the model that {beside.name} describes", remedy="export the model again")
    return data, described


def _keep_old(engines: Path) -> Path | None:
    """Copy the shipped pair aside under its own hash."""
    old = engines / f"{SHIPPED}.onnx"
    if not old.is_file():
        return None
    try:
        digest = hashlib.sha256(old.read_bytes()).hexdigest()[:8]
        kept = engines / f"{SHIPPED}-{digest}.onnx"
        shutil.copy2(old, kept)
        if old.with_suffix(".json").is_file():
            described = json.loads(old.with_suffix(".json").read_text(encoding="utf-8"))
            described["model"] = kept.name
            write_atomic(kept.with_suffix(".json"), (json.dumps(described, indent=2) + "\n").encode())
    except OSError as error:
        raise FatalError(f"{engines} cannot keep the old model: {error.strerror}", remedy="free some space") from error
    return kept
