"""Ship a trained network: write the ONNX file with its manifest, and promote it to the shipped detector."""

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

if TYPE_CHECKING:  # these need PyTorch, which promoting a model does not
    from edge_agent.mlops.export import Exported
    from edge_agent.mlops.network import Architecture

SCHEMA = 1
SHIPPED = "signs"


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a model was trained, in enough detail to reproduce it."""

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
    provenance: Provenance,
) -> dict[str, Any]:
    """Return a model's manifest; `size` is the width and height of its input in pixels."""
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
        "licence": "Apache-2.0",
        "architecture": arch.to_json(),
        "export": {
            "score_logit_shifts": exported.shifts,
            "margin_px": exported.margin_px,
            "largest_difference_from_torch": {"box_px": exported.box_difference_px, "score": exported.score_difference},
        },
        "training": {
            "data": provenance.data,
            "command": provenance.command,
            "commit": provenance.commit,
            "samples": provenance.samples,
            "torch": provenance.torch,
        },
        "metrics": provenance.metrics,
    }


def write(folder: Path, exported: "Exported", description: dict[str, Any]) -> Path:
    """Write model and manifest into a folder and return the model's path."""
    # The manifest is written last: until then the agent refuses the model, whose sha256 differs from the manifest's.
    path = folder / str(description["model"])
    write_atomic(path, exported.data)
    write_atomic(path.with_suffix(".json"), (json.dumps(description, indent=2) + "\n").encode())
    return path


def describe_data(folder: Path, pictures: int) -> dict[str, Any]:
    """Return a data set's provenance: its generator's `synth.json`, or just name and size."""
    file = folder / "synth.json"
    record = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return {"name": folder.resolve().name, "pictures": pictures, **record}


def commit_of_here() -> str:
    """Return the commit of the running code, or `unknown` outside a checkout."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    here = Path(__file__).parent
    result = subprocess.run(  # noqa: S603 - fixed arguments
        [git, "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return result.stdout.strip() or "unknown"


def promote(new_model: Path, engines: Path) -> Path | None:
    """Replace the shipped model and its manifest; return the path of the old model's copy, or None without one.

    The old pair is copied to `signs-SHA.onnx` and `.json`, SHA being the first eight digits of its sha256. Raises
    ConfigError when the new pair is incomplete, FatalError when a file cannot be written.
    """
    data, description = _checked_pair(new_model)
    kept = _back_up(engines)
    description["model"] = f"{SHIPPED}.onnx"
    write_atomic(engines / f"{SHIPPED}.onnx", data)
    write_atomic(engines / f"{SHIPPED}.json", (json.dumps(description, indent=2) + "\n").encode())
    return kept


def _checked_pair(model: Path) -> tuple[bytes, dict[str, Any]]:
    """Read a model and its manifest, and check that they belong together."""
    beside = model.with_suffix(".json")
    try:
        data = model.read_bytes()
        description: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{error.filename} cannot be read: {error.strerror}", remedy="export the model again"
        ) from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{beside} is not JSON: {error}", remedy="export the model again") from error
    if description.get("sha256") != hashlib.sha256(data).hexdigest():
        raise ConfigError(f"{model} is not the model described by {beside.name}", remedy="export the model again")
    return data, description


def _back_up(engines: Path) -> Path | None:
    """Copy the shipped pair to names with its hash; return the model's copy, or None without a shipped model."""
    old = engines / f"{SHIPPED}.onnx"
    if not old.is_file():
        return None
    try:
        digest = hashlib.sha256(old.read_bytes()).hexdigest()[:8]
        kept = engines / f"{SHIPPED}-{digest}.onnx"
        shutil.copy2(old, kept)
        if old.with_suffix(".json").is_file():
            description = json.loads(old.with_suffix(".json").read_text(encoding="utf-8"))
            description["model"] = kept.name
            write_atomic(kept.with_suffix(".json"), (json.dumps(description, indent=2) + "\n").encode())
    except OSError as error:
        raise FatalError(
            f"the old model cannot be copied within {engines}: {error.strerror}", remedy="free some space"
        ) from error
    return kept
