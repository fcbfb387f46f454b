"""Every attack once: a stop gets through. `make attack` measures how quickly, on an idle machine."""

from pathlib import Path

import pytest

from tests.browser.dry_run import DryRun
from tests.chaos.table import Outcome
from tests.chaos.trial import Trial

from .__main__ import add_measured
from .table import TRIALS, markdown, replace_section

SLACK = 3.0
"""Multiplies the agent's time limits here: the machine may be busy."""


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.fault.replace(" ", "_"))
def test_stop_gets_through(trial: Trial) -> None:
    trial.try_once(SLACK)


async def test_agent_that_does_not_start_is_told_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="nowhere"):
        await DryRun.start(tmp_path, tmp_path / "nowhere.yaml")


def test_section_replaces_the_one_before_and_leaves_the_faults() -> None:
    outcome = Outcome(Trial("a flood", "stops", 200, lambda _slack: 12.0))
    outcome.try_once()
    once = replace_section("# Faults\n\nA table.\n", markdown([outcome]))
    assert once.startswith("# Faults\n\nA table.\n\n## Attacks\n")
    assert "| a flood | stops | 200 | 12 | 12 | 1/1 |" in once
    assert replace_section(once, "## Attacks\nNone.\n") == "# Faults\n\nA table.\n\n## Attacks\nNone.\n"


def test_what_two_processes_measured_is_added_up() -> None:
    outcomes = [Outcome(trial) for trial in TRIALS[:2]]
    first, second = (outcome.trial.fault for outcome in outcomes)
    for ms in (3.0, 5.0):
        add_measured(outcomes, {first: (1, [ms], []), second: (2, [], ["late"])})
    assert [(one.runs, one.measured_ms, one.held) for one in outcomes] == [(2, [3.0, 5.0], 2), (4, [], 2)]
