"""The truth of films: one line a sign, checked before anything is played."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge_agent.errors import ConfigError
from edge_agent.events import Box
from edge_agent.mlops.films import TRUTH, Film, FilmedSign, read_films, to_line

SIGN: dict[str, Any] = {"film": "a", "sign": "stop", "from": 2, "to": 9}


def write(folder: Path, *rows: dict[str, Any] | str) -> Path:
    (folder / "a").mkdir(exist_ok=True)
    (folder / "b").mkdir(exist_ok=True)
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    (folder / TRUTH).write_text("\n".join(lines) + "\n")
    return folder


def test_read_films_returns_what_was_written(tmp_path: Path) -> None:
    boxes = ((0, Box(1, 2, 3, 4)), (5, Box(11, 12, 23, 24)))
    signs = (FilmedSign("stop", 1, 5, boxes), FilmedSign("danger", 0, 3, counted=False))
    film, empty = Film(tmp_path / "a", "scene", signs), Film(tmp_path / "b", "b", ())
    write(tmp_path, *(to_line(film, sign) for sign in signs), to_line(empty, None))
    assert read_films(tmp_path) == (film, empty)


def test_read_films_line_of_a_person_needs_only_film_sign_and_pictures(tmp_path: Path) -> None:
    (film,) = read_films(write(tmp_path, SIGN))
    assert film == Film(tmp_path / "a", "a", (FilmedSign("stop", 2, 9),))


def test_box_at_is_interpolated_between_and_absent_outside() -> None:
    sign = FilmedSign("stop", 0, 9, ((2, Box(0, 0, 10, 10)), (4, Box(10, 20, 30, 40))))
    found = [sign.box_at(picture) for picture in (1, 2, 3, 4, 5)]
    assert found == [None, Box(0, 0, 10, 10), Box(5, 10, 20, 25), Box(10, 20, 30, 40), None]
    assert FilmedSign("stop", 0, 9).box_at(3) is None


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "object with the keys"),
        (SIGN | {"label": "stop"}, "object with the keys"),
        (SIGN | {"film": "../a"}, "name of a video or folder"),
        (SIGN | {"film": ".."}, "name of a video or folder"),
        (SIGN | {"film": 1}, "name of a video or folder"),
        (SIGN | {"film": "c"}, "there is no film 'c'"),
        (SIGN | {"sign": ""}, "must be names"),
        (SIGN | {"of": ["x"]}, "must be names"),
        (SIGN | {"from": 10}, "in this order"),
        (SIGN | {"to": True}, "in this order"),
        (SIGN | {"to": 1e400}, "in this order"),
        (SIGN | {"counted": "yes"}, "counted"),
        (SIGN | {"boxes": [[0, 1, 2, 3]]}, "boxes"),
        (SIGN | {"boxes": [[0, 1, 2, 1, 4]]}, "boxes"),
        (SIGN | {"boxes": [[0, 1, 2, float("nan"), 4]]}, "boxes"),
        (SIGN | {"boxes": [[0, 1, 2, 10**400, 4]]}, "boxes"),
        (SIGN | {"boxes": [[1, 1, 1, 2, 2], [1, 1, 1, 2, 2]]}, "order of their pictures"),
    ],
)
def test_read_films_bad_line_is_named(tmp_path: Path, row: dict[str, Any] | str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as error:
        read_films(write(tmp_path, SIGN, row))
    assert f"{TRUTH}:2" in error.value.message


def test_read_films_signs_and_a_line_without_one_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a line without one"):
        read_films(write(tmp_path, SIGN, {"film": "a", "sign": None}))


def test_read_films_folder_without_truth_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"truth.jsonl cannot be read: No such file.*one line of JSON a sign"):
        read_films(tmp_path)
    (tmp_path / TRUTH).write_text("\n")
    with pytest.raises(ConfigError, match="names no film"):
        read_films(tmp_path)
    (tmp_path / TRUTH).write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_films(tmp_path)
