"""A process that is killed loses nothing that was committed; `python -m tests.soak.kill` does it 200 times."""

from pathlib import Path

from tests.soak.kill import trial


def test_committed_events_survive_kills_and_arrive_in_order(tmp_path: Path) -> None:
    outcome = trial(tmp_path, kills=3, seed=3)
    assert outcome.committed > 20
    assert (outcome.lost, outcome.disordered) == ((), 0)
