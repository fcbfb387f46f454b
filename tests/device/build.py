"""Builds what the bench boots: the kernel, the system with the product installed by `make install`, the wheels for it.

Everything comes from Debian's packages (suite SUITE) and from the locked packages of PyPI.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from .cache import kept

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]

SUITE = "bookworm"
TOOLS = ("linux-source-6.1", "gcc", "make", "flex", "bison", "bc", "xz-utils", "libc6-dev")
"""What builds the kernel."""

PACKAGES = (
    *("systemd", "systemd-sysv", "udev", "dbus", "bluez", "kmod", "v4l-utils", "polkitd", "python3", "python3-venv"),
    *("make", "procps", "user-mode-linux"),
)
BUILD_BACKEND = "hatchling==1.27.0"
"""What `pip install .` builds the product with; pip takes it from the wheels too."""

PLATFORMS = (*(f"manylinux_2_{minor}_x86_64" for minor in range(36, 16, -1)), "manylinux2014_x86_64")
"""Wheels that Debian 12 can load (glibc 2.36, Python 3.11)."""

PRODUCT = (
    "edge_agent",
    "config",
    "engines",
    "docs/deploy.md",
    "docs/operate.md",
    "pyproject.toml",
    "requirements.lock",
    "README.md",
    "LICENSE",
    "Makefile",
)

IMAGE_MB = 2600


class CannotRunError(Exception):
    """The bench cannot run here; the message is one line with the reason."""


def check_host() -> None:
    """Raise CannotRunError where nothing can be built or booted."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise CannotRunError(
            f"user-mode Linux needs Linux on x86_64, and this is {platform.system()} on {platform.machine()}"
        )
    if os.geteuid() != 0:
        raise CannotRunError("only root can build the system: sudo make device")
    missing = [tool for tool in ("mmdebstrap", "mke2fs", "chroot") if shutil.which(tool) is None]
    if missing:
        raise CannotRunError(f"missing: {', '.join(missing)}; on Debian: apt install mmdebstrap e2fsprogs")


def tools() -> Path:
    """Return the folder of a Debian system with compiler and the kernel's source."""

    def make(into: Path) -> None:
        _say("installing the tools that build the kernel")
        _bootstrap(into / "root", TOOLS)

    return kept("tools", _bytes(SUITE, *TOOLS), make) / "root"


def kernel() -> Path:
    """Return user-mode Linux with hci_vhci and vivid, built where it is not kept (10 to 25 minutes)."""
    recipe = ("kernel.sh", "kernel.config")

    def make(into: Path) -> None:
        _say("building the kernel (10 to 25 minutes, once)")
        root = into / "root"
        _run("cp", "--archive", "--reflink=auto", tools(), root)
        for name in recipe:
            shutil.copy(HERE / name, root)
        _run("nice", "chroot", root, "/kernel.sh", "/kernel.config")
        shutil.move(root / "kernel", into / "linux")
        shutil.move(root / "kernel.version", into / "version")
        shutil.rmtree(root)

    parts = [(HERE / name).read_bytes() for name in recipe]
    return kept("kernel", [*parts, *_bytes(SUITE, *TOOLS)], make) / "linux"


def preload() -> Path | None:
    """Return the library that user-mode Linux 6.1 needs on a processor with AMX (xstate.c says why); else None."""
    if " amx_tile" not in Path("/proc/cpuinfo").read_text():
        return None
    source = HERE / "xstate.c"

    def make(into: Path) -> None:
        shutil.copy(source, tools() / "tmp")
        compiler = ("gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror")
        _run("chroot", tools(), *compiler, "-o", "/tmp/xstate.so", "/tmp/xstate.c")  # noqa: S108 - inside the folder
        shutil.move(tools() / "tmp/xstate.so", into)

    return kept("preload", [source.read_bytes(), *_bytes(SUITE, *TOOLS)], make) / "xstate.so"


def base() -> Path:
    """Return the folder of Debian's system, without the product."""
    return kept("base", _bytes(SUITE, *PACKAGES), lambda into: _bootstrap(into / "root", PACKAGES)) / "root"


def packaged_kernel() -> Path:
    """Return Debian's own user-mode Linux: no Bluetooth, no camera, nothing to build."""
    return base() / "usr/bin/linux.uml"


def wheels() -> Path:
    """Return the folder of the locked wheels."""
    locks = (CHECKOUT / "requirements.lock", HERE / "requirements.txt")

    def download(into: Path) -> None:
        _say("downloading the locked wheels")
        target = [flag for name in PLATFORMS for flag in ("--platform", name)]
        pip = [sys.executable, "-m", "pip", "download", "-qqq", "--disable-pip-version-check", "--dest", into]
        python = ["--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11", *target]
        for asked in (["--no-deps", "-r", locks[0]], ["--no-deps", "-r", locks[1]], [BUILD_BACKEND]):
            _run(*pip, *python, *asked)

    return kept("wheels", [*(lock.read_bytes() for lock in locks), *_bytes(BUILD_BACKEND)], download)


def image() -> Path:
    """Return the disk image: Debian's system, the product installed in it, bumble beside it, a service for jobs."""
    files = sorted(_product_files())
    parts = [part for name in files for part in (name.encode(), (CHECKOUT / name).read_bytes())]
    stones = [base(), wheels()]
    install = (HERE / "install.sh").read_bytes()

    def make(into: Path) -> None:
        root = into / "root"
        _say("installing the product")
        _run("cp", "--archive", "--reflink=auto", stones[0], root)
        (root / "srv/product").mkdir(parents=True)
        for name in files:
            (root / "srv/product" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, root / "srv/product" / name)
        shutil.copytree(stones[1], root / "srv/wheels")
        shutil.copy(HERE / "requirements.txt", root / "srv")
        shutil.copy(HERE / "install.sh", root / "srv")
        _run("chroot", root, "/bin/sh", "/srv/install.sh")
        for name in ("product", "wheels"):
            shutil.rmtree(root / "srv" / name)
        shutil.copy(root / "srv/packages", into / "packages")
        _run("mke2fs", "-q", "-t", "ext4", "-d", root, into / "disk", f"{IMAGE_MB}M")
        shutil.rmtree(root)

    return kept("image", [*parts, install, *_bytes(*(str(stone) for stone in stones))], make)


def _product_files() -> list[str]:
    """List the files that `make install` needs, as they lie in the checkout, committed or not."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *PRODUCT],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    return [name for name in listed.split("\0") if name and (CHECKOUT / name).is_file()]


def _bootstrap(into: Path, packages: Iterable[str]) -> None:
    _run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}", SUITE, into)


def _run(*command: object) -> None:
    # pip's settings of this machine name folders that the new system does not have.
    environment = {
        name: value for name, value in os.environ.items() if command[0] != "chroot" or not name.startswith("PIP_")
    }
    result = subprocess.run(
        [str(word) for word in command], check=False, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=environment
    )
    if result.returncode:
        raise CannotRunError(f"{Path(str(command[0])).name} failed with {result.returncode}; its own lines are above")


def _bytes(*words: str) -> list[bytes]:
    return [word.encode() for word in words]


def _say(text: str) -> None:
    print(f"device: {text}", file=sys.stderr, flush=True)
