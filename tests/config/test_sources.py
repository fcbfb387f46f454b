"""Variables: EDGE_AGENT_SECTION__KEY, parsed as text, YAML or JSON."""

from pathlib import Path

import pytest

from edge_agent.config import Settings, load
from edge_agent.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.yaml"
    path.write_text("", encoding="utf-8")
    return path


def settings(file: Path, **environ: str) -> Settings:
    return load(file, environ={f"EDGE_AGENT_{name}": value for name, value in environ.items()}).settings


def test_variable_of_a_number_is_read_as_a_number(file: Path) -> None:
    assert settings(file, CAPTURE__FPS="7.5").capture.fps == 7.5


def test_variable_of_a_text_is_taken_as_it_is(file: Path) -> None:
    assert settings(file, TRAIN__NAME="yes: [1").train.name == "yes: [1"
    assert settings(file, TRAIN__NAME="007").train.name == "007"


@pytest.mark.parametrize(
    ("word", "value"), [("1", True), ("0", False), ("yes", True), ("OFF", False), ("true", True), ("False", False)]
)
def test_variable_of_a_switch_takes_the_usual_words(file: Path, word: str, value: bool) -> None:
    assert settings(file, MQTT__ENABLED=word).mqtt.enabled is value


def test_variable_of_a_list_is_read_as_json(file: Path) -> None:
    read = settings(file, KAFKA__BOOTSTRAP_SERVERS='["a:1", "b:2"]')
    assert read.kafka.bootstrap_servers == ("a:1", "b:2")


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("a:9092,b:9092", ("a:9092", "b:9092")),
        ("a:9092", ("a:9092",)),
        ("a:9092, b:9092", ("a:9092", "b:9092")),
        ("[::1]:9092,b:9092", ("[::1]:9092", "b:9092")),
    ],
)
def test_variable_of_a_list_takes_commas_without_brackets(file: Path, text: str, servers: tuple[str, ...]) -> None:
    assert settings(file, KAFKA__BOOTSTRAP_SERVERS=text).kafka.bootstrap_servers == servers


def test_empty_entry_of_a_list_is_refused(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"kafka\.bootstrap_servers"):
        settings(file, KAFKA__BOOTSTRAP_SERVERS="a:9092,")


@pytest.mark.parametrize("section", ["MQTT", "CONSOLE"])
def test_host_that_holds_a_port_is_told_where_the_port_belongs(file: Path, section: str) -> None:
    with pytest.raises(ConfigError, match=r"holds a port: write 'broker' here and 1884 as `port`"):
        settings(file, **{f"{section}__HOST": "broker:1884"})
    assert settings(file, MQTT__HOST="fe80::1").mqtt.host == "fe80::1"


def test_variable_two_levels_down_is_found(file: Path) -> None:
    assert settings(file, MQTT__TLS__ENABLED="true").mqtt.tls.enabled


def test_variable_of_a_section_sets_its_keys_and_one_of_a_key_wins(file: Path) -> None:
    read = settings(file, CAPTURE='{"fps": 3, "width": 320}', CAPTURE__WIDTH="640")
    assert (read.capture.fps, read.capture.width) == (3, 640)


def test_variable_of_null_unsets_an_optional_value(file: Path) -> None:
    file.write_text("hub: {address: '00:11'}\ncapture: {retry_for_s: 5}", encoding="utf-8")
    read = settings(file, HUB__ADDRESS="null", CAPTURE__RETRY_FOR_S="null")
    assert read.hub.address is None
    assert read.capture.retry_for_s is None


def test_variable_outside_any_section_is_read(file: Path) -> None:
    assert settings(file, COMPAT="crazy-train").compat == "crazy-train"


def test_variable_in_small_letters_is_read(file: Path) -> None:
    assert load(file, environ={"edge_agent_capture__fps": "4"}).settings.capture.fps == 4


def test_variables_that_kubernetes_sets_for_a_service_are_left_alone(file: Path) -> None:
    environ = {
        "EDGE_AGENT_PORT": "tcp://10.0.0.1:8080",
        "EDGE_AGENT_SERVICE_HOST": "10.0.0.1",
        "EDGE_AGENT_PORT_8080_TCP_ADDR": "10.0.0.1",
    }
    assert load(file, environ=environ).settings == Settings()


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("EDGE_AGENT_CAPTURE__FPS", "-3", "EDGE_AGENT_CAPTURE__FPS: capture.fps: must be greater than 0 (got -3)"),
        ("EDGE_AGENT_CAPTURE__FPS", "fast", "EDGE_AGENT_CAPTURE__FPS: capture.fps: must be a number (got 'fast')"),
        ("EDGE_AGENT_CAPTURE__FPS", "", "EDGE_AGENT_CAPTURE__FPS: capture.fps: must be a number (got null)"),
        (
            "EDGE_AGENT_CAPTURE__FSP",
            "3",
            "EDGE_AGENT_CAPTURE__FSP: capture.fsp: unknown key; did you mean 'fps'?",
        ),
        ("EDGE_AGENT_CAPTUR__FPS", "3", "EDGE_AGENT_CAPTUR__FPS: captur: unknown key; did you mean 'capture'?"),
        (
            "EDGE_AGENT_CAPTURE_FPS",
            "3",
            "EDGE_AGENT_CAPTURE_FPS: unknown variable; did you mean EDGE_AGENT_CAPTURE__FPS?",
        ),
        ("EDGE_AGENT_TRAIN__NAME", "\udcff", "EDGE_AGENT_TRAIN__NAME: is not UTF-8 text"),
        (
            "EDGE_AGENT_KAFKA__BOOTSTRAP_SERVERS",
            "[1",
            "EDGE_AGENT_KAFKA__BOOTSTRAP_SERVERS: kafka.bootstrap_servers: must be a list (got '[1')",
        ),
        (
            "EDGE_AGENT_CAPTURE",
            "{fps: 99}",
            "EDGE_AGENT_CAPTURE: capture.fps: must be at most 60 (got 99)",
        ),
    ],
)
def test_bad_variable_is_named_with_what_to_do(file: Path, name: str, value: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(file, environ={name: value})
    assert str(caught.value) == line
