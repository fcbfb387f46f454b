"""Write a data set of simulated rooms without signs, as background pictures for training.

Usage: `python -m tools.room_pictures --count 600 --seed 5000 --out data/rooms`.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import cv2

from edge_agent.runtime.files import write_atomic
from edge_agent.signs import LABELS
from edge_agent.simulation.invent import default_layout
from edge_agent.simulation.render import Renderer
from edge_agent.simulation.world import World

# Many rooms matter more than many views of one.
_PICTURES_PER_ROOM = 20


def write_rooms(out: Path, count: int, seed: int) -> None:
    """Write `count` pictures of the layouts `seed`, `seed + 1`, ...; raises FatalError naming an unwritable file."""
    images = []
    for first in range(0, count, _PICTURES_PER_ROOM):
        # Without signs: the detector learns them elsewhere, so that finding them in the simulator stays a test.
        layout = replace(default_layout(seed + first // _PICTURES_PER_ROOM), signs=())
        renderer, world = Renderer(layout), World(layout, seed)
        for step in range(min(_PICTURES_PER_ROOM, count - first)):
            s_mm = 200 + (layout.cliff_mm - 300) * step / _PICTURES_PER_ROOM
            snapshot = replace(world.snapshot(), s_mm=s_mm, pose=layout.track.pose(s_mm), speed_mm_s=200.0)
            picture = renderer.render(snapshot, step)[0]
            name = f"{first + step:05d}.jpg"
            write_atomic(out / "images" / "train" / name, cv2.imencode(".jpg", picture)[1].tobytes())
            height, width = picture.shape[:2]
            images.append({"id": first + step, "file_name": name, "width": width, "height": height})
    categories = [{"id": index, "name": label} for index, label in enumerate(LABELS)]
    content = {"images": images, "annotations": [], "categories": categories}
    provenance = {"command": f"python -m tools.room_pictures --count {count} --seed {seed} --out DIR"}
    write_atomic(out / "annotations" / "train.json", json.dumps(content).encode())
    write_atomic(out / "synth.json", json.dumps(provenance | {"count": count, "seed": seed}).encode())


def main() -> None:
    """Run as a command."""
    parser = argparse.ArgumentParser(description="Write pictures of simulated rooms without signs.")
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--seed", type=int, default=5000)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    write_rooms(options.out, options.count, options.seed)


if __name__ == "__main__":
    main()
