"""Loading the settings: defaults < credentials < file < profile < environment < command line, then validation."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ValidationError

from edge_agent.config import sources
from edge_agent.config.diagnostics import (
    SettingsProblem,
    SettingsTree,
    ValueSource,
    close_match,
    problems_of,
    raise_if_any,
)
from edge_agent.config.fields import Leaf, leaves, model_at
from edge_agent.config.settings import Settings
from edge_agent.config.yaml_file import read_yaml
from edge_agent.errors import ConfigError
from edge_agent.runtime import resources

SYSTEM_FILE = Path("/etc/edge-agent/agent.yaml")
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, the files they were read from, and where each value came from.

    `provenance` says by dotted key: `default`, `file:line`, the variable's name, or `command line`.
    """

    settings: Settings
    provenance: Mapping[str, str]
    files: tuple[Path, ...]


def load(
    path: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    profile: str | None = None,
    system_file: Path = SYSTEM_FILE,
) -> Loaded:
    """Load the settings; raises one ConfigError whose text has a line for each problem.

    Args:
        path: the configuration file; None looks in EDGE_AGENT_CONFIG, then in /etc, then takes the one shipped.
        overrides: what the command line set, by dotted key (`{"capture.source": "0"}`); None values are left out.
        environ: the environment; None takes the process's.
        profile: name of a profile beside the file, or several with commas, of which each wins over those before; None
            looks in EDGE_AGENT_PROFILE.
        system_file: path of an installed configuration.
    """
    environ = os.environ if environ is None else environ
    files = find_files(path, environ, profile, system_file)
    tree = SettingsTree()
    for file in files:
        tree.merge(_without_empty_sections(read_yaml(file)))
    tree.merge(_without_empty_sections(sources.from_environment(environ, Settings)))
    tree.merge(sources.from_overrides(overrides or {}, Settings))
    sources.add_credentials(tree, environ, Settings)
    _keep_spelling(tree)
    _resolve_paths(tree)
    settings = _validate(tree)
    provenance = {leaf.key: str(tree.places.get(leaf.path, DEFAULT)) for leaf in leaves(Settings)}
    return Loaded(settings, MappingProxyType(provenance), files)


def find_files(
    path: Path | None, environ: Mapping[str, str], profile: str | None, system_file: Path = SYSTEM_FILE
) -> tuple[Path, ...]:
    """Return the configuration file and the profiles to apply over it: `profile` is a name, or several with commas."""
    base = path
    if base is None and environ.get(sources.CONFIG_VARIABLE):
        base = Path(environ[sources.CONFIG_VARIABLE])
    if base is None:
        base = system_file if system_file.is_file() else resources.config_dir() / "agent.yaml"
    names = profile or environ.get(sources.PROFILE_VARIABLE)
    return (base, *(_profile(base, name.strip()) for name in names.split(","))) if names else (base,)


def _profile(base: Path, name: str) -> Path:
    """Return the profile's file: in profiles/ beside the configuration, else among those shipped."""
    folders = (base.parent / "profiles", resources.config_dir() / "profiles")
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        for folder in folders:
            if (folder / f"{name}.yaml").is_file():
                return folder / f"{name}.yaml"
    known = sorted({file.stem for folder in folders for file in folder.glob("*.yaml")})
    hint = close_match(name, known) or f"; there are: {', '.join(known) or 'none'}"
    raise ConfigError(f"unknown profile '{name}'{hint}", profile=name)


def _without_empty_sections(tree: SettingsTree) -> SettingsTree:
    """Remove sections without a value: what is left when every key of a section is commented out."""
    _drop_empty(tree.values, Settings)
    return tree


def _drop_empty(values: dict[str, object], model: type[BaseModel]) -> None:
    for name, value in list(values.items()):
        section = model_at(model, (name,))
        if section is not None and value is None:
            del values[name]
        elif section is not None and isinstance(value, dict):
            _drop_empty(value, section)


def _keep_spelling(tree: SettingsTree) -> None:
    """Give a bare number in a file its spelling back where the key holds text: `name: 007` is not 7."""
    for leaf, section, place in _placed(tree):
        value = section[leaf.path[-1]]
        if leaf.text and isinstance(value, int) and not isinstance(value, bool) and place.spelling:
            section[leaf.path[-1]] = place.spelling


def _resolve_paths(tree: SettingsTree) -> None:
    """Resolve relative paths in a file against that file's folder, not the working directory."""
    for leaf, section, place in _placed(tree):
        value = section[leaf.path[-1]]
        if leaf.is_path and place.folder is not None and isinstance(value, str) and value:
            section[leaf.path[-1]] = str(place.folder / value)


def _placed(tree: SettingsTree) -> Iterator[tuple[Leaf, dict[str, object], ValueSource]]:
    """Yield each key that a source has set, with the section that holds its value, and its place."""
    for leaf in leaves(Settings):
        place = tree.places.get(leaf.path)
        node: object = tree.values
        for name in leaf.path[:-1]:
            node = node.get(name) if isinstance(node, dict) else None
        if place is not None and isinstance(node, dict) and leaf.path[-1] in node:
            yield leaf, node, place


def _validate(tree: SettingsTree) -> Settings:
    """Return the settings of a merged tree; raises ConfigError with all problems of all layers."""
    problems = [*tree.problems, *_exposed_secrets(tree)]
    settings = Settings()
    try:
        settings = Settings.model_validate_json(json.dumps(tree.values))
    except ValidationError as error:
        problems += problems_of(error, tree, Settings)
    raise_if_any(problems)
    return settings


def _exposed_secrets(tree: SettingsTree) -> list[SettingsProblem]:
    """Return a problem for each secret where others can read it: in a settings file or the process list."""
    problems = []
    for leaf in leaves(Settings):
        place = tree.places.get(leaf.path)
        if leaf.secret and place is not None and place.kind != "environment":
            text = (
                f"a secret does not belong here; use {leaf.path[-1]}_file or the variable {sources.variable(leaf.path)}"
            )
            problems.append(SettingsProblem(place.exact(of_key=True), leaf.key, text))
    return problems
