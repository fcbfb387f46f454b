"""The shipped files load and hold the defaults, and docs/configuration.md is current."""

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from ruamel.yaml import YAML

from edge_agent.config import Settings, load
from edge_agent.config.display import json_schema
from edge_agent.config.fields import leaves
from edge_agent.config.rules import SignRulesFile
from edge_agent.runtime import resources
from tools.configuration import page

PROFILES = sorted(file.stem for file in (resources.config_dir() / "profiles").glob("*.yaml"))


def test_shipped_file_holds_exactly_the_defaults() -> None:
    assert load(resources.config_dir() / "agent.yaml", environ={}).settings == Settings()


@pytest.mark.parametrize("profile", PROFILES)
def test_shipped_profile_loads_and_changes_something(profile: str) -> None:
    assert load(resources.config_dir() / "agent.yaml", environ={}, profile=profile).settings != Settings()


def test_shipped_profiles_are_those_that_the_page_names() -> None:
    assert PROFILES == ["booth", "jetson", "workshop"]
    assert "(`booth`, `jetson`, `workshop`)" in " ".join(page().split())


def test_every_setting_has_a_description_and_a_row_in_the_page() -> None:
    text = page()
    for leaf in leaves(Settings):
        assert leaf.info.description, leaf.key
        row = leaf.key.split(".", 1)[-1]
        assert f"| `{row}` |" in text, leaf.key


@pytest.mark.parametrize(("rules", "model"), [(False, Settings), (True, SignRulesFile)])
def test_schema_knows_every_key_and_admits_no_other(rules: bool, model: type[BaseModel]) -> None:
    schema = json_schema(rules=rules)
    assert set(schema["properties"]) == set(model.model_fields)
    objects = [schema, *(part for part in schema["$defs"].values() if part["type"] == "object")]
    assert all(part["additionalProperties"] is False for part in objects)


def test_schema_accepts_the_shipped_files_and_refuses_a_bad_one() -> None:
    for name, rules in (("agent.yaml", False), ("signs.yaml", True)):
        schema = json_schema(rules=rules)
        Draft202012Validator.check_schema(schema)
        content = YAML(typ="safe").load((resources.config_dir() / name).read_text(encoding="utf-8"))
        assert list(Draft202012Validator(schema).iter_errors(content)) == []
    assert list(Draft202012Validator(json_schema()).iter_errors({"capture": {"fps": -1}}))
    assert list(Draft202012Validator(json_schema(rules=True)).iter_errors({"signs": {"stop": {"action": "halt"}}}))
