"""Pages that say what the code says: layers, the names in the walks of docs/architecture.md, the glossary's order."""

import re
import tomllib
from pathlib import Path

import pytest

from edge_agent.simulation.layout_file import load_layout

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ROOT / "docs/decisions/0002-layers.md"


def contracts() -> list[dict[str, list[str]]]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, list[str]]] = document["tool"]["importlinter"]["contracts"]
    return [contract for contract in found if contract["type"] == "layers"]


def cells(name: str) -> list[str]:
    """Return the second cell of each table row whose first cell is `name` or, for the wings, a number."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", LAYERS.read_text(encoding="utf-8"), re.MULTILINE)
    return [second for first, second in rows if (first.isdigit() if name == "edge_agent" else first == f"`{name}`")]


@pytest.mark.parametrize("contract", contracts(), ids=lambda contract: str(contract["containers"]))
def test_layers_of_the_decision_are_those_that_import_linter_holds(contract: dict[str, list[str]]) -> None:
    (container,) = contract["containers"]
    name = container.removeprefix("edge_agent.")
    written = cells(name) if name == "edge_agent" else [layer for cell in cells(name) for layer in cell.split(" over ")]
    held = [layer.split(" | ") for layer in contract["layers"]]
    assert [re.findall(r"`(\w+)`", layer) for layer in written] == held


def test_layout_of_its_page_is_one(tmp_path: Path) -> None:
    page = (ROOT / "docs/layout.md").read_text(encoding="utf-8")
    file = tmp_path / "layout.yaml"
    file.write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    assert [sign.label for sign in load_layout(file).signs] == ["speed_limit_30", "danger", "stop"]


def test_glossary_is_in_alphabetical_order_with_one_line_a_word() -> None:
    lines = (ROOT / "docs/glossary.md").read_text(encoding="utf-8").split("|---|---|\n")[1].splitlines()
    words = [line.split("|")[1].strip().lower() for line in lines]
    assert words == sorted(set(words))


def test_files_and_classes_of_the_architecture_exist() -> None:
    package = ROOT / "edge_agent"
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    files = set(re.findall(r"`([a-z_0-9]+/[a-z_0-9/]+\.py)`", page))
    assert files
    assert not [file for file in files if not (package / file).is_file()]
    code = "\n".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    classes = {name.rpartition(".")[2] for name in re.findall(r"`((?:[a-z_]+\.)?[A-Z]\w*[a-z]\w*)(?:\.\w+)?`", page)}
    assert not [name for name in classes if f"class {name}" not in code]
