"""Decisions on films: what counts as obeyed, late, never, wrong, twice and false, and the way through the product."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.agent.build import build_capture_parameters, build_tuning
from edge_agent.config import Settings, load_rules
from edge_agent.errors import ConfigError
from edge_agent.events import Box
from edge_agent.mlops.approaches import make
from edge_agent.mlops.evaluate import DecisionReport, PlaybackOptions, compare_decisions, judge, play
from edge_agent.mlops.evaluate.playback import FilmAction, Played
from edge_agent.mlops.films import Film, FilmedSign, read_films
from tests.mlops.approach_pictures import OPTIONS, ColourDetector, write_picture

BOXES = ((0, Box(0, 0, 20, 20)), (20, Box(0, 0, 60, 60)))
STOP = FilmedSign("stop", 5, 20, BOXES)


def verdict(sign: FilmedSign | None, *actions: tuple[str, int, int | None]) -> DecisionReport:
    """Judge one film of 30 pictures at 10 a second, with these actions: label, picture, index of the sign there."""
    film = Film(Path("film"), "scene", () if sign is None else (sign,))
    taken_s = {number: number / 10 for number in range(30)}
    happened = tuple(FilmAction(label, at, at / 10 + 0.03, index) for label, at, index in actions)
    return judge([film], [Played(happened, taken_s, 3.0)])


@pytest.mark.parametrize(
    ("actions", "outcome", "twice", "false"),
    [
        ([("stop", 15, 0)], "obeyed", False, 0),
        ([("stop", 20, 0)], "obeyed", False, 0),
        ([("stop", 25, None)], "late", False, 0),
        ([], "never", False, 0),
        ([("danger", 15, 0)], "wrong", False, 0),
        ([("danger", 10, 0), ("stop", 15, 0)], "wrong", False, 0),
        ([("stop", 15, 0), ("stop", 18, 0)], "obeyed", True, 0),
        ([("danger", 15, None)], "never", False, 1),
        ([("stop", 15, None)], "never", False, 1),
        ([("stop", 15, 0), ("danger", 22, None)], "obeyed", False, 1),
    ],
)
def test_judge_sign_with_boxes(
    actions: list[tuple[str, int, int | None]], outcome: str, twice: bool, false: int
) -> None:
    report = verdict(STOP, *actions)
    assert [(one.outcome, one.twice) for one in report.signs] == [(outcome, twice)]
    assert len(report.false) == false


@pytest.mark.parametrize(
    ("actions", "outcome", "false"),
    [
        ([("stop", 15, None)], "obeyed", 0),
        ([("stop", 25, None)], "late", 0),
        ([("danger", 15, None)], "wrong", 0),
        ([("danger", 2, None)], "never", 1),
        ([("stop", 15, None), ("danger", 25, None)], "obeyed", 1),
    ],
)
def test_judge_sign_without_boxes_is_judged_by_time(
    actions: list[tuple[str, int, int | None]], outcome: str, false: int
) -> None:
    report = verdict(FilmedSign("stop", 5, 20), *actions)
    assert ([one.outcome for one in report.signs], len(report.false)) == ([outcome], false)


def test_judge_sign_that_is_only_shown_neither_counts_nor_makes_its_action_false() -> None:
    report = verdict(replace(STOP, counted=False), ("stop", 15, 0))
    assert (report.signs, report.false) == ((), ())


def test_judge_film_without_signs_counts_by_the_hour() -> None:
    report = verdict(None, ("danger", 15, None))
    assert report.false[0].signless
    assert report.signless_false_an_hour() == pytest.approx(3600 / 3)
    assert report.as_json()["false"] == [{"film": "film", "sign": "danger", "picture": 15, "signless": True}]
    assert report.obeyed_interval() is None


def test_judge_wait_is_from_the_first_readable_picture_to_the_decision() -> None:
    assert verdict(STOP, ("stop", 15, 0)).rows()["stop"]["wait_p50_s"] == pytest.approx(1.03)
    assert verdict(STOP).rows()["stop"]["wait_p50_s"] is None


def reports(outcomes: str, false: int = 0) -> DecisionReport:
    """Return a report with a film for each letter: o for obeyed, n for never, w for wrong; and false actions."""
    films = [Film(Path(f"{n}"), f"{n}", (STOP,)) for n in range(len(outcomes))]
    acted = {"o": (FilmAction("stop", 15, 1.5, 0),), "n": (), "w": (FilmAction("danger", 15, 1.5, 0),)}
    signless = Film(Path("none"), "none", ())
    happened = tuple(FilmAction("danger", n, n / 10, None) for n in range(false))
    taken_s = {number: number / 10 for number in range(30)}
    played = [Played(acted[one], taken_s, 3.0) for one in outcomes] + [Played(happened, taken_s, 3.0)]
    return judge([*films, signless], played)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (reports("on" * 20), reports("oo" * 20), "better"),
        (reports("oo" * 20), reports("on" * 20), "worse"),
        (reports("on" * 20), reports("ow" * 20), "worse"),
        (reports("on" * 20), reports("on" * 20), "undecided"),
        (reports("on" * 3), reports("on" * 2 + "oo"), "undecided"),
        (reports("oo"), reports("oo", false=9), "worse"),
        (reports("oo", false=9), reports("oo"), "better"),
        (reports("oo", false=2), reports("oo", false=3), "undecided"),
    ],
)
def test_compare_decisions_verdict(old: DecisionReport, new: DecisionReport, expected: str) -> None:
    comparison = compare_decisions(old, new)
    assert comparison.verdict == comparison.as_json()["verdict"] == expected
    assert "obeyed" in comparison.sentence()


@pytest.fixture
def options() -> PlaybackOptions:
    settings = Settings()
    return PlaybackOptions(build_capture_parameters(settings), build_tuning(settings, load_rules()), 0.3, 0.03)


def measure(folder: Path, detector: Callable[[], ColourDetector], options: PlaybackOptions) -> DecisionReport:
    films = read_films(folder)
    return judge(films, play(films, detector, options, lambda: None))


def test_play_approaches_are_obeyed_where_the_detector_is_right_and_wrong_where_it_is_not(
    tmp_path: Path, options: PlaybackOptions
) -> None:
    make(*write_picture(tmp_path), tmp_path / "out", OPTIONS)
    right = measure(tmp_path / "out", ColourDetector, options)
    assert [sign.outcome for sign in right.signs] == ["obeyed", "obeyed"]
    assert all(0 < (sign.wait_s or 0) < 2 for sign in right.signs)
    assert right.false == ()
    swapped = measure(tmp_path / "out", lambda: ColourDetector(red="danger", yellow="stop"), options)
    # The small square never gets as high as a STOP must be to act.
    assert {sign.label: sign.outcome for sign in swapped.signs} == {"stop": "wrong", "danger": "never"}


def test_play_is_the_same_each_time(tmp_path: Path, options: PlaybackOptions) -> None:
    make(*write_picture(tmp_path), tmp_path / "out", OPTIONS)
    first, second = (measure(tmp_path / "out", ColourDetector, options) for _ in range(2))
    assert first == second


def test_play_video_is_timed_by_its_own_stamps(tmp_path: Path, options: PlaybackOptions) -> None:
    """20 pictures a second, of which the train takes every second one: numbers are those of the video."""
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 20, (640, 480))
    for number in range(60):
        image = np.full((480, 640, 3), 90, np.uint8)
        side = 20 + number
        cv2.rectangle(image, (300, 200), (300 + side, 200 + side), (0, 0, 255), -1)
        writer.write(image)
    writer.release()
    (tmp_path / "truth.jsonl").write_text('{"film": "v.avi", "sign": "stop", "from": 0, "to": 59}')
    report = measure(tmp_path, ColourDetector, options)
    assert [sign.outcome for sign in report.signs] == ["obeyed"]
    assert report.hours * 3600 == pytest.approx(3.0, abs=0.15)


def test_play_folder_without_pictures_is_named(tmp_path: Path, options: PlaybackOptions) -> None:
    (tmp_path / "film").mkdir()
    (tmp_path / "truth.jsonl").write_text('{"film": "film", "sign": null}')
    with pytest.raises(ConfigError, match="contains no pictures"):
        measure(tmp_path, ColourDetector, options)
