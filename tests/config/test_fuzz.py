"""Any file or variable gives settings, or one ConfigError with a line for each problem, never another error."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from ruamel.yaml import YAML

from edge_agent.config import Loaded, load, load_rules
from edge_agent.config.fields import leaves
from edge_agent.config.settings import Settings
from edge_agent.errors import ConfigError

KEYS = sorted(leaf.key for leaf in leaves(Settings))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)
VARIABLE_TEXT = st.text(st.characters(exclude_characters="\0"), max_size=20)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("anything") / "agent.yaml"


def outcome(file: Path, environ: dict[str, str]) -> Loaded | None:
    """Load; None where it was refused. Any other error than ConfigError fails the test."""
    try:
        return load(file, environ=environ)
    except ConfigError as error:
        refused = error
    assert len(str(refused).splitlines()) == len(refused.data["problems"])
    return None


@given(st.text(max_size=200))
@example("a: !!binary x")
@example("? {}\n: {}")
@example("<<: {a: 1}")
@example("train: {id: =}")
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_as_a_file_loads_or_is_refused(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    outcome(file, {})
    with pytest.raises(ConfigError):
        load_rules(file)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_values_of_known_keys_load_or_are_refused(file: Path, values: dict[str, object]) -> None:
    tree: dict[str, object] = {}
    for key, value in values.items():
        node = tree
        *sections, name = key.split(".")
        for section in sections:
            node = node.setdefault(section, {})  # type: ignore[assignment]
        node[name] = value
    with file.open("w", encoding="utf-8") as stream:
        YAML(typ="safe", pure=True).dump(tree, stream)
    outcome(file, {})


@given(st.sampled_from(KEYS), VARIABLE_TEXT)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_in_a_variable_sets_it_or_is_refused(file: Path, key: str, text: str) -> None:
    file.write_text("", encoding="utf-8")
    name = f"EDGE_AGENT_{key.replace('.', '__').upper()}"
    loaded = outcome(file, {name: text})
    assert loaded is None or loaded.provenance[key] == name
