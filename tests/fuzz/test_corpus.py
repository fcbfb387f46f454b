"""Every target on the inputs that are kept; `make fuzz` looks for further ones."""

from pathlib import Path

import pytest

from .__main__ import CORPUS
from .targets import TARGETS

INPUTS = sorted(path for path in CORPUS.glob("*/*"))


def test_every_target_has_inputs() -> None:
    assert {path.parent.name for path in INPUTS} == set(TARGETS)


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_kept_input_raises_nothing(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())
