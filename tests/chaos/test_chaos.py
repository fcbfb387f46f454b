"""Every fault once: the train does what it must. `make chaos` measures how quickly, on an idle machine."""

import pytest

from .latency import stops
from .table import TRIALS, Outcome, attacks_of, markdown, percentile
from .trial import Trial

SLACK = 3.0
"""Multiplies the agent's time limits here: the machine may be busy."""


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: f"{trial.fault}-{trial.train}".replace(" ", "_"))
def test_fault_makes_the_train_do_what_it_must(trial: Trial) -> None:
    trial.try_once(SLACK)


def test_stop_reaches_the_hub_at_any_moment_of_a_start() -> None:
    assert len(stops(10, SLACK)) == 10


def test_table_shows_what_was_held_and_what_was_not() -> None:
    figures = iter((100.0, 449.0, 451.0))
    outcome = Outcome(Trial("camera unplugged", "brakes", 450, lambda _slack: next(figures)))
    for _ in range(3):
        outcome.try_once()
    text = markdown([outcome], [1.0, 2.0, 3.0])
    assert "| camera unplugged | brakes | 450 | 449 | 451 | 2/3 |" in text
    assert "- camera unplugged: 451 ms, the bound is 450 ms" in text
    assert "p50 2.0 ms" in text


def test_section_of_attacks_outlives_a_new_table_of_faults() -> None:
    section = "\n## Attacks\n\nA table.\n"
    assert attacks_of("# Faults\n" + section) == section
    assert attacks_of("# Faults\n") == ""


def test_trial_that_goes_wrong_is_a_run_not_held() -> None:
    def wrong(_slack: float) -> float:
        raise AssertionError("driven on after the stop")

    outcome = Outcome(Trial("x", "brakes", 450, wrong))
    outcome.try_once()
    assert (outcome.held, outcome.failures) == (0, ["AssertionError: driven on after the stop"])


@pytest.mark.parametrize(("percent", "value"), [(0, 1.0), (50, 6.0), (99, 10.0), (100, 10.0)])
def test_percentile_is_one_of_the_values(percent: float, value: float) -> None:
    assert percentile([float(n) for n in range(1, 11)], percent) == value
