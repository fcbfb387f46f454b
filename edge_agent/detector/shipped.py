"""The detector that ships, in the numbers that suit whoever runs it.

Knows the files in engines/ and that what was made from an older model must not run in the place of a newer one. Knows
nothing of backends.
"""

import json
from pathlib import Path

SHIPPED_MODEL = "signs.onnx"
"""The detector that travels with the agent, in engines/: float32, what all others are made from."""

CPU_PRECISION = "uint8"
"""What ONNX Runtime runs by default: two thirds of float32's time on a CPU, and as good; see docs/detector.md."""


def shipped(folder: Path, precision: str) -> Path:
    """Return the shipped model in `precision` (`fp16`, `int8` or `uint8`), or the float32 one where that is not there.

    It counts as there when its manifest says that it was made from the float32 model of today: one that was promoted
    since leaves the others behind. That each file is the one its manifest describes is seen to by whoever opens it.
    """
    base = folder / SHIPPED_MODEL
    made = base.with_name(f"{base.stem}-{precision}.onnx")
    if made.is_file() and _told(made, "made_from", "sha256") == _told(base, "sha256") is not None:
        return made
    return base


def _told(model: Path, *keys: str) -> str | None:
    """Look a text up in the manifest beside a model; None where it does not say."""
    try:
        value = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
        for key in keys:
            value = value[key]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) else None
