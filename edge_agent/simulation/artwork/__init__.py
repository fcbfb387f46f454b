"""Toy sign artwork, drawn by our own code: shared by the simulator's renderer and the training pictures' generator.

Knows names, faces, backs and sizes of toy signs. Knows nothing of cameras, scenes or labels' use.
"""

from edge_agent.simulation.artwork.catalogue import draw, draw_back, height_mm, names, sign_of
from edge_agent.simulation.artwork.plates import BASE_BGR, POLE_BGR, TOY, Style

__all__ = ["BASE_BGR", "POLE_BGR", "TOY", "Style", "draw", "draw_back", "height_mm", "names", "sign_of"]
