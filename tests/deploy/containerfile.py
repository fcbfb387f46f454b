"""Reads a Containerfile as far as ours go: stages that need each other, build arguments, environment.

Knows the text. Knows nothing of how steps are taken.
"""

import re
import shlex
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from dockerfile_parse import DockerfileParser


@dataclass
class Stage:
    """One stage: its name, what it begins with, its steps, and the values of its build arguments."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    arguments: dict[str, str] = field(default_factory=dict)

    def environment(self, value: str, before: dict[str, str]) -> dict[str, str]:
        """Return the variables that an ENV sets."""
        known = {"PATH": "/usr/local/bin:/usr/bin:/bin", **self.arguments, **before}
        return {name: filled(text, known) for name, text in (word.split("=", 1) for word in shlex.split(value))}


def filled(text: str, values: dict[str, str]) -> str:
    """Put values in for ${NAME}."""
    return re.sub(r"\$\{(\w+)\}", lambda found: values.get(found[1], ""), text)


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return every instruction with its value; continued lines are joined."""
    parser = DockerfileParser(fileobj=BytesIO(path.read_bytes()))
    return [(each["instruction"], each["value"]) for each in parser.structure if each["instruction"] != "COMMENT"]


def stages(path: Path, given: dict[str, str]) -> list[Stage]:
    """Return the stages that the last one needs, first things first."""
    found: list[Stage] = []
    general: dict[str, str] = {}
    for instruction, value in instructions(path):
        if instruction == "FROM":
            image, _, name = value.partition(" AS ")
            found.append(Stage(name or "last", filled(image, general)))
        elif instruction == "ARG":
            for word in shlex.split(value):
                name, _, default = word.partition("=")
                known = found[-1].arguments if found else general
                known[name] = given.get(name, default or general.get(name, ""))
        else:
            found[-1].steps.append((instruction, value))
    return _needed(found)


def _needed(found: list[Stage]) -> list[Stage]:
    wanted = {found[-1].name}
    for stage in reversed(found):
        if stage.name in wanted:
            copied = [re.match(r"--from=(\S+)", value) for step, value in stage.steps if step == "COPY"]
            wanted |= {stage.base, *(match[1] for match in copied if match)}
    return [stage for stage in found if stage.name in wanted]
