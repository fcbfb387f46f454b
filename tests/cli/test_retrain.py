"""`run --collect`, `dataset tasks`, `dataset import` and `engine promote`."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from edge_agent.cli.program import COMMANDS, build
from edge_agent.errors import ConfigError, FatalError, UsageError
from edge_agent.mlops.coco import read_split
from edge_agent.perception.vision import OutputLayout
from edge_agent.signs import CLASS_IDS, LABELS
from tests.perception.camera.pictures import grey
from tests.perception.detector.models import outputs_for, save

app = build(COMMANDS)

STOP, DANGER = CLASS_IDS["stop"], CLASS_IDS["danger"]
ROWS = [(10.0, 12.0, 30.0, 40.0, 0.9, STOP), (50.0, 20.0, 70.0, 60.0, 0.6, DANGER)]


def save_model(path: Path, score: float = 0.9) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [(*row[:4], row[4] * score / 0.9, row[5]) for row in ROWS]
    model = save(path, outputs_for(OutputLayout.CHANNELS_LAST, rows, len(LABELS)), names=str(list(LABELS)))
    described = {"schema": 1, "sha256": hashlib.sha256(model.read_bytes()).hexdigest(), "labels": list(LABELS)}
    figures = {"metrics": {"validation": {"ap50": score, "ap": 0.5}}, "model": path.name}
    model.with_suffix(".json").write_text(json.dumps({**described, **figures}))
    return model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_model(tmp_path / "run" / "signs.onnx")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for n in range(6):
        cv2.imwrite(str(folder / f"{n}.png"), grey(9, 640, 480))
    return folder


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def export_of(tasks: Path, path: Path) -> Path:
    """Write what Label Studio exports when somebody accepts every pre-annotation."""
    done = [
        {"data": one["data"], "annotations": [{"was_cancelled": False, "result": one["predictions"][0]["result"]}]}
        for one in json.loads(tasks.read_text())
    ]
    path.write_text(json.dumps(done))
    return path


def test_run_collect_keeps_hard_frames(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_AGENT_LOG__LEVEL", "error")
    words = ("run", "--dry-run", "--no-realtime", "--source", photos, "--model", model, "--collect", tmp_path / "hard")
    result = call(*words)
    assert result.exit_code == 0, result.output
    assert f"1 hard frames: {tmp_path / 'hard'}" in result.stdout
    (line,) = (tmp_path / "hard" / "collected.jsonl").read_text().splitlines()
    assert (tmp_path / "hard" / json.loads(line)["file"]).is_file()
    assert json.loads(line)["reasons"] == ["low_confidence"]


def test_run_collect_into_no_folder_is_reported_before_anything_starts(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = call("run", "--dry-run", "--model", model, "--source", "nowhere", "--collect", tmp_path / "file")
    assert isinstance(result.exception, UsageError)
    assert "cannot collect frames" in str(result.exception)


def test_tasks_and_import_give_a_data_set_to_train_on(model: Path, photos: Path, tmp_path: Path) -> None:
    out, own = tmp_path / "labelling", tmp_path / "own"
    result = call("dataset", "tasks", photos, "--out", out, "--model", model, "--prefix", "mine/")
    assert result.exit_code == 0, result.output
    first = json.loads((out / "tasks.json").read_text())[0]
    assert first["data"]["image"].endswith("=mine/0.png")
    assert [one["value"]["rectanglelabels"] for one in first["predictions"][0]["result"]] == [["stop"], ["danger"]]
    assert (out / "labelling.xml").is_file()
    export = export_of(out / "tasks.json", tmp_path / "export.json")
    result = call("dataset", "import", export, "--images", photos, "--out", own, "--labelled", "stop, no_entry")
    assert result.exit_code == 0, result.output
    assert "4 train, 2 val" in result.stdout
    picture = read_split(own, "train")[0]
    assert picture.labels.tolist() == [STOP]
    assert np.flatnonzero(picture.known).tolist() == [STOP, CLASS_IDS["no_entry"]]


def test_tasks_broken_picture_is_reported_and_the_others_are_kept(model: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "3.png").write_bytes(b"no picture")
    result = call("dataset", "tasks", photos, "--out", tmp_path / "out", "--model", model)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        f"edge-agent: {photos / '3.png'}: cannot be read as a picture; copy it again, or save it as JPEG"
    ]
    assert len(json.loads((tmp_path / "out" / "tasks.json").read_text())) == 5


def test_tasks_folder_without_pictures_is_a_wrong_call(tmp_path: Path) -> None:
    assert isinstance(call("dataset", "tasks", tmp_path, "--out", tmp_path / "out").exception, UsageError)


def test_import_names_every_bad_picture_and_leaves_nothing(model: Path, photos: Path, tmp_path: Path) -> None:
    call("dataset", "tasks", photos, "--out", tmp_path, "--model", model)
    export = export_of(tmp_path / "tasks.json", tmp_path / "export.json")
    (photos / "1.png").unlink()
    (photos / "4.png").write_bytes(b"no picture")
    error = call("dataset", "import", export, "--images", photos, "--out", tmp_path / "own").exception
    assert isinstance(error, ConfigError)
    assert ["1.png" in line or "4.png" in line for line in str(error).splitlines()] == [True, True]
    assert not (tmp_path / "own").exists()


def test_promote_keeps_the_old_model_and_list_shows_both(model: Path, tmp_path: Path) -> None:
    old = save_model(tmp_path / "engines" / "signs.onnx", score=0.8).read_bytes()
    result = call("engine", "promote", model, "--engines", tmp_path / "engines")
    assert result.exit_code == 0, result.output
    kept = tmp_path / "engines" / f"signs-{hashlib.sha256(old).hexdigest()[:8]}.onnx"
    assert str(kept) in result.stdout
    assert kept.read_bytes() == old
    listed = json.loads(call("engine", "list", "--engines", tmp_path / "engines", "--json").stdout)["models"]
    assert [(one["model"], one["metrics"]["validation"]["ap50"]) for one in listed] == [
        (kept.name, 0.8),
        ("signs.onnx", 0.9),
    ]
    assert "validation: AP50 0.900" in call("engine", "list", "--engines", tmp_path / "engines").stdout


def test_promote_what_the_agent_cannot_run_is_refused_and_changes_nothing(model: Path, tmp_path: Path) -> None:
    model.write_bytes(b"no network")
    model.with_suffix(".json").write_text(
        json.dumps({"schema": 1, "sha256": hashlib.sha256(b"no network").hexdigest(), "labels": list(LABELS)})
    )
    before = save_model(tmp_path / "engines" / "signs.onnx").read_bytes()
    result = call("engine", "promote", model, "--engines", tmp_path / "engines")
    assert isinstance(result.exception, ConfigError)
    assert (tmp_path / "engines" / "signs.onnx").read_bytes() == before
    assert len(list((tmp_path / "engines").iterdir())) == 2


@pytest.fixture
def signless(tmp_path: Path) -> Path:
    """Five films without any sign, of pictures that differ."""
    folder, rng = tmp_path / "films", np.random.default_rng(1)
    for film in range(5):
        (folder / str(film)).mkdir(parents=True)
        for number in range(8):
            cv2.imwrite(str(folder / str(film) / f"{number}.png"), rng.integers(0, 256, (400, 600, 3), np.uint8))
    (folder / "truth.jsonl").write_text("\n".join(f'{{"film": "{film}", "sign": null}}' for film in range(5)))
    return folder


def test_promote_a_model_that_decides_worse_on_films_is_refused(tmp_path: Path, signless: Path) -> None:
    """The new one finds a STOP in every picture, the old one in none."""
    engines = tmp_path / "engines"
    before = save_model(engines / "signs.onnx", score=0.3).read_bytes()
    new = save_model(tmp_path / "run" / "new.onnx", score=0.95)
    refused = call("engine", "promote", new, "--engines", engines, "--approaches", signless).exception
    assert isinstance(refused, FatalError)
    assert "decides worse: 0 of 0 obeyed, 0 wrong, 0 false -> 0 of 0 obeyed, 0 wrong, 5 false" in refused.message
    assert (engines / "signs.onnx").read_bytes() == before
    back = call("engine", "promote", engines / "signs.onnx", "--engines", engines, "--approaches", signless)
    assert "too few films to tell them apart" in back.stdout


def test_promote_without_films_says_that_nothing_was_measured(model: Path, tmp_path: Path) -> None:
    assert "not measured" in call("engine", "promote", model, "--engines", tmp_path / "engines").stderr


@pytest.mark.parametrize("words", [("promote", "missing.onnx"), ("list", "--engines", ".")])
def test_engine_without_a_model_says_that_it_is_missing(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert isinstance(call("engine", *words).exception, ConfigError)
