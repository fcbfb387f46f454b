"""`edge-agent console`, and the link printed on the terminal."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from edge_agent.cli.options import announce_console, with_run_token
from edge_agent.config import ConsoleSettings, Settings
from edge_agent.config.control import HubSettings
from tests.support.proxy import free_port


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge_agent", "console", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_invalid_address_is_reported_in_one_line() -> None:
    done = call("--listen", "8080")
    assert done.returncode == 2
    assert done.stderr == "edge-agent: '8080' is not HOST:PORT; write --listen 127.0.0.1:8080, or [::1]:8080\n"


def test_port_that_is_taken_is_reported_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = call("--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 78
    assert re.fullmatch(r"edge-agent: another program listens on 127\.0\.0\.1:\d+; .*\n", done.stderr)


def test_invalid_server_is_reported(tmp_path: Path) -> None:
    done = call("--bootstrap-servers", "broker", "--config", str(_empty(tmp_path)))
    assert done.returncode == 78
    assert "kafka.bootstrap_servers" in done.stderr


@pytest.mark.parametrize("option", ["--token-file", "--train-token-file"])
def test_token_that_cannot_be_read_is_reported_at_once(option: str, tmp_path: Path) -> None:
    done = call("--listen", f"127.0.0.1:{free_port()}", option, str(tmp_path / "none"))
    assert done.returncode == 78
    assert done.stderr.count("\n") == 1
    assert "No such file" in done.stderr


def _empty(folder: Path) -> Path:
    file = folder / "agent.yaml"
    file.write_text("train:\n  id: red\n", encoding="utf-8")
    return file


def settings(**console: object) -> Settings:
    return Settings(console=ConsoleSettings.model_validate({"port": free_port(), **console}))


def on_a_terminal() -> None:
    sys.stderr.isatty = lambda: True  # type: ignore[method-assign]  # capsys has put its own there


def test_person_at_the_terminal_gets_a_link_with_a_token_for_this_run(capsys: pytest.CaptureFixture[str]) -> None:
    on_a_terminal()
    before = settings()
    granted, again = with_run_token(before), with_run_token(settings()).console.token
    given = granted.console.token
    assert given is not None
    assert again is not None
    assert len(given.get_secret_value()) >= 22
    assert given != again
    assert capsys.readouterr().err == "", "nothing leads to a port that is not open yet"
    announce_console(granted, run_token=granted is not before)
    output = capsys.readouterr()
    assert f"127.0.0.1:{before.console.port}/#token={given.get_secret_value()}\n" in output.err
    assert output.out == ""


@pytest.mark.parametrize(
    ("console", "told"),
    [
        ({"host": "0.0.0.0"}, "can neither arm nor stop"),  # noqa: S104 - the case
        ({"host": "::"}, "set console.token_file"),
        ({"token": SecretStr("set-secret")}, "Console: http://127.0.0.1:"),
        ({"token_file": Path("/run/token")}, "Console: http://127.0.0.1:"),
        ({"user_header": "X-Forwarded-User"}, "Console: http://127.0.0.1:"),
    ],
)
def test_no_token_where_others_could_use_it_or_where_it_is_not_needed(
    console: dict[str, object], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    on_a_terminal()
    before = settings(**console)
    assert with_run_token(before) is before
    announce_console(before, run_token=False)
    said = capsys.readouterr().err
    assert told in said
    assert re.search(r"http://[^/\s]+:\d+/\n", said), "the address that a browser takes"
    assert "http://0" not in said
    assert "set-secret" not in said


def test_no_token_where_the_page_is_off(capsys: pytest.CaptureFixture[str]) -> None:
    on_a_terminal()
    before = settings(enabled=False)
    assert with_run_token(before) is before


def test_no_link_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    before = settings()
    assert with_run_token(before) is before
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("kind", "level"), [("mock", "info"), ("ble", "warning")])
def test_without_a_terminal_the_log_says_that_nobody_can_send_commands(kind: str, level: str) -> None:
    before = settings().model_copy(update={"hub": HubSettings(kind=kind)})
    with capture_logs() as logs:
        announce_console(before, run_token=False)
    (line,) = logs
    assert (line["event"], line["log_level"]) == ("console_read_only", level)
    assert "console.token_file" in line["remedy"]


def test_no_token_is_ever_logged() -> None:
    with capture_logs() as logs:
        announce_console(settings(token=SecretStr("set-secret")), run_token=True)
    assert "set-secret" not in str(logs)
    assert logs[0]["event"] == "console"
