"""`edge-agent doctor`: output and exit codes. The checks themselves are tested in tests/doctor."""

import functools
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from edge_agent.cli.doctor import doctor
from edge_agent.config import Settings
from edge_agent.doctor import Check, CheckResult, Status, all_checks
from edge_agent.doctor.check import fail, ok, warn
from edge_agent.errors import ConfigError

APP = typer.Typer()
APP.command()(doctor)
NAMES = ["python", "camera", "detector", "picture", "hub", "mqtt", "kafka", "console", "gpu", "disk", "clock"]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, CheckResult]:
    """Choose what the checks will find, by name; one more, `source`, names the source that they were created for."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    results: dict[str, CheckResult] = {}

    def checks(settings: Settings, environ: Mapping[str, str]) -> tuple[Check, ...]:
        async def look(name: str) -> CheckResult:
            return results[name]

        results.setdefault("source", ok(settings.capture.source))
        return tuple(Check(name, 1, functools.partial(look, name)) for name in results)

    monkeypatch.setattr("edge_agent.doctor.all_checks", checks)
    return results


def test_everything_the_issue_names_is_looked_at() -> None:
    assert [check.name for check in all_checks(Settings(), {"HOME": "/home/a"})] == NAMES


def test_warnings_alone_exit_0(found: dict[str, CheckResult]) -> None:
    found["clock"] = warn("drifts", "start chrony")
    result = CliRunner().invoke(APP, [])
    assert result.exit_code == 0
    assert "clock     warn  drifts; start chrony" in result.stdout.splitlines()


def test_one_failure_exits_1_and_shows_the_others(found: dict[str, CheckResult]) -> None:
    found["camera"] = fail("gone", "plug it in")
    found["disk"] = ok("plenty [of it]")
    result = CliRunner().invoke(APP, [])
    assert result.exit_code == 1
    assert "camera    fail  gone; plug it in" in result.stdout.splitlines()
    assert "disk      ok    plenty [of it]" in result.stdout.splitlines()


def test_terminal_gets_a_table_with_the_remedy_below(
    found: dict[str, CheckResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    found["camera"] = fail("gone [away]", "plug it in")
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = CliRunner().invoke(APP, [])
    assert "gone [away]" in result.stdout
    assert "-> plug it in" in result.stdout


def test_json_holds_every_check_and_the_verdict(found: dict[str, CheckResult]) -> None:
    found["camera"] = fail("gone", "plug it in")
    result = CliRunner().invoke(APP, ["--json"])
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert document["ok"] is False
    assert {key: document["checks"][0][key] for key in ("name", "status", "message", "remedy")} == {
        "name": "camera",
        "status": Status.FAIL.value,
        "message": "gone",
        "remedy": "plug it in",
    }


def test_source_on_the_command_line_is_the_one_that_is_checked(found: dict[str, CheckResult]) -> None:
    result = CliRunner().invoke(APP, ["--source", "/dev/video3"])
    assert "/dev/video3" in result.stdout


def test_bad_configuration_is_reported_before_any_check(found: dict[str, CheckResult], tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("capture: 5")
    result = CliRunner().invoke(APP, ["--config", str(tmp_path / "a.yaml")])
    assert isinstance(result.exception, ConfigError)
    assert result.stdout == ""
