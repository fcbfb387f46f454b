"""Paths of the shipped files and the state folder."""

from pathlib import Path

import pytest

from edge_agent.errors import FatalError
from edge_agent.runtime import resources


def test_checkout_has_its_folders_at_the_top() -> None:
    assert (resources.config_dir() / "signs.yaml").is_file()
    assert resources.engines_dir().name == "engines"


def test_wheel_has_them_inside_the_package_and_they_win(tmp_path: Path) -> None:
    package = tmp_path / "edge_agent"
    for folder in (package / "_data" / "config", package / "_data" / "engines", tmp_path / "config"):
        folder.mkdir(parents=True)
        (folder / "agent.yaml").touch()
    assert resources.config_dir(package) == package / "_data" / "config"
    assert resources.engines_dir(package) == package / "_data" / "engines"


def test_foreign_folder_named_config_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    with pytest.raises(FatalError, match=r"'config' .* install edge-agent again"):
        resources.config_dir(tmp_path / "edge_agent")


def test_missing_engines_are_reported(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="'engines'"):
        resources.engines_dir(tmp_path / "edge_agent")


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/edge-agent:/var/lib/other", "HOME": "/home/a"}, "/var/lib/edge-agent"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/home/a"}, "/x/edge-agent"),
        ({"HOME": "/home/a"}, "/home/a/.local/state/edge-agent"),
        ({}, "/var/lib/.local/state/edge-agent"),
    ],
)
def test_state_folder_follows_systemd_then_xdg(environ: dict[str, str], folder: str) -> None:
    assert resources.state_dir(environ) == Path(folder)
