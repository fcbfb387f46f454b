"""The commands `train` and `evaluate`: options in, one line or a table out."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

pytest.importorskip("torch", reason="PyTorch is not installed")

from edge_agent.cli.dataset import app as dataset_app
from edge_agent.cli.evaluate import evaluate
from edge_agent.cli.train import train
from edge_agent.errors import EdgeAgentError, UsageError
from edge_agent.mlops import export, job
from edge_agent.mlops.network import Architecture, SignNet
from edge_agent.signs import LABELS
from tests.mlops.approach_pictures import write_picture

TINY = Architecture(widths=(8, 8, 16, 16, 16), depths=(1, 1, 1, 1), neck=(16, 16), head=16, bins=8)

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(train)
app.command()(evaluate)


def call(*words: str | Path) -> str:
    """Run a command and return what it printed; its own errors are raised."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, EdgeAgentError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    export.save(path, export.export(SignNet(TINY), 64, 64, LABELS, shifts=dict.fromkeys(LABELS, 3.0)))
    return path


def on_toy(toy: Path) -> list[str | Path]:
    return ["evaluate", "--images", toy / "images" / "val", "--annotations", toy / "annotations" / "val.json"]


def test_evaluate_json_is_json_without_nan(toy: Path, model: Path) -> None:
    printed = call(*on_toy(toy), "--model", model, "--json")
    report = json.loads(printed, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (report["pictures"], report["signs"]) == (4, 4)
    assert report["classes"]["traffic_light"]["ap50"] is None


def test_evaluate_table_and_plots(toy: Path, model: Path, tmp_path: Path) -> None:
    printed = call(*on_toy(toy), "--model", model, "--plots", tmp_path / "plots")
    assert "4 pictures, 4 signs" in printed
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"curves.png", "confusion.png", "worst.png"}


def test_evaluate_compare_same_model_is_undecided(toy: Path, model: Path) -> None:
    assert "too few pictures" in call(*on_toy(toy), "--compare", model, model)


def test_evaluate_compare_with_model_is_refused(toy: Path, model: Path) -> None:
    with pytest.raises(UsageError, match="--compare"):
        call(*on_toy(toy), "--compare", model, model, "--model", model)


def test_train_writes_a_model_and_prints_its_path(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "VIEW", (64, 64))
    words = [
        "--data",
        toy,
        "--out",
        tmp_path / "run",
        "--epochs",
        "1",
        "--threads",
        "1",
        "--size",
        "64x64",
        "--shares",
        "2",
    ]
    assert call("train", *words).strip().endswith("signs.onnx")
    assert (tmp_path / "run" / "signs.json").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--samples or --epochs"),
        (["--samples", "10", "--epochs", "1"], "--samples or --epochs"),
        (["--samples", "0"], "no samples"),
        (["--samples", "10", "--size", "640"], "--size"),
        (["--samples", "10", "--size", "600x400"], "--size"),
        (["--samples", "10", "--label-map", "halt"], "--label-map"),
        (["--samples", "10", "--device", "tpu"], "--device"),
        (["--samples", "10", "--shares", "1,1"], "--shares"),
        (["--samples", "10", "--shares", "x"], "--shares"),
    ],
)
def test_train_bad_option_is_reported_before_anything_is_written(
    toy: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        call("train", "--data", toy, "--out", tmp_path / "run", *words)
    assert not (tmp_path / "run").exists()


@pytest.fixture
def approaches(tmp_path: Path) -> Path:
    """Approaches to the signs of one picture, by the command that makes them."""
    images, annotations = write_picture(tmp_path / "source")
    out = tmp_path / "approaches"
    words = ["approaches", "--images", images, "--annotations", annotations, "--out", out, "--seeds", 1]
    result = CliRunner().invoke(dataset_app, [str(word) for word in words])
    assert (result.exit_code, result.stderr) == (0, f"{out}: 2 approaches: danger 1, stop 1\n")
    return out


def test_evaluate_approaches_text_and_json_give_the_same_figures(approaches: Path, tmp_path: Path) -> None:
    blind = tmp_path / "blind.onnx"
    export.save(blind, export.export(SignNet(TINY), 64, 64, LABELS, shifts=dict.fromkeys(LABELS, -9.0)))
    words = ["evaluate", "--approaches", approaches, "--model", blind]
    text, figures = call(*words), json.loads(call(*words, "--json"))
    counts = {"signs": 2, "obeyed": 0, "late": 0, "never": 2, "wrong": 0, "twice": 0}
    assert figures["signs"]["all"] == counts | {"obeyed_share": 0.0, "wait_p50_s": None, "wait_p95_s": None}
    assert [one["outcome"] for one in figures["not_obeyed"]] == ["never", "never"]
    header, row = (line.split() for line in text.splitlines()[:2])
    assert dict(zip(header, row, strict=True)).items() >= {"sign": "all", "signs": "2", "never": "2"}.items()
    assert "false actions: 0 in 0.00 h" in text


def test_evaluate_approaches_compare_same_model_is_undecided(approaches: Path, model: Path) -> None:
    printed = call("evaluate", "--approaches", approaches, "--compare", model, model)
    assert printed.startswith("too few films to tell them apart: ")


def test_evaluate_without_films_or_pictures_and_with_both_is_refused(approaches: Path, toy: Path) -> None:
    with pytest.raises(UsageError, match="nothing to evaluate"):
        call("evaluate", "--images", toy)
    with pytest.raises(UsageError, match="one by one"):
        call("evaluate", "--approaches", approaches, "--images", toy)
