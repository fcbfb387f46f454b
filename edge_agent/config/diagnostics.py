"""Values with the place each came from, how layers of them merge, and validation errors as messages."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edge_agent.config.fields import leaves, model_at
from edge_agent.errors import ConfigError

Location = tuple[str | int, ...]
"""Path of a value from the top: keys and list indices."""


@dataclass(frozen=True, slots=True)
class ValueSource:
    """Where a value was written: `name` is the file as shown to people, the variable, or `command line`.

    `spelling` is a scalar as it stands in a file.
    """

    kind: Literal["file", "environment", "command line"]
    name: str
    line: int = 0
    column: int = 0
    folder: Path | None = None
    key_column: int = 0
    key_line: int = 0
    spelling: str = field(default="", repr=False)

    def __str__(self) -> str:
        """Return `file:line`, the variable's name, or `command line`."""
        return f"{self.name}:{self.line}" if self.kind == "file" else self.name

    def exact(self, *, of_key: bool = False) -> str:
        """Return the place in the form that editors open: `file:line:column` of the value or of its key."""
        if self.kind != "file":
            return self.name
        line, column = (self.key_line, self.key_column) if of_key and self.key_line else (self.line, self.column)
        return f"{self.name}:{line}:{column}"


@dataclass(frozen=True, slots=True)
class SettingsProblem:
    """One thing to correct, in one line: `where: key: text`."""

    where: str
    key: str
    text: str

    def __str__(self) -> str:
        """Return the line; unprintable characters (line ends, escape codes) are written as in a Python string."""
        line = ": ".join(part for part in (self.where, self.key, self.text) if part)
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)


@dataclass(slots=True)
class SettingsTree:
    """Nested values, the place of each (also of sections and list items), and the problems found while reading."""

    values: dict[str, object] = field(default_factory=dict)
    places: dict[Location, ValueSource] = field(default_factory=dict)
    problems: list[SettingsProblem] = field(default_factory=list)

    def set(self, path: tuple[str, ...], value: object, place: ValueSource) -> None:
        """Set the value at `path`, creating the sections above it."""
        node = self.values
        for depth, name in enumerate(path[:-1], start=1):
            inner = node.get(name)
            if not isinstance(inner, dict):
                inner = {}
                node[name] = inner
            node = inner
            self.places.setdefault(path[:depth], place)
        node[path[-1]] = value
        self.places[path] = place
        self._place_below(path, value, place)

    def merge(self, upper: "SettingsTree") -> None:
        """Merge `upper` over this tree: sections merge key by key, everything else is replaced."""
        self.problems.extend(upper.problems)
        self._merge((), self.values, upper.values, upper)

    def place_of(self, location: Location) -> ValueSource | None:
        """Return the place of the value at `location`, or of the nearest section around it that has one."""
        for length in range(len(location), 0, -1):
            if location[:length] in self.places:
                return self.places[location[:length]]
        return None

    def _merge(
        self, at: Location, lower: dict[str, object], upper: Mapping[str, object], source: "SettingsTree"
    ) -> None:
        for name, value in upper.items():
            here = (*at, name)
            below = lower.get(name)
            if isinstance(below, dict) and isinstance(value, dict):
                self._merge(here, below, value, source)
                continue
            lower[name] = value
            self.places = {k: v for k, v in self.places.items() if k[: len(here)] != here}
            self.places.update({k: v for k, v in source.places.items() if k[: len(here)] == here})

    def _place_below(self, path: Location, value: object, place: ValueSource) -> None:
        children: list[tuple[str | int, object]] = []
        if isinstance(value, dict):
            children = list(value.items())
        elif isinstance(value, list):
            children = list(enumerate(value))
        for name, inner in children:
            self.places[(*path, name)] = place
            self._place_below((*path, name), inner, place)


_TEXTS: Mapping[str, str] = {
    "missing": "is missing; add it",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "finite_number": "must be a finite number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text (put it in quotes)",
    "path_type": "must be a path (text)",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "literal_error": "must be one of: {expected}",
    "enum": "must be one of: {expected}",
    "tuple_type": "must be a list",
    "too_short": "must have at least {min_length} entries",
    "model_type": "must be a section of `key: value` lines",
    "model_attributes_type": "must be a section of `key: value` lines",
    "dict_type": "must be a section of `key: value` lines",
}
_SHOWN_CHARACTERS = 60


def problems_of(error: ValidationError, tree: SettingsTree, model: type[BaseModel]) -> list[SettingsProblem]:
    """Return one problem for each of pydantic's errors."""
    secrets = {leaf.path for leaf in leaves(model) if leaf.secret}
    return [_problem(detail, tree, model, secrets) for detail in error.errors(include_url=False)]


def raise_if_any(problems: Iterable[SettingsProblem]) -> None:
    """Raise one ConfigError whose text has a line for each problem; its data holds the lines under `problems`."""
    lines = list(dict.fromkeys(str(problem) for problem in sorted(problems, key=_order)))
    if lines:
        raise ConfigError("\n".join(lines), problems=tuple(lines))


def close_match(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` where a known word is close to `word`, else nothing."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


def _order(problem: SettingsProblem) -> tuple[str, int, int]:
    """Return the sort key of a problem: file, line, column; without a line, its name."""
    name, line, column = [*problem.where.rsplit(":", 2), "", ""][:3]
    return (name, int(line), int(column)) if line.isdigit() and column.isdigit() else (problem.where, 0, 0)


def _problem(
    detail: ErrorDetails, tree: SettingsTree, model: type[BaseModel], secrets: set[tuple[str, ...]]
) -> SettingsProblem:
    location: Location = detail["loc"]
    place = tree.place_of(location)
    unknown = detail["type"] == "extra_forbidden"
    where = place.exact(of_key=unknown) if place else ""
    text = _unknown_key(location, model) if unknown else _text(detail, model, show=location not in secrets)
    return SettingsProblem(where, ".".join(map(str, location)), text)


def _unknown_key(location: Location, model: type[BaseModel]) -> str:
    section = model_at(model, location[:-1])
    known = list(section.model_fields) if section else []
    word = str(location[-1])
    hint = close_match(word, known)
    if not hint:
        elsewhere = [leaf.key for leaf in leaves(model) if leaf.path[-1] == word]
        hint = f"; did you mean '{elsewhere[0]}'?" if elsewhere else f"; known here: {', '.join(known)}"
    return f"unknown key{hint}"


def _text(detail: ErrorDetails, model: type[BaseModel], *, show: bool) -> str:
    context = {key: f"{v:g}" if isinstance(v, float) else v for key, v in detail.get("ctx", {}).items()}
    if detail["type"] == "value_error":
        return str(context["error"])
    if detail["type"] in {"string_too_short", "too_short"} and detail["input"] == "":
        return "must not be empty"
    template = _TEXTS.get(detail["type"])
    text = template.format(**context) if template else detail["msg"][:1].lower() + detail["msg"][1:]
    if detail["type"] == "string_pattern_mismatch":
        text = f"has the wrong format{_example(detail['loc'], model)}"
    return text + _got(detail["input"]) if show and detail["type"] != "missing" else text


def _example(location: Location, model: type[BaseModel]) -> str:
    """Return `, write it like 'x'` with the field's example, if it has one."""
    names = tuple(part for part in location if isinstance(part, str))
    section = model_at(model, names[:-1])
    info = section.model_fields.get(names[-1]) if section else None
    return f", write it like '{info.examples[0]}'" if info and info.examples else ""


def _got(value: object) -> str:
    """Return ` (got ...)` as the user wrote it in YAML, shortened; sections and lists are only named."""
    if isinstance(value, dict | list):
        return " (got a section)" if isinstance(value, dict) else " (got a list)"
    literals = {None: "null", True: "true", False: "false"}
    shown = literals[value] if value is None or isinstance(value, bool) else str(value)
    shown = shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "..."
    return f" (got '{shown}')" if isinstance(value, str) else f" (got {shown})"
