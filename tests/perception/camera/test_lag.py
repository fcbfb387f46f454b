"""The lag of a stream: a slow link is seen; jitter, a drifting clock and time stamps that begin anew are not."""

import itertools

import pytest

from edge_agent.perception.camera.lag import ArrivalLag


def lags(pictures: list[tuple[float, float]]) -> list[float]:
    """Return the lags of pictures, given as time of arrival and time stamp."""
    lag = ArrivalLag()
    return [lag.update(arrived_s, stamp_s) for arrived_s, stamp_s in pictures]


def test_fastest_picture_is_the_measure() -> None:
    assert lags([(100.3, 0.0), (100.2, 0.1), (100.3, 0.2), (100.7, 0.3)]) == pytest.approx([0, 0, 0, 0.3], abs=1e-3)


def test_link_slower_than_its_pictures_is_later_and_later() -> None:
    """Ten pictures a second over a link that takes nine."""
    found = lags([(100 + n / 9, n / 10) for n in range(91)])
    assert found == sorted(found)
    assert found[-1] == pytest.approx(90 / 9 - 90 / 10, abs=0.01)


def test_burst_after_a_pause_of_the_link_is_late_until_it_has_caught_up() -> None:
    steady = [(100 + n / 10, n / 10) for n in range(10)]
    burst = [(103.0, n / 10) for n in range(10, 31)]
    assert lags(steady + burst)[10:] == pytest.approx([2.0 - n / 10 for n in range(21)], abs=1e-2)


@pytest.mark.parametrize("drift", [1e-4, -1e-4])
def test_camera_whose_clock_drifts_for_a_day_is_in_time(drift: float) -> None:
    assert max(lags([(float(n), n * (1 - drift)) for n in range(86_400)])) < 0.01


@pytest.mark.parametrize("anew_s", [0.0, -1e15, 5_000.0])
def test_time_stamps_that_begin_anew_change_nothing(anew_s: float) -> None:
    before = [(100 + n / 10, n / 10) for n in range(10)]
    late = [(101.5 + n / 10, 1 + n / 10) for n in range(10)]
    after = [(102.5 + n / 10, anew_s + n / 10) for n in range(10)]
    found = lags(before + late + after)
    assert found[:10] == pytest.approx([0.0] * 10, abs=1e-3)
    assert found[10:] == pytest.approx([0.5] * 20, abs=2e-2 if abs(anew_s) < 1e9 else 0.2)


def test_age_never_runs_backwards() -> None:
    """The time at which a picture counts as taken grows with each picture."""
    pictures = [(100 + n / 10 + (n * 7 % 5) / 60, n / 10) for n in range(100)]
    taken = [arrived_s - lag_s for (arrived_s, _), lag_s in zip(pictures, lags(pictures), strict=True)]
    assert all(later > earlier for earlier, later in itertools.pairwise(taken))
