import math
from pathlib import Path

import pytest

from edge_agent.errors import ConfigError
from edge_agent.simulation.layout import CameraMount
from edge_agent.simulation.layout_file import load_layout

GOOD = """\
track:
  - straight: 9
  - curve: -4
  - straight: 6
signs:
  - {name: stop, at_mm: 820, left_mm: -70, yaw_deg: 90}
  - {name: danger/exclamation, at_mm: 2000, left_mm: 60, back: true, counts: false}
look: {seed: 3, exposure: 0.9}
camera: {height_mm: 105, pitch_deg: 3, roll_deg: -2}
time_limit_s: 45
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "track.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_layout(path)
    return str(caught.value).splitlines()


def test_good_file_becomes_a_layout(tmp_path: Path):
    path = tmp_path / "track.yaml"
    path.write_text(GOOD)
    layout = load_layout(path)
    assert layout.cliff_mm == pytest.approx(15 * 128 + 4 * math.radians(22.5) * 320)
    assert layout.track.pose(layout.cliff_mm).heading_rad == pytest.approx(-math.pi / 2)
    stop, danger = layout.signs
    assert (stop.label, stop.left_mm, stop.yaw_rad, stop.back) == ("stop", -70, math.pi / 2, False)
    assert (danger.label, danger.back, danger.counts) == ("danger", True, False)
    assert layout.mount == CameraMount(105, math.radians(3), math.radians(-2))
    assert (layout.look.seed, layout.look.exposure, layout.time_limit_s) == (3, 0.9, 45)


def test_all_mistakes_are_reported_at_once_with_their_lines(tmp_path: Path):
    text = """\
track:
  - straight: 9
  - curve: 0
  - {straight: 2, curve: 3}
signs:
  - {name: stpo, at_mm: 300, left_mm: 70}
  - {name: stop, at_mm: 300, left_mm: 7}
  - {name: stop, at_mm: far, left_mm: 70}
look: {exposure: .nan}
"""
    lines = problems(tmp_path, text)
    assert [line.split("track.yaml:")[1].split(":")[0] for line in lines] == ["3", "4", "6", "7", "8", "9"]
    assert "did you mean 'stop'" in lines[2]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "track"),
        ("track: []", "track"),
        ("track: [{straight: 3}]\nspeed: 3", "speed"),
        ("track: [{straight: 3}]\nsigns: [{name: stop, at_mm: 900, left_mm: 70}]", "384 mm"),
        ("track: [{straight: 3}]\nstart_mm: 500", "384 mm"),
        (f"track: [{', '.join(['{straight: 200}'] * 60)}]", "table of 1536 by 1 m"),
        (f"track: [{', '.join(['{straight: 200}, {curve: 8}'] * 200)}]", "5321 m long"),
        ("track: [", "YAML"),
        ("track: [{straight: 3}]\nlook: {seed: 99999999999}", "look.seed"),
    ],
)
def test_bad_file_names_what_is_wrong(tmp_path: Path, text: str, word: str):
    assert any(word in line for line in problems(tmp_path, text))


def test_missing_file_is_reported(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        load_layout(tmp_path / "none.yaml")
