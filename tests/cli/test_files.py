"""Files that the command line names: one exit code where they are missing, and none is replaced in silence."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge_agent.cli.program import COMMANDS, build
from edge_agent.errors import ConfigError, EdgeAgentError

app = build(COMMANDS)

MISSING = (
    "run --dry-run --source gone.mp4",
    "run --dry-run --layout gone.yaml",
    "run --dry-run --config gone.yaml",
    "run --dry-run --model gone.onnx",
    "detect gone.jpg",
    "detect --model gone.onnx there.png",
    "evaluate --images . --annotations gone.json",
    "evaluate --approaches gone",
    "dataset synth --count 1 --out made --artwork gone",
    "dataset synth --count 1 --out made --backgrounds gone",
    "dataset approaches --images . --annotations gone.json --out made",
    "dataset tasks gone --out made",
    "dataset import gone.json --images . --out made",
    "dataset import gone.json --images gone --out made",
    "engine list --engines gone",
    "engine info gone.onnx",
    "engine promote gone.onnx",
    "hub replay gone.jsonl",
    "config check --config gone.yaml",
)


def call(line: str, folder: Path) -> int:
    """Run a command line in a folder; return its exit code, as the program maps errors to it."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        result: Result = CliRunner().invoke(app, line.split())
    finally:
        os.chdir(before)
    return result.exception.exit_code if isinstance(result.exception, EdgeAgentError) else result.exit_code


@pytest.mark.parametrize("line", MISSING)
def test_missing_file_or_folder_has_one_exit_code_in_every_command(tmp_path: Path, line: str) -> None:
    (tmp_path / "there.png").write_bytes(b"")
    assert call(line, tmp_path) == ConfigError.exit_code
    assert not (tmp_path / "made").exists()


def test_record_replaces_no_file_unasked(tmp_path: Path) -> None:
    for name in ("drive.mp4", "drive.jsonl"):
        (tmp_path / name).write_text("precious", encoding="utf-8")
        assert call("record drive.mp4 --no-realtime --duration 1", tmp_path) == 2
        assert (tmp_path / name).read_text(encoding="utf-8") == "precious"
        (tmp_path / name).unlink()
    (tmp_path / "drive.mp4").write_text("not precious", encoding="utf-8")
    assert call("record drive.mp4 --no-realtime --duration 1 --force", tmp_path) == 0
    assert (tmp_path / "drive.mp4").stat().st_size > 1000


def test_tasks_of_a_day_of_work_are_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "labelling").mkdir()
    (tmp_path / "labelling" / "tasks.json").write_text("precious", encoding="utf-8")
    assert call("dataset tasks photos --out labelling", tmp_path) == 2
    assert (tmp_path / "labelling" / "tasks.json").read_text(encoding="utf-8") == "precious"
