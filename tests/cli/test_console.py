"""`edge-agent console`, and the link printed on the terminal."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from edge_agent.cli.options import with_run_token
from edge_agent.config import ConsoleSettings, Settings
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


def test_person_at_the_terminal_gets_a_link_with_a_token_for_this_run(capsys: pytest.CaptureFixture[str]) -> None:
    sys.stderr.isatty = lambda: True  # type: ignore[method-assign]  # capsys has put its own there
    given, again = with_run_token(settings()).console.token, with_run_token(settings()).console.token
    assert given is not None
    assert again is not None
    assert len(given.get_secret_value()) >= 22
    assert given != again
    output = capsys.readouterr()
    assert f"#token={given.get_secret_value()}\n" in output.err
    assert output.out == ""


@pytest.mark.parametrize(
    "console",
    [
        {"host": "0.0.0.0"},  # noqa: S104 - the case
        {"token": SecretStr("set")},
        {"token_file": Path("/run/token")},
        {"user_header": "X-Forwarded-User"},
        {"enabled": False},
    ],
)
def test_no_link_where_others_could_use_it_or_where_it_is_not_needed(
    console: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    sys.stderr.isatty = lambda: True  # type: ignore[method-assign]  # capsys has put its own there
    before = settings(**console)
    assert with_run_token(before) is before
    assert capsys.readouterr().err == ""


def test_no_link_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    before = settings()
    assert with_run_token(before) is before
    assert capsys.readouterr().err == ""
