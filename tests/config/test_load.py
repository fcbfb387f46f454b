"""The order of the sources: files, profiles, environment, command line."""

from pathlib import Path

import pytest

from edge_agent.config import Settings, load
from edge_agent.errors import ConfigError
from edge_agent.runtime import resources


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_settings_without_any_file_value_are_the_defaults(folder: Path) -> None:
    assert load(write(folder / "a.yaml", ""), environ={}).settings == Settings()


def test_settings_cannot_change_after_loading() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().capture.fps = 5  # type: ignore[misc]


def test_each_layer_overrides_the_one_below(folder: Path) -> None:
    file = write(folder / "a.yaml", "capture:\n  fps: 1\n  width: 101\n  height: 102\ntrain:\n  id: from-file\n")
    write(folder / "profiles" / "p.yaml", "capture: {width: 201, height: 202}\ntrain: {id: from-profile}\n")
    loaded = load(
        file,
        {"train.id": "from-command"},
        {"EDGE_AGENT_CAPTURE__HEIGHT": "302", "EDGE_AGENT_TRAIN__ID": "from-environment"},
        "p",
    )
    assert (loaded.settings.capture.fps, loaded.settings.capture.width, loaded.settings.capture.height) == (1, 201, 302)
    assert loaded.settings.train.id == "from-command"


def test_provenance_names_default_file_line_variable_and_command_line(folder: Path) -> None:
    file = write(folder / "a.yaml", "# first line\ncapture:\n  fps: 1\n  width: 101\n")
    loaded = load(file, {"train.id": "t"}, {"EDGE_AGENT_CAPTURE__WIDTH": "102"})
    assert loaded.provenance["capture.fps"] == "a.yaml:3"
    assert loaded.provenance["capture.width"] == "EDGE_AGENT_CAPTURE__WIDTH"
    assert loaded.provenance["capture.height"] == "default"
    assert loaded.provenance["train.id"] == "command line"


def test_provenance_names_the_profile_for_what_it_sets(folder: Path) -> None:
    file = write(folder / "a.yaml", "kafka: {bootstrap_servers: ['a:1', 'b:2']}\n")
    write(folder / "profiles" / "p.yaml", "\nkafka:\n  bootstrap_servers: ['c:3']\n")
    loaded = load(file, environ={}, profile="p")
    assert loaded.settings.kafka.bootstrap_servers == ("c:3",)
    assert loaded.provenance["kafka.bootstrap_servers"] == "profiles/p.yaml:3"


def test_section_with_every_key_commented_out_keeps_its_defaults(folder: Path) -> None:
    file = write(folder / "a.yaml", "mqtt:\n#  enabled: true\nkafka:\n  outbox:\n  enabled: true\n")
    assert load(file, environ={}).settings.mqtt == Settings().mqtt


def test_number_as_source_is_taken_as_text(folder: Path) -> None:
    assert load(write(folder / "a.yaml", "capture: {source: 0}"), environ={}).settings.capture.source == "0"


def test_whole_number_where_a_number_is_wanted_is_taken(folder: Path) -> None:
    assert load(write(folder / "a.yaml", "capture: {fps: 5}"), environ={}).settings.capture.fps == 5.0


def test_relative_path_in_a_file_starts_at_the_files_folder(folder: Path) -> None:
    file = write(folder / "etc" / "a.yaml", "policy: {rules: my-signs.yaml}\ndetector: {model: /abs/m.onnx}\n")
    settings = load(file, environ={}).settings
    assert settings.policy.rules == folder / "etc" / "my-signs.yaml"
    assert settings.detector.model == Path("/abs/m.onnx")


def test_relative_path_in_the_environment_starts_at_the_working_directory(folder: Path) -> None:
    file = write(folder / "etc" / "a.yaml", "policy: {rules: other.yaml}\n")
    settings = load(file, environ={"EDGE_AGENT_POLICY__RULES": "mine.yaml"}).settings
    assert settings.policy.rules == Path("mine.yaml")


def test_file_named_by_the_variable_is_read(folder: Path) -> None:
    file = write(folder / "a.yaml", "train: {id: named}")
    assert load(environ={"EDGE_AGENT_CONFIG": str(file)}).settings.train.id == "named"


def test_file_on_the_command_line_wins_over_the_variable(folder: Path) -> None:
    file = write(folder / "a.yaml", "train: {id: given}")
    assert load(file, environ={"EDGE_AGENT_CONFIG": "/nowhere"}).settings.train.id == "given"


def test_file_of_the_system_is_read_where_none_is_named(folder: Path) -> None:
    file = write(folder / "etc" / "agent.yaml", "train: {id: system}")
    assert load(environ={}, system_file=file).settings.train.id == "system"


def test_file_that_ships_is_read_where_there_is_no_other(folder: Path) -> None:
    loaded = load(environ={}, system_file=folder / "missing.yaml")
    assert loaded.files == (resources.config_dir() / "agent.yaml",)


def test_profile_named_by_the_variable_is_read(folder: Path) -> None:
    file = write(folder / "a.yaml", "")
    write(folder / "profiles" / "p.yaml", "train: {id: profiled}")
    assert load(file, environ={"EDGE_AGENT_PROFILE": "p"}).settings.train.id == "profiled"


def test_profile_that_ships_is_found_beside_a_file_without_profiles(folder: Path) -> None:
    loaded = load(write(folder / "a.yaml", ""), environ={}, profile="jetson")
    assert loaded.files[1] == resources.config_dir() / "profiles" / "jetson.yaml"


def test_unknown_profile_is_refused_with_the_nearest_name(folder: Path) -> None:
    with pytest.raises(ConfigError, match="unknown profile 'jetsn'; did you mean 'jetson'"):
        load(write(folder / "a.yaml", ""), environ={}, profile="jetsn")


def test_profile_name_cannot_leave_the_folder(folder: Path) -> None:
    write(folder / "secret.yaml", "train: {id: stolen}")
    with pytest.raises(ConfigError, match="unknown profile"):
        load(write(folder / "conf" / "a.yaml", ""), environ={}, profile="../../secret")


def test_override_of_none_is_no_override(folder: Path) -> None:
    loaded = load(write(folder / "a.yaml", ""), {"capture.source": None}, {})
    assert loaded.provenance["capture.source"] == "default"


def test_override_keeps_the_type_that_it_has(folder: Path) -> None:
    overrides: dict[str, object] = {"capture.realtime": False, "capture.fps": 2.5, "capture.source": "0"}
    capture = load(write(folder / "a.yaml", ""), overrides, {}).settings.capture
    assert (capture.realtime, capture.fps, capture.source) == (False, 2.5, "0")


@pytest.mark.parametrize("number", ["007", "12", "0x1F", "1_000", "+7"])
def test_bare_number_for_a_text_keeps_its_spelling(folder: Path, number: str) -> None:
    file = write(folder / "a.yaml", f"train: {{name: {number}}}\ncapture: {{source: {number}}}")
    loaded = load(file, environ={})
    assert (loaded.settings.train.name, loaded.settings.capture.source) == (number, number)


def test_number_for_a_number_is_one_whatever_its_spelling(folder: Path) -> None:
    file = write(folder / "a.yaml", "console: {port: 0x1F90}")
    assert load(file, environ={}).settings.console.port == 8080


@pytest.mark.parametrize("word", ["true", "1.50", "1e3"])
def test_what_is_no_text_and_has_more_spellings_is_refused(folder: Path, word: str) -> None:
    file = write(folder / "a.yaml", f"train: {{name: {word}}}")
    with pytest.raises(ConfigError, match="put it in quotes"):
        load(file, environ={})


@pytest.mark.parametrize(("names", "width"), [("p,q", 2), ("q,p", 1), ("q, p", 1)])
def test_profiles_combine_and_the_last_one_wins(folder: Path, names: str, width: int) -> None:
    file = write(folder / "a.yaml", "")
    write(folder / "profiles" / "p.yaml", "capture: {width: 201, height: 201}")
    write(folder / "profiles" / "q.yaml", "capture: {width: 202}\ntrain: {id: q}")
    for loaded in (load(file, environ={}, profile=names), load(file, environ={"EDGE_AGENT_PROFILE": names})):
        assert loaded.settings.capture.width == 200 + width
        assert (loaded.settings.capture.height, loaded.settings.train.id) == (201, "q")
        assert [path.stem for path in loaded.files[1:]] == [name.strip() for name in names.split(",")]


def test_unknown_one_of_several_profiles_is_named(folder: Path) -> None:
    file = write(folder / "a.yaml", "")
    with pytest.raises(ConfigError, match="unknown profile 'boot'; did you mean 'booth'"):
        load(file, environ={}, profile="jetson,boot")
