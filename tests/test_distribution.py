"""The Python distribution's name: on PyPI `edge-agent` belongs to somebody else, and no text may send anybody there."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import edge_agent
from edge_agent.errors import install_remedy

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FOREIGN = re.compile(r"\binstall\b[^\n|;&]*?[\s'\"`](?:train-)?edge[-_]agent(?=[\s'\"`\[=<>~]|$)|\bedge-agent\[")
"""A package as it would be asked for. Neither name is on PyPI as ours, so an install has to name the checkout."""
INSTALLER = re.compile(r"\b(?:pip3?|pipx|uv)\b.*\binstall\b")
EXTRA = re.compile(r"'\.\[([\w,]+)\]'")


def texts() -> Iterator[tuple[str, str]]:
    """Yield each tracked text file but this one and the changelog, which tells what was wrong."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, tracked.split("\0")):
        path = ROOT / name
        if name not in {"CHANGELOG.md", "tests/test_distribution.py"} and path.is_file() and not path.is_symlink():
            try:
                yield name, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def orders(name: str, text: str) -> Iterator[str]:
    """Yield the lines that would fetch a distribution of either name from a package index."""
    for number, line in enumerate(text.splitlines(), 1):
        if "edge-agent[" in line or (INSTALLER.search(line) and FOREIGN.search(line)):
            yield f"{name}:{number}: {line.strip()}"


def test_name_is_our_own_and_the_command_keeps_its_name() -> None:
    assert PROJECT["name"] == "train-edge-agent"
    assert PROJECT["scripts"] == {"edge-agent": "edge_agent.cli:main"}
    assert PROJECT["version"] == edge_agent.__version__


def test_check_finds_what_it_looks_for() -> None:
    for line in ("pip install 'edge-agent[train]'", "pip install edge-agent", "uv tool install 'train-edge-agent'"):
        assert list(orders("page", line)), line
    for line in ("pip install '.[train]'", "pip install -r /etc/edge-agent/list", "make install installs edge-agent"):
        assert not list(orders("page", line)), line


def test_no_text_fetches_a_strangers_package() -> None:
    assert [order for name, text in texts() for order in orders(name, text)] == []


def test_extras_that_texts_name_exist() -> None:
    named = {extra for _, text in texts() for group in EXTRA.findall(text) for extra in group.split(",")}
    assert {"tensorrt", "tracing", "train"} <= named <= PROJECT["optional-dependencies"].keys()


def test_locks_were_made_for_this_name() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        lock = (ROOT / name).read_text(encoding="utf-8")
        assert f"{PROJECT['name']} (pyproject.toml)" in lock
        assert " edge-agent (pyproject.toml)" not in lock


def test_remedy_names_an_extra_of_the_checkout() -> None:
    assert "pip install '.[train]'" in install_remedy("train")
