"""Every target on the inputs that are kept; `make fuzz` looks for further ones."""

import pytest

from .__main__ import CORPUS
from .targets import TARGETS


def test_every_target_has_inputs() -> None:
    assert {folder.name for folder in CORPUS.iterdir() if any(folder.iterdir())} == set(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_kept_input_raises_nothing(target: str) -> None:
    for path in sorted((CORPUS / target).iterdir()):
        try:
            TARGETS[target](path.read_bytes())
        except Exception as error:
            error.add_note(str(path))
            raise
