"""Problems in a configuration file: reported with file, line and column, all at once."""

from pathlib import Path

import pytest

from edge_agent.config import load
from edge_agent.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def complaints(text: str | bytes, **environ: str) -> list[str]:
    """Load `text` as agent.yaml of the working directory and return the lines of the error."""
    Path("agent.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError) as caught:
        load(Path("agent.yaml"), environ=environ)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("capture:\n  fps: -3\n", "agent.yaml:2:8: capture.fps: must be greater than 0 (got -3)"),
        ("capture:\n  width: 5000\n", "agent.yaml:2:10: capture.width: must be at most 4096 (got 5000)"),
        ("capture:\n  width: 600.5\n", "agent.yaml:2:10: capture.width: must be a whole number (got 600.5)"),
        ("capture:\n  width: '600'\n", "agent.yaml:2:10: capture.width: must be a whole number (got '600')"),
        ("capture:\n  fps: .nan\n", "agent.yaml:2:8: capture.fps: must be a finite number (got nan)"),
        ("capture:\n  fps: true\n", "agent.yaml:2:8: capture.fps: must be a number (got true)"),
        ("capture:\n  realtime: 1\n", "agent.yaml:2:13: capture.realtime: must be true or false (got 1)"),
        ("capture:\n  source:\n", "agent.yaml:2:3: capture.source: must be text (put it in quotes) (got null)"),
        ("capture:\n  source: ''\n", "agent.yaml:2:11: capture.source: must not be empty"),
        ("capture: 5\n", "agent.yaml:1:10: capture: must be a section of `key: value` lines (got 5)"),
        ("capture:\n  fsp: 3\n", "agent.yaml:2:3: capture.fsp: unknown key; did you mean 'fps'?"),
        ("\ncaptur: {fps: 3}\n", "agent.yaml:2:1: captur: unknown key; did you mean 'capture'?"),
        ("fps: 3\n", "agent.yaml:1:1: fps: unknown key; did you mean 'capture.fps'?"),
        ("log: {level: loud}\n", "agent.yaml:1:14: log.level: must be one of: 'debug', 'info', 'warning' or 'error'"),
        (
            "train: {id: Train One}\n",
            "agent.yaml:1:13: train.id: has the wrong format, write it like 'train-1' (got 'Train One')",
        ),
        (
            "kafka:\n  bootstrap_servers:\n    - a:1\n    - b\n",
            "agent.yaml:4:7: kafka.bootstrap_servers.1: has the wrong format, write it like 'broker:9092'",
        ),
        ("kafka: {bootstrap_servers: a:1}\n", "agent.yaml:1:28: kafka.bootstrap_servers: must be a list (got 'a:1')"),
        ("kafka: {bootstrap_servers: []}\n", "agent.yaml:1:28: kafka.bootstrap_servers: must have at least 1 entries"),
        (
            "capture:\n  fps: 5\n  fps: 6\n",
            "agent.yaml:3:3: capture.fps: is a duplicate (first in line 2); keep one",
        ),
        ("guard: {lease_ms: 100, tick_ms: 200}\n", "agent.yaml:1:8: guard: tick_ms must not be more than lease_ms"),
        ("hub: {name: {a: 1}}\n", "agent.yaml:1:13: hub.name: must be text (put it in quotes) (got a section)"),
        (
            "hub: {address: train}\n",
            "agent.yaml:1:16: hub.address: has the wrong format, write it like '90:84:2B:60:33:70' (got 'train')",
        ),
        ("- 1\n", "agent.yaml:1:1: must hold `key: value` lines"),
        ("just words\n", "agent.yaml:1:1: must hold `key: value` lines"),
        ("train: &x {id: a}\nhub: *x\n", "agent.yaml:2:1: hub: anchors and aliases are not allowed"),
        ("a: &a [*a]\n", "agent.yaml:1:4: a.0: anchors and aliases are not allowed"),
        ("train: {id: !!python/name:os.system x}\n", "agent.yaml:1:13: train.id: the tag "),
        ("? [a]\n: 1\n", "agent.yaml:1:3: a key must be a plain word"),
        ("capture: {width: " + "9" * 5000 + "}\n", "agent.yaml:1:18: capture.width: cannot be read as a number"),
        ("capture:\n\tfps: 3\n", "agent.yaml:2:1: is not valid YAML: "),
        ("capture: [1\n", "agent.yaml:2:1: is not valid YAML: "),
        ("a: 1\n b: 2\n", "agent.yaml:2:3: is not valid YAML: "),
        ("a: 1\n---\nb: 2\n", "agent.yaml:2:1: is not valid YAML: "),
        ("a: \0\n", "agent.yaml: is not valid YAML: "),
        (b"\xff\xfe\x00", "agent.yaml: is not UTF-8 text; name a YAML file"),
        (b" " * (1 << 21), "agent.yaml: has more than 1048576 bytes; name a YAML file"),
        ("[" * 3000, "agent.yaml: is nested too deeply"),
    ],
)
def test_bad_file_is_reported_with_line_and_column(folder: Path, text: str | bytes, line: str) -> None:
    problems = complaints(text)
    assert any(each.startswith(line) for each in problems), problems


def test_unknown_key_without_a_likeness_names_the_known_keys(folder: Path) -> None:
    assert complaints("sim:\n  zzz: 1\n") == [
        "agent.yaml:2:3: sim.zzz: unknown key; known here: seed, layout, battery_percent, time_limit_s"
    ]


def test_all_problems_of_all_layers_are_reported_at_once_in_order(folder: Path) -> None:
    text = "hub:\n  kind: usb\ncapture:\n  fps: 0\n  width: x\n  width: 8\nmqtt: {port: 0, prot: 1}\n"
    assert complaints(text, EDGE_AGENT_LOG__LEVEL="loud") == [
        "EDGE_AGENT_LOG__LEVEL: log.level: must be one of: 'debug', 'info', 'warning' or 'error' (got 'loud')",
        "agent.yaml:2:9: hub.kind: must be one of: 'mock' or 'ble' (got 'usb')",
        "agent.yaml:4:8: capture.fps: must be greater than 0 (got 0)",
        "agent.yaml:6:3: capture.width: is a duplicate (first in line 5); keep one",
        "agent.yaml:6:10: capture.width: must be at least 32 (got 8)",
        "agent.yaml:7:14: mqtt.port: must be at least 1 (got 0)",
        "agent.yaml:7:17: mqtt.prot: unknown key; did you mean 'port'?",
    ]


def test_error_carries_the_exit_code_of_a_bad_configuration(folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(folder / "missing.yaml", environ={})
    assert caught.value.exit_code == 78
    assert str(caught.value) == "missing.yaml: cannot be read (No such file or directory); name a readable file"


def test_folder_instead_of_a_file_is_reported(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)"):
        load(folder, environ={})


def test_secret_in_a_file_is_refused_and_not_repeated(folder: Path) -> None:
    problems = complaints("mqtt:\n  password: hunter2\n")
    assert problems == [
        "agent.yaml:2:3: mqtt.password: a secret does not belong here; "
        "use password_file or the variable EDGE_AGENT_MQTT__PASSWORD"
    ]


def test_secret_of_a_wrong_type_is_not_repeated(folder: Path) -> None:
    problems = complaints("mqtt:\n  password: 12345678\n")
    assert "12345678" not in "\n".join(problems)


def test_long_value_is_shortened(folder: Path) -> None:
    (problem,) = complaints("log: {level: " + "x" * 500 + "}\n")
    assert len(problem) < 200


def test_override_out_of_range_names_the_command_line(folder: Path) -> None:
    Path("agent.yaml").write_text("")
    with pytest.raises(ConfigError, match=r"^command line: capture.fps: must be at most 60 \(got 61.0\)$"):
        load(Path("agent.yaml"), {"capture.fps": 61.0}, {})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("capture: {retry_initial_s: 20}", "retry_max_s must not be less than retry_initial_s"),
        ("hub: {retry_initial_s: 20}", "retry_max_s must not be less than retry_initial_s"),
        ("hub: {max_power_percent: 20}", "min_power_percent must be less than max_power_percent"),
        ("guard: {critical_voltage_mv: 6900}", "critical_voltage_mv must be less than low_voltage_mv"),
        ("guard: {lease_ms: 2000, latch_ms: 100}", "latch_ms must not be less than lease_ms"),
        ("mqtt: {tls: {key_file: a}}", "certificate_file and key_file go together: give both or none"),
        ("kafka: {key_file: a}", "certificate_file and key_file go together: give both or none"),
        ("kafka: {enabled: true, security_protocol: SASL_SSL}", "username is needed with security_protocol SASL_SSL"),
    ],
)
def test_values_that_contradict_each_other_are_refused(folder: Path, text: str, line: str) -> None:
    (problem,) = complaints(text)
    assert problem.endswith(line)


@pytest.mark.parametrize(("section", "key"), [("mqtt", "password"), ("kafka", "password"), ("console", "token")])
def test_secret_given_twice_is_refused(folder: Path, section: str, key: str) -> None:
    problems = complaints(f"{section}: {{{key}_file: x}}", **{f"EDGE_AGENT_{section}__{key}".upper(): "s3cret"})
    assert problems[0].endswith(f"{key} and {key}_file are both set: keep one")
    assert "s3cret" not in "\n".join(problems)
