"""`edge-agent run` and `record`: reports, exit codes, and one line for each bad input."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import structlog

from edge_agent import cli
from edge_agent.perception.detector import samples
from edge_agent.perception.vision import OutputLayout
from tests.perception.camera.pictures import grey, write_video
from tests.perception.detector.models import outputs_for, save

LABELS = "['speed_limit_30', 'speed_limit_50', 'stop', 'no_entry', 'danger', 'pedestrian_crossing']"
DANGER = (20.0, 20.0, 70.0, 60.0, 0.92, 4)


class Shell:
    """Runs the program in this process and keeps what it said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.out = self.err = ""

    def __call__(self, *words: object) -> int:
        self._monkeypatch.setattr("sys.argv", ["edge-agent", *map(str, words)])
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        self.out, self.err = self._capsys.readouterr()
        return int(str(code or 0))

    @property
    def complaint(self) -> str:
        """The one line that a failed call leaves on stderr, without the log."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("edge-agent: ")]
        assert "Traceback" not in self.err
        return line


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Shell]:
    monkeypatch.setenv("EDGE_AGENT_LOG__LEVEL", "error")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield Shell(monkeypatch, capsys)
    structlog.reset_defaults()  # the program logs to a stderr that is gone with this test


@pytest.fixture
def constant(tmp_path: Path) -> Path:
    """Write a model that finds the same in every picture."""
    return save(tmp_path / "m.onnx", outputs_for(OutputLayout.CHANNELS_LAST, [DANGER], 6), names=LABELS)


@pytest.fixture
def model(constant: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the constant model without the trial, in which it finds nothing."""
    monkeypatch.setattr(samples, "samples_problem", lambda detector: "")
    return constant


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for n in range(8):
        image = grey(9, 640, 480)
        image[:, 80 * n : 80 * n + 40] = 200  # a train that stands learns nothing from the same picture again
        cv2.imwrite(str(folder / f"{n}.png"), image)
    return folder


def test_run_on_photos_reports_what_it_saw_and_did(shell: Shell, model: Path, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    code = shell("run", "--dry-run", "--no-realtime", "--source", photos, "--model", model, "--report", path)
    assert code == 0
    report = json.loads(path.read_text())
    assert report["frames"] == {"captured": 8, "processed": 8, "dropped": 0, "invalid": 0, "repeated": 0}
    assert report["detections"] == {"danger": 8}
    assert [(a["sign"], a["action"]) for a in report["actions"]] == [("danger", "stop")]
    assert report["clock"] == "virtual"
    assert "danger: stop" in shell.out, "the table shows the same"


def test_run_tells_of_a_model_that_finds_no_sample_sign(shell: Shell, constant: Path, photos: Path) -> None:
    for own, codes in ((constant, ["detector_finds_nothing"]), (None, [])):
        words = ["--model", own] if own else []
        assert shell("run", "--dry-run", "--no-realtime", "--source", photos, "--json", *words) == 0
        assert [fault["code"] for fault in json.loads(shell.out)["faults"]] == codes


def test_run_json_prints_the_report_alone(shell: Shell, model: Path, photos: Path) -> None:
    assert shell("run", "--dry-run", "--no-realtime", "--source", photos, "--model", model, "--json") == 0
    assert json.loads(shell.out)["frames"]["processed"] == 8


def test_pictures_of_other_sizes_and_with_alpha_are_read(shell: Shell, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    cv2.imwrite(str(folder / "1.png"), np.full((33, 77, 4), 128, np.uint8))
    cv2.imwrite(str(folder / "2.png"), np.full((1200, 900), 128, np.uint8))
    assert shell("run", "--dry-run", "--no-realtime", "--source", folder, "--model", model, "--json") == 0
    assert json.loads(shell.out)["frames"]["processed"] == 2


def test_same_video_twice_gives_the_same_decisions(shell: Shell, model: Path, tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", 30)
    runs = []
    for _ in range(2):
        assert shell("run", "--dry-run", "--no-realtime", "--source", video, "--model", model, "--json") == 0
        report = json.loads(shell.out)
        runs.append([{k: v for k, v in a.items() if k != "frame_id"} for a in report["actions"]])
    assert runs[0] == runs[1] != []


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("nowhere", "no such file or folder"),
        ("/dev/video97", "/dev/video97"),
        ("empty", "no pictures"),
        ("empty.mp4", "empty.mp4"),
        ("text.mp4", "text.mp4"),
    ],
)
def test_source_that_cannot_be_read_is_one_line(
    shell: Shell, model: Path, tmp_path: Path, source: str, complaint: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video\n" * 100)
    named = source if source.startswith("/") else tmp_path / source
    assert shell("run", "--dry-run", "--no-realtime", "--source", named, "--model", model) in (1, 2, 78)
    assert complaint in shell.complaint


def test_live_source_cannot_be_read_faster_than_it_happens(shell: Shell, model: Path) -> None:
    assert shell("run", "--dry-run", "--no-realtime", "--source", "rtsp://127.0.0.1:1/x", "--model", model) == 2
    assert "--no-realtime" in shell.complaint


@pytest.mark.parametrize("kind", ["missing", "truncated", "other form", "without names"])
def test_model_that_cannot_be_used_is_one_line_and_exit_78(
    shell: Shell, model: Path, photos: Path, tmp_path: Path, kind: str
) -> None:
    bad = tmp_path / "bad.onnx"
    if kind == "truncated":
        bad.write_bytes(model.read_bytes()[:500])
    elif kind == "other form":
        save(bad, {"out": np.zeros((3, 3), np.float32)}, names=LABELS)
    elif kind == "without names":
        save(bad, outputs_for(OutputLayout.CHANNELS_LAST, [DANGER], 6), names=None)
    assert shell("run", "--dry-run", "--no-realtime", "--source", photos, "--model", bad) == 78
    assert "bad.onnx" in shell.complaint


def test_threshold_above_what_a_rule_counts_is_exit_78(shell: Shell, model: Path, photos: Path) -> None:
    code = shell("run", "--source", photos, "--dry-run", "--model", model, "--threshold", "0.95", "--no-realtime")
    assert code == 78
    assert "detector.threshold is 0.95, but" in shell.complaint
    assert "remove detector.threshold (or --threshold)" in shell.complaint


def test_rule_for_a_sign_the_model_does_not_know_is_exit_78(shell: Shell, photos: Path, tmp_path: Path) -> None:
    narrow = save(tmp_path / "n.onnx", outputs_for(OutputLayout.CHANNELS_LAST, [], 2), names="['stop', 'danger']")
    assert shell("run", "--dry-run", "--no-realtime", "--source", photos, "--model", narrow) == 78
    assert "signs.speed_limit_30: the model does not know this sign" in shell.err


def test_network_that_answers_nan_never_moves_the_train(shell: Shell, photos: Path, tmp_path: Path) -> None:
    outputs = {"out": np.full((1, 126, 10), np.nan, np.float32)}
    broken = save(tmp_path / "nan.onnx", outputs, names=LABELS)
    shell("run", "--dry-run", "--no-realtime", "--source", photos, "--model", broken, "--json")
    if shell.out:
        report = json.loads(shell.out)
        assert report["latency_ms"]["capture_to_command"]["n"] == 0
        assert report["frames"]["invalid"] == 8
    else:
        assert "NaN" in shell.complaint or "not a number" in shell.complaint


def test_video_that_is_cut_short_is_one_line_and_exit_1_with_its_report(
    shell: Shell, model: Path, tmp_path: Path
) -> None:
    video, path = write_video(tmp_path / "v.avi", 40, kind="MJPG"), tmp_path / "run.json"
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    assert shell("run", "--dry-run", "--no-realtime", "--source", video, "--model", model, "--report", path) == 1
    assert "pictures could be read (its last bytes are missing); copy or record it again" in shell.complaint
    assert [fault["code"] for fault in json.loads(path.read_text())["faults"]] == ["source_damaged"]


def test_folder_with_a_broken_picture_is_one_line_and_exit_1(shell: Shell, model: Path, photos: Path) -> None:
    (photos / "3.png").write_bytes(b"no picture")
    assert shell("run", "--dry-run", "--no-realtime", "--source", photos, "--model", model, "--json") == 1
    assert "1 of 8 pictures could not be read" in shell.complaint
    assert json.loads(shell.out)["frames"]["processed"] == 7


def test_see_through_pictures_are_reported_and_no_failure(shell: Shell, model: Path, photos: Path) -> None:
    cv2.imwrite(str(photos / "3.png"), np.full((33, 77, 4), 128, np.uint8))
    assert shell("run", "--dry-run", "--no-realtime", "--source", photos, "--model", model, "--json") == 0
    assert [fault["code"] for fault in json.loads(shell.out)["faults"]] == ["source_noted"]


@pytest.mark.parametrize("duration", ["-1", "0", "nan"])
def test_duration_that_is_no_time_is_a_wrong_call(shell: Shell, model: Path, photos: Path, duration: str) -> None:
    assert shell("run", "--dry-run", "--source", photos, "--model", model, "--duration", duration) == 2


def test_run_that_ends_well_warns_of_nothing(
    shell: Shell, model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_AGENT_LOG__LEVEL", "warning")
    assert shell("run", "--dry-run", "--no-realtime", "--source", photos, "--model", model) == 0
    assert shell.err == ""


@pytest.mark.parametrize("report", ["no-such-folder/run.json", "."])
def test_report_that_cannot_be_written_is_reported_before_anything_starts(
    shell: Shell, model: Path, tmp_path: Path, report: str
) -> None:
    assert shell("run", "--dry-run", "--model", model, "--source", "nowhere", "--report", tmp_path / report) == 2
    assert "cannot write the report" in shell.complaint, "and not: no such source"


def test_wrong_settings_are_reported_all_at_once_with_their_places(shell: Shell, tmp_path: Path) -> None:
    config = tmp_path / "agent.yaml"
    config.write_text("capture:\n  fps: -3\n  colour: red\nguard:\n  lease_ms: soon\n")
    assert shell("run", "--dry-run", "--config", config) == 78
    lines = [line for line in shell.err.splitlines() if line.startswith("edge-agent: ")]
    assert [line.split("agent.yaml:")[1].split(":")[0] for line in lines] == ["2", "3", "5"]


def test_unknown_hub_kind_is_reported(shell: Shell) -> None:
    assert shell("run", "--hub", "steam") == 78
    assert "hub.kind" in shell.complaint


def test_train_that_derails_is_exit_1_and_the_report_says_so(shell: Shell) -> None:
    track = Path(__file__).parents[1] / "fixtures" / "tracks" / "nothing.yaml"
    words = ("run", "--dry-run", "--no-realtime", "--detector", "none", "--layout", track)
    assert shell(*words, "--json") == 1
    assert json.loads(shell.out)["mission"]["outcome"] == "derailed"


def test_record_writes_a_video_with_its_truth_and_nothing_else(shell: Shell, tmp_path: Path) -> None:
    video = tmp_path / "run.mp4"
    env_detector = ("--seed", 3, "--duration", 2, "--no-realtime")
    assert shell("record", video, *env_detector) == 0
    lines = [json.loads(line) for line in video.with_suffix(".jsonl").read_text().splitlines()]
    frames = [line for line in lines if "frame" in line]
    assert [line["frame"] for line in frames] == list(range(len(frames)))
    assert 19 <= len(frames) <= 21
    assert all("detections" in line for line in frames)
    assert sorted(path.name for path in tmp_path.glob("*.*")) == ["run.jsonl", "run.mp4"]
    assert cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT) == len(frames)


def test_record_to_another_kind_of_file_is_refused(shell: Shell, tmp_path: Path) -> None:
    assert shell("record", tmp_path / "run.avi") == 78
    assert ".mp4" in shell.complaint


def test_program_sends_no_usage_data(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    shell("--version")
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_output_to_a_full_disk_is_one_line_and_exit_1(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("typer.echo", full)
    assert shell("config", "schema") == 1
    assert "disk is full" in shell.complaint
