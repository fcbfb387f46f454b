"""`edge-agent detect`: output, exit codes and bad files."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from edge_agent.cli.program import COMMANDS, build
from edge_agent.errors import ConfigError, UsageError
from edge_agent.perception.vision import OutputLayout
from tests.perception.camera.pictures import grey, write_video
from tests.perception.detector.models import outputs_for, save, save_fragile

app = build(COMMANDS)

ROWS = [(10.0, 12.0, 30.0, 40.0, 0.9, 1), (50.0, 20.0, 70.0, 60.0, 0.6, 0)]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(tmp_path / "m.onnx", outputs_for(OutputLayout.CHANNELS_LAST, ROWS, 2), names="['danger', 'stop']")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "2.png"), grey(9, 960, 640))
    cv2.imwrite(str(folder / "10.jpg"), grey(9))
    return folder


def detect(*words: object) -> Result:
    return CliRunner().invoke(app, ["detect", *map(str, words)])


def lines(result: Result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_detect_json_is_a_line_a_picture_in_its_own_pixels(model: Path, photos: Path) -> None:
    result = detect(photos, "--json", "--model", model)
    assert result.exit_code == 0, result.output
    first, second = lines(result)
    assert isinstance(first.pop("inference_ms"), float)
    assert first == {
        "path": str(photos / "2.png"),
        "width": 960,
        "height": 640,
        "detections": [
            {"label": "stop", "score": 0.9, "box": [100, 120, 300, 400]},
            {"label": "danger", "score": 0.6, "box": [500, 200, 700, 600]},
        ],
    }
    assert (second["path"], second["width"]) == (str(photos / "10.jpg"), 96)
    assert result.stderr == ""


def test_detect_threshold_leaves_out_what_is_less_sure(model: Path, photos: Path) -> None:
    found = lines(detect(photos, "--json", "--model", model, "--threshold", "0.7"))
    assert [sign["label"] for sign in found[0]["detections"]] == ["stop"]  # type: ignore[attr-defined]


def test_detect_table_names_signs_and_scores(model: Path, photos: Path) -> None:
    result = detect(photos / "2.png", "--model", model)
    assert result.exit_code == 0
    assert "stop 0.90, danger 0.60" in result.stdout
    assert "960" in result.stdout


def test_detect_same_file_named_twice_is_read_once(model: Path, photos: Path) -> None:
    assert len(lines(detect(photos / "2.png", photos, "--json", "--model", model))) == 2


def test_detect_video_lines_carry_the_frame(model: Path, tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", 3)
    assert [line["frame"] for line in lines(detect(path, "--json", "--model", model))] == [0, 1, 2]


def test_detect_save_dir_holds_a_copy_of_each(model: Path, photos: Path, tmp_path: Path) -> None:
    write_video(photos / "v.avi", 3, kind="MJPG")
    result = detect(photos, "--model", model, "--save-dir", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["10.jpg", "2.png", "v.mp4"]
    drawn = cv2.imread(str(tmp_path / "out" / "2.png"))
    assert drawn.shape == (640, 960, 3)
    assert not np.array_equal(drawn, grey(9, 960, 640))


def test_detect_bad_files_are_reported_one_by_one_and_the_others_are_read(
    model: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "1.jpg").write_text("no picture")
    (tmp_path / "v.mp4").write_text("no video")
    result = detect(photos, tmp_path / "v.mp4", tmp_path / "nothing", "--json", "--model", model)
    assert result.exit_code == 78
    assert len(lines(result)) == 2
    errors = result.stderr.splitlines()
    assert len(errors) == 3
    assert [name for name in ("1.jpg", "v.mp4", "nothing") if any(name in line for line in errors)] == [
        "1.jpg",
        "v.mp4",
        "nothing",
    ]


def test_detect_nothing_but_missing_files_needs_no_model(tmp_path: Path) -> None:
    result = detect(tmp_path / "nothing.jpg", "--model", tmp_path / "nothing.onnx")
    assert result.exit_code == 78
    assert "nothing.onnx" not in result.stderr


def test_detect_network_that_answers_nan_fails_that_picture_only(photos: Path, tmp_path: Path) -> None:
    model = save_fragile(
        tmp_path / "f.onnx", outputs_for(OutputLayout.CHANNELS_LAST, ROWS, 2), names="['danger', 'stop']"
    )  # type: ignore[arg-type]
    cv2.imwrite(str(photos / "3.png"), grey(255))
    result = detect(photos, "--json", "--model", model)
    assert result.exit_code == 1
    assert [Path(str(line["path"])).name for line in lines(result)] == ["2.png", "10.jpg"]
    assert "NaN" in result.stderr
    assert "3.png" in result.stderr


def test_detect_model_that_is_missing_is_a_matter_of_configuration(photos: Path, tmp_path: Path) -> None:
    result = detect(photos, "--model", tmp_path / "nothing.onnx")
    assert isinstance(result.exception, ConfigError)
    assert result.stdout == ""


def test_detect_copies_over_the_originals_are_refused(model: Path, photos: Path) -> None:
    before = (photos / "2.png").read_bytes()
    result = detect(photos, "--model", model, "--save-dir", photos)
    assert isinstance(result.exception, UsageError)
    assert (photos / "2.png").read_bytes() == before


def test_detect_help_is_quick_and_shows_an_example() -> None:
    code = (
        "import sys\nfrom edge_agent.cli.program import COMMANDS, build\nfrom typer.testing import CliRunner\n"
        "print(CliRunner().invoke(build(COMMANDS), ['detect', '--help']).stdout)\n"
        "print([name for name in ('cv2', 'onnxruntime', 'torch') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Example: edge-agent detect" in done.stdout
    assert done.stdout.endswith("[]\n")
