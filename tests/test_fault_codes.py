"""The catalogue of faults and docs/operate.md name the same codes with the same severities."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent import faults
from edge_agent.faults import FaultKind

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "edge_agent"
SECTIONS = re.compile(r"^## (?:Faults of .*)\n((?:(?!^## ).*\n)*)", re.MULTILINE)
CATALOGUE = {name: kind for name, kind in vars(faults).items() if isinstance(kind, FaultKind)}


@functools.cache
def package_code() -> dict[str, ast.Module]:
    """Return every module of the package but the catalogue's, parsed, by its path."""
    paths = (path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "faults.py")
    return {str(path.relative_to(PACKAGE)): ast.parse(path.read_text()) for path in paths}


def sinks() -> Iterator[str]:
    """Yield the names of all observers: a defect of one is reported as `<name>_failed`."""
    for tree in package_code().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and any(getattr(part, "name", "") == "run" for part in node.body):
                for part in node.body:
                    match part:
                        case ast.Assign(targets=[ast.Name(id="name")], value=ast.Constant(value=str(name))):
                            yield name


@functools.cache
def severities() -> dict[str, set[str]]:
    """Return how bad each fault can be, by its code."""
    found: dict[str, set[str]] = {}
    for kind in (*CATALOGUE.values(), *map(faults.observer_failed, (*sinks(), "console", "kafka_commands"))):
        found.setdefault(kind.code, set()).add(kind.severity.value)
    return found


@functools.cache
def _rows() -> dict[str, list[str]]:
    """Return the cells behind the code in the tables of docs/operate.md, by code."""
    page = (ROOT / "docs" / "operate.md").read_text()
    rows = [line.split("|") for section in SECTIONS.findall(page) for line in section.splitlines()]
    cells = [(row[1], [cell.strip() for cell in row[2:]]) for row in rows if len(row) > 2 and "`" in row[1]]
    return {code: rest for codes, rest in cells for code in re.findall(r"`([^`]+)`", codes)}


def documented() -> dict[str, set[str]]:
    """Return the severities in the tables of docs/operate.md, by code."""
    return {code: set(cells[0].split(", ")) for code, cells in _rows().items()}


def documented_rows() -> dict[str, tuple[str, str]]:
    """Return what happened and what to do in the tables of docs/operate.md, by code."""
    return {code: (cells[1], cells[2]) for code, cells in _rows().items()}


def test_every_code_is_in_the_operators_page_and_no_other() -> None:
    assert set(severities()) - set(documented()) == set(), "codes that docs/operate.md lacks"
    assert set(documented()) - set(severities()) == set(), "codes that nothing reports"


@pytest.mark.parametrize("code", sorted(documented()))
def test_page_tells_how_bad_a_fault_is(code: str) -> None:
    assert severities()[code] <= documented()[code]


def test_codes_are_unique_and_plain() -> None:
    codes = [kind.code for kind in CATALOGUE.values()]
    assert len(set(codes)) == len(codes)
    assert [code for code in codes if not re.fullmatch(r"[a-z]+(_[a-z]+)*", code)] == []


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_constant_is_called_as_its_code(name: str) -> None:
    assert CATALOGUE[name].code == name.lower()


def test_only_the_catalogue_makes_faults() -> None:
    makers = {"Fault", "FaultReport", "FaultKind"}
    calls = (
        f"{name}:{node.lineno}"
        for name, tree in package_code().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in makers
    )
    assert list(calls) == []


def test_every_kind_is_reported_somewhere() -> None:
    used = {
        node.id
        for tree in package_code().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id in CATALOGUE
    }
    assert CATALOGUE.keys() - used == set()
