"""Pages that say what the code says: the layers of docs/decisions/0002-layers.md, and the glossary's order."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ROOT / "docs/decisions/0002-layers.md"


def contracts() -> list[dict[str, object]]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, object]] = document["tool"]["importlinter"]["contracts"]
    return [contract for contract in found if contract["type"] == "layers"]


def cells(name: str) -> list[str]:
    """Return the second cell of each table row whose first cell is `name` or, for the wings, a number."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", LAYERS.read_text(encoding="utf-8"), re.MULTILINE)
    return [second for first, second in rows if (first.isdigit() if name == "edge_agent" else first == f"`{name}`")]


@pytest.mark.parametrize("contract", contracts(), ids=lambda contract: str(contract["containers"]))
def test_layers_of_the_decision_are_those_that_import_linter_holds(contract: dict[str, object]) -> None:
    (container,) = contract["containers"]  # type: ignore[misc]
    name = container.removeprefix("edge_agent.")
    written = cells(name) if name == "edge_agent" else [layer for cell in cells(name) for layer in cell.split(" over ")]
    held = [layer.split(" | ") for layer in contract["layers"]]  # type: ignore[attr-defined]
    assert [re.findall(r"`(\w+)`", layer) for layer in written] == held


def test_glossary_is_in_alphabetical_order_with_one_line_a_word() -> None:
    lines = (ROOT / "docs/glossary.md").read_text(encoding="utf-8").split("|---|---|\n")[1].splitlines()
    words = [line.split("|")[1].strip().lower() for line in lines]
    assert words == sorted(set(words))
