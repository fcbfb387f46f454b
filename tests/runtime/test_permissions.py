"""Why a file or device cannot be used, in one line with a remedy."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.runtime import permissions

NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_nobody(call: str, *groups: int) -> str:
    """Return what a call says to a user without rights."""
    code = f"import os; os.setgroups({list(groups)}); os.setgid({NOBODY}); os.setuid({NOBODY})\nprint({call})"
    prelude = "from pathlib import Path\nfrom edge_agent.runtime import permissions\n"  # before the rights are gone
    done = subprocess.run([sys.executable, "-c", prelude + code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder that every user may enter, unlike pytest's own."""
    folder = Path("/tmp") / f"edge-agent-access-{os.getpid()}"  # noqa: S108 - made with its own mode, and removed
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)


def test_device_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert str(permissions.device_problem(tmp_path / "video7")) == (
        f"there is no {tmp_path / 'video7'}; plug the device in, or name another one"
    )


def test_device_and_folder_in_order_have_nothing_in_the_way(tmp_path: Path) -> None:
    assert permissions.device_problem(Path("/dev/null")) is None
    assert permissions.folder_problem(tmp_path / "not" / "yet") is None


@needs_root
def test_wrong_group_names_the_group_to_join(open_folder: Path) -> None:
    device = open_folder / "video0"
    device.touch()
    os.chown(device, 0, 44)
    device.chmod(0o660)
    problem = as_nobody(f"permissions.device_problem(Path('{device}'))")
    assert problem.startswith(("nobody is not in the group video", "nobody is not in the group 44"))
    assert "`usermod -aG " in problem
    assert as_nobody(f"permissions.device_problem(Path('{device}'))", 44) == "None"


@needs_root
def test_folder_of_another_user_names_its_mode(open_folder: Path) -> None:
    problem = as_nobody(f"permissions.folder_problem(Path('{open_folder}/state'))")
    assert (
        problem
        == f"nobody may not use {open_folder} (drwxr-xr-x, group root); let nobody or a group of it own {open_folder}"
    )


def test_denial_though_the_mode_allows_it_is_selinux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "enforce").write_text("1")
    monkeypatch.setattr(permissions, "_ENFORCING", tmp_path / "enforce")
    problem = str(permissions.path_problem(tmp_path, PermissionError(errno.EACCES, "Permission denied")))
    assert problem.startswith("SELinux denies ")
    assert "`ausearch -m avc -ts recent -c edge-agent`" in problem
    assert f"`restorecon -v {tmp_path}`" in problem


@pytest.mark.parametrize(
    ("number", "path", "says"),
    [
        (errno.EROFS, "/var/lib/edge-agent", ("read-only file system", "ReadWritePaths=/var/lib/edge-agent")),
        (errno.ENOSPC, "/var/lib/edge-agent", ("the disk of /var/lib/edge-agent is full", "free some space")),
        (errno.EPERM, "/dev/null", ("the service's sandbox does not allow /dev/null", "DeviceAllow=/dev/null rw")),
        (errno.EIO, "/dev/null", ("/dev/null cannot be used: ", "journalctl -k")),
        (errno.EACCES, "/nonexistent/video0", ("may not look into /nonexistent", "namei -l")),
    ],
)
def test_error_of_the_system_says_what_to_do(number: int, path: str, says: tuple[str, ...]) -> None:
    problem = str(permissions.path_problem(Path(path), OSError(number, os.strerror(number))))
    assert all(words in problem for words in says), problem
    assert "\n" not in problem
