"""Draw engines/samples: the pictures on which an engine must agree with ONNX Runtime, and every detector is tried.

Usage: `python -m tools.engine_samples engines/samples`. Every run draws the same pictures.
"""

import argparse
import json
import sys
from pathlib import Path

import cv2

from edge_agent.errors import EdgeAgentError
from edge_agent.mlops.synth.options import SynthOptions
from edge_agent.mlops.synth.scene import SceneGenerator
from edge_agent.runtime.files import write_atomic

PICTURES = 8
_SEED = 9100
_WIDTH_PX, _HEIGHT_PX = 640, 480
_JPEG_QUALITY = 85


def write(folder: Path, count: int = PICTURES) -> list[Path]:
    """Draw `count` scenes with at least three signs each as JPEG files, and `signs.json` with their labels and boxes.

    Raises FatalError for an unwritable folder.
    """
    generator = SceneGenerator(SynthOptions(10 * count, seed=_SEED, width=_WIDTH_PX, height=_HEIGHT_PX))
    written: list[Path] = []
    signs: dict[str, list[tuple[str, list[float]]]] = {}
    for index in range(10 * count):
        scene = generator.scene(index)
        if len(scene.boxes) < 3:
            continue
        _, jpeg = cv2.imencode(".jpg", scene.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        path = folder / f"{len(written) + 1}.jpg"
        write_atomic(path, jpeg.tobytes())
        written.append(path)
        signs[path.name] = [(one.label, [round(side, 1) for side in one.box]) for one in scene.boxes if not one.ignore]
        if len(written) == count:
            break
    text = ",\n".join(f'"{name}": {json.dumps(found)}' for name, found in signs.items())
    write_atomic(folder / "signs.json", f"{{\n{text}\n}}\n".encode())
    return written


def main() -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(description="Draw the sample pictures for engines.")
    parser.add_argument("folder", type=Path)
    try:
        for path in write(parser.parse_args().folder):
            print(path)
    except EdgeAgentError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
