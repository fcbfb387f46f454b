"""Makes the README's picture: the simulated train's view with what the shipped detector sees in it.

`python -m tests.view OUT.jpg`. Shows the frames of one mission in which most signs are seen, side by side.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from edge_agent.config import Settings
from edge_agent.perception.detector import open_detector
from edge_agent.perception.vision.draw import draw
from edge_agent.simulation.layout_file import load_layout
from edge_agent.simulation.render import Renderer
from edge_agent.simulation.world import World

TRACK = Path(__file__).parent / "fixtures" / "tracks" / "mission.yaml"
PLACES_MM = (700.0, 2020.0, 3600.0)
"""Where the train stands for each picture: before the 30, the STOP and the danger sign."""


def main() -> None:
    """Render, detect, draw, write."""
    layout = load_layout(TRACK)
    world = World(layout, 1)
    renderer = Renderer(layout, world.optics)
    detector = open_detector(Settings().detector)
    views = []
    world.advance(0.0)
    world.set_power(45)
    at_s = 0.0
    for number, place_mm in enumerate(PLACES_MM):
        while world.s_mm < place_mm:
            at_s += 0.05
            world.advance(at_s)
        image, _ = renderer.render(world.snapshot(), number)
        views.append(draw(image, detector.infer(image)))
    out = Path(sys.argv[1])
    out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out), np.hstack(views), [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
