"""The generated pages and schemas in docs/ are those of the code."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tools import configuration, events
from tools.schemas import schema_files, write

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", list(schema_files()))
def test_committed_schema_is_current(name: str) -> None:
    assert (DOCS / "schemas" / name).read_text() == schema_files()[name], "run: make docs"


def test_committed_schemas_are_of_kinds_that_exist(tmp_path: Path) -> None:
    write(tmp_path)
    committed = {path.relative_to(DOCS / "schemas").as_posix() for path in (DOCS / "schemas").rglob("*.json")}
    assert committed == {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("name", "page"), [("configuration.md", configuration.page), ("events.md", events.page)])
def test_committed_page_is_current(name: str, page: Callable[[], str]) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == page(), "run: make docs"
