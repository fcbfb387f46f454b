"""Pictures of the simulator's rooms with no sign in them: what must not be taken for one there.

`python -m edge_agent.mlops.rooms --count 600 --seed 5000 --out data/rooms` writes a data set of training pictures
without boxes. Only what is *not* a sign comes from the simulator: signs are learnt elsewhere, so that finding them in
the simulator stays a test. Knows the simulator and COCO. Knows nothing of training.
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

_PER_ROOM = 20
"""Pictures along one track: many rooms matter more than many views of one."""


def write_rooms(out: Path, count: int, seed: int) -> None:
    """Write `count` pictures from rooms `seed`, `seed + 1`, ...; raises FatalError naming a file it cannot write."""
    images = []
    for first in range(0, count, _PER_ROOM):
        layout = replace(default_layout(seed + first // _PER_ROOM), signs=())
        renderer, world = Renderer(layout), World(layout, seed)
        for step in range(min(_PER_ROOM, count - first)):
            s_mm = 200 + (layout.cliff_mm - 300) * step / _PER_ROOM
            moment = replace(world.snapshot(), s_mm=s_mm, pose=layout.track.pose(s_mm), speed_mm_s=200.0)
            picture = renderer.render(moment, step)[0]
            name = f"{first + step:05d}.jpg"
            write_atomic(out / "images" / "train" / name, cv2.imencode(".jpg", picture)[1].tobytes())
            height, width = picture.shape[:2]
            images.append({"id": first + step, "file_name": name, "width": width, "height": height})
    categories = [{"id": index, "name": label} for index, label in enumerate(LABELS)]
    content = {"images": images, "annotations": [], "categories": categories}
    noted = {"command": f"python -m edge_agent.mlops.rooms --count {count} --seed {seed} --out DIR"}
    write_atomic(out / "annotations" / "train.json", json.dumps(content).encode())
    write_atomic(out / "synth.json", json.dumps(noted | {"count": count, "seed": seed}).encode())


def main() -> None:
    """Read the options and write."""
    parser = argparse.ArgumentParser(description="Write pictures of simulated rooms without signs.")
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--seed", type=int, default=5000)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    write_rooms(options.out, options.count, options.seed)


if __name__ == "__main__":
    main()
