"""The command `edge-agent dataset synth`: its options, its help, and its data set."""

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from edge_agent.cli.dataset import app


def test_help_shows_an_example() -> None:
    result = CliRunner().invoke(app, ["synth", "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "Example: edge-agent dataset synth" in result.output


def test_command_renders_a_data_set(tmp_path: Path) -> None:
    out = tmp_path / "set"
    result = CliRunner().invoke(app, ["synth", "--count", "3", "--out", str(out), "--seed", "2", "--jobs", "1"])
    assert result.exit_code == 0, result.output
    assert (out / "preview.png").is_file()
    assert "boxes" in result.stderr
    assert result.stdout == ""


def test_help_needs_no_picture_library() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from edge_agent.cli.dataset import app; "
        "CliRunner().invoke(app, ['synth', '--help']); sys.exit('cv2' in sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0
