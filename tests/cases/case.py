"""One case, and helpers that the kinds share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "fixtures" / "cases"


@dataclass(frozen=True, slots=True)
class Case:
    """A file below FOLDER, what is right, and a check that raises where it is not."""

    file: str
    right: str
    test: Callable[[Path], None]

    @property
    def path(self) -> Path:
        """The input."""
        return FOLDER / self.file

    def check(self) -> None:
        """Raise AssertionError, or whatever the program raises, on a miss."""
        self.test(self.path)
