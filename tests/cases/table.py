"""The table of cases: a file of tests/fixtures/cases, what is right, and how to find out.

Another kind is another module with a tuple `CASES`, named in KINDS.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.cases import labels, layouts, models, pictures, videos
from tests.cases.case import Case

KINDS = (labels, pictures, models, layouts, videos)
CASES: tuple[Case, ...] = tuple(case for kind in KINDS for case in kind.CASES)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case came to; `missed` says what was wrong, and is empty where it is right."""

    case: Case
    missed: str


def try_case(case: Case) -> Outcome:
    """Run a case; anything that it raises is a miss."""
    try:
        case.check()
    except Exception as error:  # noqa: BLE001 - a traceback is what a user would see
        return Outcome(case, f"{type(error).__name__}: {error}".splitlines()[0])
    return Outcome(case, "")


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Return the table."""
    rows = [f"| {one.case.file} | {one.case.right} | {one.missed or 'yes'} |" for one in outcomes]
    return "\n".join(["| input | right is | right now |", "|---|---|---|", *rows]) + "\n"
