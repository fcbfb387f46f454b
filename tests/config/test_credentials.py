"""Systemd's credentials are used for settings that are not set elsewhere."""

from pathlib import Path

import pytest

from edge_agent.config import load
from edge_agent.errors import ConfigError

NO_FILE = Path("/nonexistent/agent.yaml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "edge-agent_mqtt.password",
        "console.token",
        "edge-agent_mqtt.tls.key",
        "edge-agent_mqtt.tls.certificate",
    ):
        (tmp_path / name).write_text("secret\n")
    return tmp_path


def test_credential_is_the_file_of_the_setting_that_it_is_named_for(folder: Path) -> None:
    loaded = load(environ={"CREDENTIALS_DIRECTORY": str(folder)}, system_file=NO_FILE)
    assert loaded.settings.mqtt.password_file == folder / "edge-agent_mqtt.password"
    assert loaded.settings.console.token_file == folder / "console.token"
    assert loaded.settings.mqtt.tls.key_file == folder / "edge-agent_mqtt.tls.key"
    assert loaded.settings.kafka.password_file is None
    assert loaded.provenance["mqtt.password_file"] == "credential edge-agent_mqtt.password"


@pytest.mark.parametrize(
    ("name", "value"), [("EDGE_AGENT_MQTT__PASSWORD", "another"), ("EDGE_AGENT_MQTT__PASSWORD_FILE", "/etc/another")]
)
def test_what_is_set_wins_over_a_credential(folder: Path, name: str, value: str) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(folder), name: value}
    mqtt = load(environ=environ, system_file=NO_FILE).settings.mqtt
    assert mqtt.password_file in (None, Path("/etc/another"))


@pytest.mark.parametrize("environ", [{}, {"CREDENTIALS_DIRECTORY": ""}, {"CREDENTIALS_DIRECTORY": "/nonexistent"}])
def test_machine_without_credentials_has_none(environ: dict[str, str]) -> None:
    assert load(environ=environ, system_file=NO_FILE).settings.mqtt.password_file is None


@pytest.mark.parametrize("name", ["edge-agent_kafka.pasword", "kafka.passwort", "edge-agent_mqtt.comand_token"])
def test_credential_whose_name_is_misspelt_is_told(folder: Path, name: str) -> None:
    (folder / name).write_text("secret\n")
    with pytest.raises(ConfigError, match=rf"credential {name}: unknown name; did you mean '(kafka|mqtt)\.") as error:
        load(environ={"CREDENTIALS_DIRECTORY": str(folder)}, system_file=NO_FILE)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("name", ["edge-agent_mqtt.password~", "another-program", "edge-agent_README"])
def test_credential_for_something_else_and_a_copy_are_let_be(folder: Path, name: str) -> None:
    (folder / name).write_text("secret\n")
    load(environ={"CREDENTIALS_DIRECTORY": str(folder)}, system_file=NO_FILE)
