"""Secrets: from the environment or a file, read when used, never shown."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from edge_agent.config import load, read_secret
from edge_agent.config.display import shown_settings, without_password
from edge_agent.errors import ConfigError


def test_secret_from_the_environment_is_masked_everywhere(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("")
    loaded = load(file, environ={"EDGE_AGENT_MQTT__PASSWORD": "hunter2", "EDGE_AGENT_CONSOLE__TOKEN": "hunter2"})
    assert loaded.settings.mqtt.password is not None
    assert loaded.settings.mqtt.password.get_secret_value() == "hunter2"
    assert shown_settings(loaded)["mqtt.password"] == {"value": "********", "from": "EDGE_AGENT_MQTT__PASSWORD"}
    assert "hunter2" not in repr(loaded) + str(shown_settings(loaded)) + loaded.settings.model_dump_json()


def test_secret_that_is_not_set_is_shown_as_null(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("")
    assert shown_settings(load(file, environ={}))["mqtt.password"] == {"value": None, "from": "default"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://user:pass@camera:554/live", "rtsp://user:********@camera:554/live"),
        ("rtsp://user:p@ss:w@camera/live", "rtsp://user:********@camera/live"),
        ("rtsp://camera:554/live@2", "rtsp://camera:554/live@2"),
        ("/dev/video0", "/dev/video0"),
    ],
)
def test_password_in_an_address_is_masked(text: str, shown: str) -> None:
    assert without_password(text) == shown


def test_secret_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(" pass word \n")
    secret = read_secret(None, file, "mqtt.password_file")
    assert secret is not None
    assert secret.get_secret_value() == " pass word "


def test_secret_of_the_environment_needs_no_file(tmp_path: Path) -> None:
    assert read_secret(SecretStr("x"), None, "k") == SecretStr("x")
    assert read_secret(None, None, "k") is None


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "mqtt.password_file: cannot read .*: No such file or directory; create it"),
        (b"", "mqtt.password_file: .* is empty"),
        (b"\n", "mqtt.password_file: .* is empty"),
        (b"\xff\xfe", "mqtt.password_file: .* is not text"),
        (b"x" * 70000, "mqtt.password_file: .* has more than 65536 bytes"),
    ],
)
def test_unusable_secret_file_is_reported(tmp_path: Path, content: bytes | None, text: str) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=text):
        read_secret(None, file, "mqtt.password_file")
