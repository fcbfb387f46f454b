"""A root folder in place of the base images, for a machine that reaches no registry.

It holds this machine's Python, shell and a few tools, with the libraries that they need; what would install packages
does nothing. Knows files. Knows nothing of containers.
"""

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

TOOLS = """
    sh bash env cat chgrp chmod cmp cp find grep id install ln ls make mkdir mktemp mv printf pwd readlink rm rmdir sed
    sort test touch tr uname
"""
RUNTIME = """
    libnss_dns.so.2 libnss_files.so.2 libresolv.so.2 libm.so.6 librt.so.1 libdl.so.2 libpthread.so.0 libutil.so.1
    libgcc_s.so.1 libstdc++.so.6
"""
NOTHING = ("microdnf", "dnf", "systemctl", "bootc")
ALONG = (
    "/etc/ssl/certs",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/pip.conf",
    "/usr/share/python-wheels",
)
PYTHON = f"python3.{sys.version_info.minor}"


def make(root: Path) -> None:
    """Fill `root`."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    python = Path(sys.base_prefix, "bin", PYTHON)
    programs = [Path(found) for name in TOOLS.split() if (found := shutil.which(name))]
    modules = [path for path in stdlib.rglob("*.so*") if "packages" not in path.parts[len(stdlib.parts)]]
    for path in {*programs, *libraries([*programs, python, *modules]), *_runtime()}:
        _copy(path, root)
    ignored = shutil.ignore_patterns("__pycache__", "site-packages", "dist-packages", "test", "idlelib", "tkinter")
    # Python finds its library beside itself, so it may stand elsewhere than here: nobody reads a person's folder.
    shutil.copytree(stdlib, root / "usr" / stdlib.parent.name / stdlib.name, ignore=ignored, dirs_exist_ok=True)
    (root / "usr/bin").mkdir(parents=True, exist_ok=True)
    shutil.copy2(python.resolve(), root / "usr/bin" / PYTHON)
    for path in (Path(each) for each in ALONG if Path(each).exists()):
        if path.is_dir():
            shutil.copytree(path, _inside(root, path), dirs_exist_ok=True, ignore_dangling_symlinks=True)
        else:
            _copy(path, root)
    _folders(root)
    for name in NOTHING:
        stub = root / "usr/bin" / name
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.write_text(f'#!/bin/sh\necho "stand-in for {name}: $*"\n', encoding="utf-8")
        stub.chmod(0o755)


def _folders(root: Path) -> None:
    for name in ("tmp", "var/tmp", "proc", "sys", "dev", "run", "opt", "root"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n", encoding="utf-8")
    (root / "etc/group").write_text("root:x:0:\n", encoding="utf-8")
    # Distributions whose /bin is a link to /usr/bin: what was found in one is called in the other.
    for name in ("bin", "sbin", "lib", "lib64"):
        if Path("/", name).is_symlink() and not (root / name).exists():
            (root / name).symlink_to(Path("/", name).readlink())


def libraries(programs: list[Path]) -> set[Path]:
    """Return what the dynamic linker loads for programs and modules, itself included."""
    done = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False)
    return {Path(path) for path in re.findall(r"(?:=> |^\s*)(/\S+) \(0x", done.stdout, re.MULTILINE)}


def _runtime() -> Iterator[Path]:
    """Yield what every base image has of the C library and the compiler's, and wheels rely on."""
    for name in RUNTIME.split():
        for pattern in (f"lib*/{name}", f"lib*/*/{name}"):
            yield from (path for path in Path("/usr").glob(pattern) if path.parent.name != "debug")


def _inside(root: Path, path: Path) -> Path:
    """Return where a path of this machine lies in `root`, below /usr where the machine links there."""
    whole = path.parent.resolve() / path.name
    return root / whole.relative_to("/")


def _copy(path: Path, root: Path) -> None:
    target = _inside(root, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy2(path.resolve(), target)
