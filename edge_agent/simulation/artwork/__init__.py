"""Artwork of toy signs, drawn by our own code: a name in, the BGRA picture of face or back out.

Pure functions, shared by the simulator's renderer and the generator of training pictures.
"""

from edge_agent.simulation.artwork.catalogue import draw, draw_back, height_mm, names, sign_of
from edge_agent.simulation.artwork.plates import BASE_BGR, POLE_BGR, TOY, Style

__all__ = ["BASE_BGR", "POLE_BGR", "TOY", "Style", "draw", "draw_back", "height_mm", "names", "sign_of"]
