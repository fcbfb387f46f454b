"""Settings from the environment, the command line and systemd's credentials, as SettingsTrees.

A variable is `EDGE_AGENT_SECTION__KEY`, with another `__` for each level; its value is text, YAML or JSON. A variable
with `__` must name a key. Others are ignored (Kubernetes sets `EDGE_AGENT_PORT` and the like beside a service named
edge-agent), except those that would be a key with one more underscore.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from edge_agent.config.diagnostics import SettingsProblem, SettingsTree, ValueSource, close_match
from edge_agent.config.fields import Leaf, leaves
from edge_agent.config.yaml_file import parse_value

PREFIX = "EDGE_AGENT_"
CONFIG_VARIABLE = PREFIX + "CONFIG"
PROFILE_VARIABLE = PREFIX + "PROFILE"
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
_BOOLEANS = {"1": True, "yes": True, "on": True, "true": True, "0": False, "no": False, "off": False, "false": False}
_NULLS = frozenset({"", "~", "null"})
_CREDENTIAL_PREFIX = "edge-agent_"
"""The prefix that systemd adds where a whole folder is loaded, as the unit does (LoadCredential=edge-agent:...)."""


def variable(path: tuple[str, ...]) -> str:
    """Return the variable that sets the key at `path`: EDGE_AGENT_CAPTURE__FPS."""
    return PREFIX + "__".join(path).upper()


def from_environment(environ: Mapping[str, str], model: type[BaseModel]) -> SettingsTree:
    """Read the settings in `environ`; names are not case-sensitive."""
    tree = SettingsTree()
    known = {leaf.path: leaf for leaf in leaves(model)}
    flat = {"_".join(path).upper(): path for path in known if len(path) > 1}
    # Shorter names first: a variable for one key overrides one that sets its whole section.
    for name in sorted(environ, key=lambda n: (n.count("__"), n)):
        rest = name.upper().removeprefix(PREFIX)
        if rest == name.upper():
            continue
        # Python decodes what is not UTF-8 to lone surrogates.
        if any("\ud800" <= character <= "\udfff" for character in environ[name]):
            tree.problems.append(SettingsProblem(name, "", "is not UTF-8 text"))
            continue
        path = tuple(part.lower() for part in rest.split("__"))
        if len(path) > 1 or path[0] in model.model_fields:
            tree.set(path, _value(environ[name], known.get(path)), ValueSource("environment", name))
        elif rest in flat:
            tree.problems.append(SettingsProblem(name, "", f"unknown variable; did you mean {variable(flat[rest])}?"))
    return tree


def from_overrides(overrides: Mapping[str, object], model: type[BaseModel]) -> SettingsTree:
    """Return what the command line sets, by dotted key; text is parsed as in the environment, None is left out."""
    tree = SettingsTree()
    known = {leaf.path: leaf for leaf in leaves(model)}
    for key, value in overrides.items():
        if value is None:
            continue
        path = tuple(key.split("."))
        plain = _value(value, known.get(path)) if isinstance(value, str) else value
        tree.set(path, list(plain) if isinstance(plain, tuple) else plain, ValueSource("command line", "command line"))
    return tree


def _value(text: str, leaf: Leaf | None) -> object:
    """Return `text` itself where the key holds text, else parse it as YAML.

    A boolean may be any of the words that pydantic-settings accepts, such as `1`, `yes` and `on`. A list may be written
    without brackets: `a:9092,b:9092`.
    """
    if leaf is not None and leaf.boolean and text.strip().lower() in _BOOLEANS:
        return _BOOLEANS[text.strip().lower()]
    if leaf is None or not leaf.text:
        value = parse_value(text)
        has_no_brackets = isinstance(value, str) and value.count("[") == value.count("]")
        return [part.strip() for part in text.split(",")] if leaf and leaf.listed and has_no_brackets else value
    return None if leaf.nullable and text.strip() in _NULLS else text


def _misspelt(there: set[str], known: frozenset[str]) -> Iterator[SettingsProblem]:
    """Yield a problem for each credential whose name is nearly one that is missing; others may be for others."""
    given = {name: name.removeprefix(_CREDENTIAL_PREFIX) for name in there}
    for name, plain in given.items():
        hint = close_match(plain, known) if plain not in known else ""
        if hint and not any(f"'{other}'" in hint for other in given.values()):  # else it is a copy
            yield SettingsProblem(f"credential {name}", "", f"unknown name{hint}")


def add_credentials(tree: SettingsTree, environ: Mapping[str, str], model: type[BaseModel]) -> None:
    """Set each `..._file` key that has a credential, unless the file or the secret itself is set elsewhere."""
    folder = Path(environ.get(CREDENTIALS_VARIABLE, ""))
    if not folder.is_absolute():
        return
    try:
        there = {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return
    except OSError as error:
        tree.problems.append(
            SettingsProblem(
                CREDENTIALS_VARIABLE, "", f"cannot look into {folder}: {error.strerror}; restart the service"
            )
        )
        return
    files = {
        leaf.key.removesuffix("_file"): leaf for leaf in leaves(model) if leaf.is_path and leaf.key.endswith("_file")
    }
    tree.problems.extend(_misspelt(there, frozenset(files)))
    for plain, leaf in files.items():
        set_already = {leaf.path, tuple(plain.split("."))} & tree.places.keys()
        for name in () if set_already else (f"{_CREDENTIAL_PREFIX}{plain}", plain):
            if name in there:
                tree.set(leaf.path, str(folder / name), ValueSource("environment", f"credential {name}"))
