"""The container files: what hadolint says, who runs in them, whether what they copy is there; `make images` builds."""

import fnmatch
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from edge_agent.cli.program import COMMANDS, build
from tests.deploy.containerfile import instructions, stages
from tests.deploy.promtool import ROOT

app = build(COMMANDS)

AGENT = ROOT / "config/containers/Containerfile"
DEVICE = ROOT / "config/bootc/Containerfile"
FILES = [AGENT, DEVICE]
IGNORED = [
    line for line in (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"
]

files = pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
variants = pytest.mark.parametrize("variant", ["cpu", "jetson"])


def last_of(path: Path, instruction: str) -> str:
    return [value for name, value in instructions(path) if name == instruction][-1]


def in_context(path: str) -> bool:
    """Tell whether a file of the repository is handed to the builder; the last line that fits decides."""
    kept = True
    parts = [path, *(str(parent) for parent in Path(path).parents if str(parent) != ".")]
    for line in IGNORED:
        pattern = line.removeprefix("!")
        anywhere = pattern.startswith("**/")
        names = [Path(part).name for part in parts] if anywhere else parts
        if fnmatch.filter(names, pattern.removeprefix("**/")):
            kept = line.startswith("!")
    return kept


@files
def test_hadolint_has_nothing_to_say(path: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--no-color", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@files
def test_exception_from_a_rule_has_a_reason_the_first_time(path: Path) -> None:
    found = re.findall(r"^# hadolint ignore=(\S+)(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    reasons: dict[str, str] = {}
    for rule, reason in found:
        reasons.setdefault(rule, reason)
    assert all(reason.startswith(" # ") for reason in reasons.values())


@variants
def test_every_stage_begins_with_an_image_of_a_version_or_with_another_stage(variant: str) -> None:
    needed = stages(AGENT, {"VARIANT": variant})
    names = [stage.name for stage in needed]
    assert names == [f"base-{variant}", f"tools-{variant}", "build", "agent"]
    for number, stage in enumerate(needed):
        assert stage.base in names[:number] or re.fullmatch(r"[a-z0-9.]+/[a-z0-9./-]+:\d[\w.-]*", stage.base), (
            stage.base
        )


@files
def test_what_is_copied_is_tracked_and_in_the_context(path: Path) -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    for words in (shlex.split(value) for name, value in instructions(path) if name == "COPY"):
        for source in words[:-1]:
            if not words[0].startswith("--from="):
                under = [each for each in tracked if source == "." or each == source or each.startswith(f"{source}/")]
                assert [each for each in under if in_context(each)], source


def test_context_holds_no_data_no_history_and_no_engine_of_another_gpu() -> None:
    for name in (
        "data/a.jpg",
        "runs/signs/best.pt",
        ".git/config",
        ".venv/bin/python",
        "engines/a.engine",
        ".env",
        "token",
    ):
        assert not in_context(name), name
    for name in (
        "engines/signs.onnx",
        "config/agent.yaml",
        "edge_agent/cli/run.py",
        "requirements.lock",
        "docs/deploy.md",
    ):
        assert in_context(name), name


def test_image_runs_as_nobody_of_group_0_and_needs_no_name() -> None:
    """OpenShift gives an id out of the namespace's range, and always the group 0."""
    user, _, group = last_of(AGENT, "USER").partition(":")
    assert int(user) >= 1000
    assert group == "0"
    (made,) = [value for name, value in stages(AGENT, {})[-1].steps if name == "RUN"]
    writable = re.findall(r"/var/\S+", made.split("chmod 2770")[1])
    assert f"chgrp 0 {' '.join(writable)}" in made
    assert last_of(AGENT, "ENV").count("=/var/lib/edge-agent") == 2, "home and state"


def test_image_is_of_this_version_and_runs_what_exists() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["project"]["version"]
    assert stages(AGENT, {})[-1].arguments["VERSION"] == version
    command, *words = re.findall(r'"([^"]+)"', last_of(AGENT, "CMD"))
    known = {option for parameter in get_command(app).commands[command].params for option in parameter.opts}  # type: ignore[attr-defined]
    assert {word for word in words if word.startswith("--")} <= known
    assert "/healthz" in last_of(AGENT, "HEALTHCHECK")


def test_packages_are_those_of_the_lock() -> None:
    installs = [value for name, value in instructions(AGENT) if name == "RUN" and "pip install" in value]
    assert [value for value in installs if "-r requirements.lock" in value]
    assert all(
        "-r requirements.lock" in line or "--no-deps" in line
        for value in installs
        for line in value.split("&&")
        if "pip install" in line
    )
