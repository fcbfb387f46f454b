"""What takes long to build is kept, under a hash of everything that it is built from."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

KEPT_OF_A_KIND = 4
"""An image has a gigabyte, and each change of the program makes a new one."""


def folder() -> Path:
    """Return the folder for everything built, in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edge-agent-device"


def key(parts: Iterable[bytes]) -> str:
    """Return a hash of parts, whose borders count too."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]


def kept(kind: str, parts: Iterable[bytes], make: Callable[[Path], None], *, where: Path | None = None) -> Path:
    """Return the folder of this kind and these parts; `make` fills it where it is not there yet.

    What `make` leaves behind when it fails is removed. Two processes never build the same at once.
    """
    home = where or folder()
    home.mkdir(parents=True, exist_ok=True)
    path = home / f"{kind}-{key(parts)}"
    with (home / f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            fresh = Path(tempfile.mkdtemp(prefix=f".{kind}-", dir=home))
            fresh.chmod(0o755)
            try:
                make(fresh)
                fresh.rename(path)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        os.utime(path)
        for old in sorted(home.glob(f"{kind}-*"), key=lambda one: one.stat().st_mtime)[:-KEPT_OF_A_KIND]:
            shutil.rmtree(old)
    return path
