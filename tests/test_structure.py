"""What CONTRIBUTING.md promises of the code's structure."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "edge_agent"
FILES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}

MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = 50
MAX_LATE_IMPORTS = 30
"""Imports inside functions outside cli/, where they keep --help quick."""


def functions() -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def test_class_name_means_one_thing() -> None:
    found = defaultdict(list)
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(str(path.relative_to(PACKAGE)))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


def test_file_has_at_most_450_lines() -> None:
    long = [path for path in FILES if len(path.read_text(encoding="utf-8").splitlines()) > MAX_FILE_LINES]
    assert long == []


def test_function_has_at_most_50_lines() -> None:
    lines = {f"{path.name}:{node.name}": (node.end_lineno or 0) - node.lineno + 1 for path, node in functions()}
    assert {name: count for name, count in lines.items() if count > MAX_FUNCTION_LINES} == {}


def test_imports_stand_at_the_top_but_for_those_that_pay() -> None:
    late = [
        (path.name, node.name)
        for path, node in functions()
        if path.parent.name != "cli"
        for part in ast.walk(node)
        if isinstance(part, ast.Import | ast.ImportFrom)
    ]
    assert len(late) <= MAX_LATE_IMPORTS, late


def test_room_begins_with_what_comes_in_and_what_goes_out() -> None:
    """Each package says in its first paragraph what it does; a line of three words says nothing."""
    rooms = [path for path in FILES if path.name == "__init__.py" and path.parent != PACKAGE]
    short = [str(path.parent.relative_to(PACKAGE)) for path in rooms if len(ast.get_docstring(TREES[path]) or "") < 80]
    assert short == []
