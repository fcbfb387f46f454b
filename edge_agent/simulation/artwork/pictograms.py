"""Pictograms of toy signs: a fence, a train, a digging man, a bicycle and others.

Each function draws one pictogram in one colour around a centre, about `size` tall, in the canvas's units.
"""

from collections.abc import Callable

from edge_agent.simulation.artwork.canvas import Canvas, Colour, Point, ellipse

Painter = Callable[[Canvas, Point, float, Colour], None]


def _place(centre: Point, size: float, points: list[Point]) -> list[Point]:
    return [(centre[0] + x * size, centre[1] + y * size) for x, y in points]


def exclamation(canvas: Canvas, centre: Point, size: float, colour: Colour) -> None:
    """Draw a drop-shaped exclamation mark."""
    drop = [(-0.13, -0.42), (-0.1, -0.5), (0.1, -0.5), (0.13, -0.42), (0.05, 0.2), (-0.05, 0.2)]
    canvas.polygon(_place(centre, size, drop), colour)
    canvas.disc((centre[0], centre[1] + 0.39 * size), 0.11 * size, colour)


def fence(canvas: Canvas, centre: Point, size: float, colour: Colour) -> None:
    """Draw the fence of a level crossing with barriers."""
    for x in (-0.48, -0.24, 0.0, 0.24, 0.48):
        post = [(-0.06, 0.42), (-0.06, -0.32), (0.0, -0.44), (0.06, -0.32), (0.06, 0.42)]
        canvas.polygon(_place((centre[0] + x * size, centre[1]), size, post), colour)
    for y in (-0.12, 0.24):
        canvas.stroke(_place(centre, size, [(-0.66, y), (0.66, y)]), 0.1 * size, colour, blunt=True)


def train(canvas: Canvas, centre: Point, size: float, colour: Colour) -> None:
    """Draw a steam locomotive seen from the side."""
    body = [(-0.62, 0.2), (-0.62, -0.12), (-0.5, -0.12), (-0.5, -0.36), (-0.32, -0.36), (-0.32, -0.12), (0.1, -0.12)]
    cab = [(0.1, -0.42), (0.6, -0.42), (0.6, 0.2)]
    canvas.polygon(_place(centre, size, body + cab), colour)
    canvas.polygon(_place(centre, size, [(-0.62, 0.2), (-0.82, 0.4), (0.64, 0.4), (0.64, 0.2)]), colour)
    for x in (-0.42, -0.02, 0.4):
        canvas.disc((centre[0] + x * size, centre[1] + 0.4 * size), 0.14 * size, colour)
    canvas.polygon(_place(centre, size, ellipse((-0.3, -0.56), (0.26, 0.09))), colour)


def digger(canvas: Canvas, centre: Point, size: float, colour: Colour) -> None:
    """Draw a man with a shovel at a heap: road works."""
    canvas.disc((centre[0] + 0.0 * size, centre[1] - 0.44 * size), 0.12 * size, colour)
    canvas.stroke(_place(centre, size, [(-0.02, -0.26), (-0.22, 0.04)]), 0.2 * size, colour)
    canvas.stroke(_place(centre, size, [(-0.22, 0.06), (-0.05, 0.22), (-0.16, 0.46)]), 0.13 * size, colour)
    canvas.stroke(_place(centre, size, [(-0.26, 0.06), (-0.4, 0.46)]), 0.13 * size, colour)
    canvas.stroke(_place(centre, size, [(0.0, -0.24), (0.18, 0.0), (0.02, 0.06)]), 0.09 * size, colour)
    canvas.stroke(_place(centre, size, [(-0.2, -0.06), (0.5, 0.34)]), 0.06 * size, colour)
    canvas.polygon(_place(centre, size, [(0.2, 0.5), (0.46, 0.2), (0.74, 0.5)]), colour)


def _walker(canvas: Canvas, centre: Point, size: float, colour: Colour) -> None:
    canvas.disc((centre[0], centre[1] - 0.4 * size), 0.11 * size, colour)
    canvas.stroke(_place(centre, size, [(0.0, -0.22), (0.0, 0.06)]), 0.2 * size, colour)
    canvas.stroke(_place(centre, size, [(0.0, 0.06), (0.16, 0.26), (0.2, 0.5)]), 0.11 * size, colour)
    canvas.stroke(_place(centre, size, [(0.0, 0.06), (-0.08, 0.28), (-0.22, 0.48)]), 0.11 * size, colour)
    canvas.stroke(_place(centre, size, [(0.02, -0.24), (0.22, -0.06), (0.28, 0.02)]), 0.08 * size, colour)
    canvas.stroke(_place(centre, size, [(-0.02, -0.24), (-0.2, -0.08), (-0.24, 0.06)]), 0.08 * size, colour)


def children(canvas: Canvas, centre: Point, size: float, colour: Colour) -> None:
    """Draw two running figures, one taller."""
    _walker(canvas, (centre[0] - 0.24 * size, centre[1]), size, colour)
    _walker(canvas, (centre[0] + 0.3 * size, centre[1] + 0.1 * size), 0.8 * size, colour)


def walker(canvas: Canvas, centre: Point, size: float, colour: Colour) -> None:
    """Draw a walking figure."""
    _walker(canvas, centre, size, colour)


def stander(canvas: Canvas, centre: Point, size: float, colour: Colour) -> None:
    """Draw a standing figure."""
    canvas.disc((centre[0], centre[1] - 0.38 * size), 0.13 * size, colour)
    canvas.polygon(_place(centre, size, [(-0.26, -0.22), (0.26, -0.22), (0.2, 0.14), (-0.2, 0.14)]), colour)
    for x in (-0.1, 0.1):
        canvas.stroke(_place(centre, size, [(x, 0.1), (x, 0.46)]), 0.14 * size, colour, blunt=True)


def bend(canvas: Canvas, centre: Point, size: float, colour: Colour) -> None:
    """Draw a bend to the left, with an arrow head."""
    path = [(0.12, 0.48), (0.12, 0.06), (0.06, -0.1), (-0.16, -0.26)]
    canvas.stroke(_place(centre, size, path), 0.17 * size, colour)
    canvas.polygon(_place(centre, size, [(-0.36, -0.42), (-0.02, -0.4), (-0.22, -0.1)]), colour)


def crossroads(canvas: Canvas, centre: Point, size: float, colour: Colour) -> None:
    """Draw a plain cross."""
    canvas.stroke(_place(centre, size, [(-0.34, 0.06), (0.34, 0.06)]), 0.17 * size, colour, blunt=True)
    canvas.stroke(_place(centre, size, [(0.0, -0.42), (0.0, 0.48)]), 0.17 * size, colour, blunt=True)


def signals(canvas: Canvas, centre: Point, size: float, colour: Colour) -> None:
    """Draw three lamps in a column."""
    for y in (-0.32, 0.04, 0.4):
        canvas.disc((centre[0], centre[1] + y * size), 0.15 * size, colour)


def car(canvas: Canvas, centre: Point, size: float, colour: Colour) -> None:
    """Draw a car from the front, in outline."""
    roof = [(-0.36, -0.06), (-0.26, -0.36), (0.26, -0.36), (0.36, -0.06)]
    body = [(-0.46, -0.06), (0.46, -0.06), (0.46, 0.26), (-0.46, 0.26), (-0.46, -0.06)]
    canvas.stroke(_place(centre, size, roof), 0.08 * size, colour)
    canvas.stroke(_place(centre, size, body), 0.08 * size, colour)
    for x in (-0.26, 0.26):
        canvas.disc((centre[0] + x * size, centre[1] + 0.08 * size), 0.09 * size, colour)
        canvas.stroke(_place(centre, size, [(x * 1.2, 0.26), (x * 1.2, 0.4)]), 0.16 * size, colour, blunt=True)


def bicycle(canvas: Canvas, centre: Point, size: float, colour: Colour) -> None:
    """Draw a bicycle from the side."""
    line = 0.065 * size
    for x in (-0.4, 0.4):
        canvas.stroke(_place(centre, size, ellipse((x, 0.14), (0.25, 0.25), steps=24)), line, colour)
    frame = [(-0.4, 0.14), (-0.16, -0.2), (0.24, -0.2), (-0.04, 0.14), (-0.2, -0.3)]
    canvas.stroke(_place(centre, size, frame), line, colour)
    canvas.stroke(_place(centre, size, [(-0.4, 0.14), (-0.04, 0.14)]), line, colour)
    canvas.stroke(_place(centre, size, [(0.4, 0.14), (0.22, -0.36), (0.36, -0.38)]), line, colour)
    canvas.stroke(_place(centre, size, [(-0.3, -0.32), (-0.1, -0.32)]), 1.4 * line, colour)


def bus(canvas: Canvas, centre: Point, size: float, colour: Colour) -> None:
    """Draw a bus from the side with its windows left free."""
    canvas.stroke(
        _place(centre, size, [(-0.7, -0.26), (0.7, -0.26), (0.74, 0.2), (-0.7, 0.2), (-0.7, -0.26)]),
        0.08 * size,
        colour,
    )
    canvas.polygon(_place(centre, size, [(-0.7, 0.0), (0.74, 0.0), (0.74, 0.22), (-0.7, 0.22)]), colour)
    for x in (-0.34, 0.0, 0.34):
        canvas.stroke(_place(centre, size, [(x, -0.26), (x, 0.0)]), 0.07 * size, colour, blunt=True)
    for x in (-0.4, 0.4):
        canvas.disc((centre[0] + x * size, centre[1] + 0.24 * size), 0.13 * size, colour)


def horn(canvas: Canvas, centre: Point, size: float, colour: Colour) -> None:
    """Draw a bugle."""
    canvas.polygon(_place(centre, size, [(-0.72, -0.3), (-0.2, -0.06), (-0.2, 0.06), (-0.72, 0.3)]), colour)
    canvas.stroke(_place(centre, size, [(-0.3, 0.0), (0.72, 0.0)]), 0.1 * size, colour)
    canvas.stroke(_place(centre, size, ellipse((0.2, 0.14), (0.36, 0.15), steps=24)), 0.08 * size, colour)


def arrow_up(canvas: Canvas, centre: Point, size: float, colour: Colour) -> None:
    """Draw an arrow straight up."""
    canvas.stroke(_place(centre, size, [(0.0, 0.5), (0.0, -0.2)]), 0.2 * size, colour, blunt=True)
    canvas.polygon(_place(centre, size, [(0.0, -0.56), (0.32, -0.12), (-0.32, -0.12)]), colour)


def arrow_down_right(canvas: Canvas, centre: Point, size: float, colour: Colour) -> None:
    """Draw an arrow to the lower right: keep right."""
    canvas.stroke(_place(centre, size, [(-0.36, -0.36), (0.18, 0.18)]), 0.2 * size, colour, blunt=True)
    canvas.polygon(_place(centre, size, [(0.42, 0.42), (0.4, -0.1), (-0.1, 0.4)]), colour)
