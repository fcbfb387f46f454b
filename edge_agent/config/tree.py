"""Values with the place each came from, and how layers of them merge.

Knows places: a line of a file, a variable, the command line. Knows nothing of what a value means.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Location = tuple[str | int, ...]
"""Path of a value from the top: names of keys and positions in lists."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written: `name` is the file as shown to people, the variable, or `command line`."""

    kind: Literal["file", "environment", "command line"]
    name: str
    line: int = 0
    column: int = 0
    folder: Path | None = None
    key_column: int = 0
    key_line: int = 0

    def __str__(self) -> str:
        """Return `file:line`, the variable's name, or `command line`."""
        return f"{self.name}:{self.line}" if self.kind == "file" else self.name

    def exact(self, *, of_key: bool = False) -> str:
        """Return the place as an editor jumps to it: `file:line:column` of the value or of its key."""
        if self.kind != "file":
            return self.name
        line, column = (self.key_line, self.key_column) if of_key and self.key_line else (self.line, self.column)
        return f"{self.name}:{line}:{column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct, told in one line: `where: key: text`."""

    where: str
    key: str
    text: str

    def __str__(self) -> str:
        """Return the line; what cannot be printed (line ends, escape codes) is written as in a Python string."""
        line = ": ".join(part for part in (self.where, self.key, self.text) if part)
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)


@dataclass(slots=True)
class Tree:
    """Nested values, the place of each (sections and list items too), and what was wrong while reading them."""

    values: dict[str, object] = field(default_factory=dict)
    places: dict[Location, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def set(self, path: tuple[str, ...], value: object, place: Place) -> None:
        """Set the value at `path`, making the sections above it."""
        node = self.values
        for depth, name in enumerate(path[:-1], start=1):
            inner = node.get(name)
            if not isinstance(inner, dict):
                inner = {}
                node[name] = inner
            node = inner
            self.places.setdefault(path[:depth], place)
        node[path[-1]] = value
        self.places[path] = place
        self._place_below(path, value, place)

    def merge(self, upper: "Tree") -> None:
        """Lay `upper` over this tree: sections merge key by key, anything else is replaced."""
        self.problems.extend(upper.problems)
        self._merge((), self.values, upper.values, upper)

    def place_of(self, location: Location) -> Place | None:
        """Return the place of the value at `location`, or of the nearest thing around it that has one."""
        for length in range(len(location), 0, -1):
            if location[:length] in self.places:
                return self.places[location[:length]]
        return None

    def _merge(self, at: Location, lower: dict[str, object], upper: Mapping[str, object], source: "Tree") -> None:
        for name, value in upper.items():
            here = (*at, name)
            below = lower.get(name)
            if isinstance(below, dict) and isinstance(value, dict):
                self._merge(here, below, value, source)
                continue
            lower[name] = value
            self.places = {k: v for k, v in self.places.items() if k[: len(here)] != here}
            self.places.update({k: v for k, v in source.places.items() if k[: len(here)] == here})

    def _place_below(self, path: Location, value: object, place: Place) -> None:
        children: list[tuple[str | int, object]] = []
        if isinstance(value, dict):
            children = list(value.items())
        elif isinstance(value, list):
            children = list(enumerate(value))
        for name, inner in children:
            self.places[(*path, name)] = place
            self._place_below((*path, name), inner, place)
