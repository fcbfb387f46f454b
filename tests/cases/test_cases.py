"""Every case once; `make cases` prints the table."""

import pytest

from tests.cases.case import FOLDER, Case
from tests.cases.table import CASES, Outcome, markdown, try_case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_case_is_right(case: Case) -> None:
    case.check()


def test_every_input_of_a_kind_has_a_case() -> None:
    kinds = {case.path.parent for case in CASES}
    inputs = {file for kind in kinds for file in kind.iterdir() if file.is_file()}
    assert inputs == {case.path for case in CASES}


def test_a_miss_is_in_the_table() -> None:
    def fail(_: object) -> None:
        raise AssertionError("two signs\nand more")

    missed = try_case(Case("coco/plain.json", "one sign", fail))
    assert missed == Outcome(missed.case, "AssertionError: two signs")
    assert "| coco/plain.json | one sign | AssertionError: two signs |" in markdown([missed])
    assert all(case.path.is_relative_to(FOLDER) for case in CASES)
