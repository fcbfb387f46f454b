"""The folder in which built engines are kept: found by their full key, written whole, set aside when they are no good.

Knows files and locks. Knows nothing of TensorRT. Nothing is ever deleted here: what does not load may be evidence.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edge_agent.errors import ConfigError, FatalError
from edge_agent.perception.detector.tensorrt.engine_file import (
    DamagedEngineError,
    EngineInfo,
    EngineKey,
    pack,
    read_about,
    read_engine,
)
from edge_agent.runtime import resources
from edge_agent.runtime.files import write_atomic

ASIDE = ".set-aside"
TIMINGS = "timings.cache"
"""TensorRT's measurements of single layers, which make the next build of a similar network quicker."""


def cache_dir(environ: Mapping[str, str], state: Path | None = None) -> Path:
    """Return where engines are kept.

    `CACHE_DIRECTORY` is what systemd sets for `CacheDirectory=` (several are joined by colons; the first is ours), and
    our containers too; else below the agent's state, which `state` or the environment names.
    """
    systemd = environ.get("CACHE_DIRECTORY", "").split(":")[0]
    folder = Path(systemd) if systemd else state or resources.state_dir(environ)
    return folder / "engines"


class EngineCache:
    """Engines in one folder, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: EngineKey, model: str) -> Path:
        """Return where the engine of `model` for `key` lies, whether or not it exists."""
        return self.folder / key.file_name(model)

    def find(self, key: EngineKey, model: str) -> Path | None:
        """Return the file of a whole engine for exactly this key; a damaged one is set aside and counts as none."""
        path = self.path(key, model)
        try:
            about, _ = read_engine(path)
        except DamagedEngineError:
            set_aside(path)
            return None
        except ConfigError:  # not there, or not readable for us
            return None
        if about.key != key:
            set_aside(path)
            return None
        return path

    def refused(self, key: EngineKey, model: str) -> int:
        """Count how often an engine of this key was set aside."""
        path = self.path(key, model)
        return sum(1 for _ in path.parent.glob(f"{path.name}{ASIDE}-*"))

    def store(self, engine: bytes, about: EngineInfo) -> Path:
        """Write an engine whole or not at all; raises FatalError naming the file when the disk refuses."""
        if about.key is None:
            raise FatalError(f"the engine of {about.model} has no key")
        path = self.path(about.key, about.model)
        write_atomic(path, pack(engine, about))
        return path

    @contextmanager
    def building(self, key: EngineKey, model: str) -> Iterator[None]:
        """Hold the right to build this engine; whoever comes second waits here and finds it built.

        The lock is the kernel's and goes with the process that holds it. Raises FatalError when the folder refuses.
        """
        path = self.path(key, model).with_suffix(".lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise FatalError(
                f"engines cannot be kept in {self.folder}: {error.strerror}",
                remedy="set CACHE_DIRECTORY or state.directory to a folder that the agent may write to",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def engines(self) -> Iterator[tuple[Path, EngineInfo | None]]:
        """List what is kept, each with what it says of itself; None where it says nothing that can be read."""
        for path in sorted(self.folder.glob("*.engine")):
            try:
                yield path, read_about(path)
            except (DamagedEngineError, ConfigError):
                yield path, None

    def timings(self) -> bytes:
        """Return TensorRT's timing cache; empty where there is none."""
        try:
            return (self.folder / TIMINGS).read_bytes()
        except OSError:
            return b""

    def keep_timings(self, content: bytes) -> None:
        """Keep the timing cache for the next build; raises FatalError when the disk refuses."""
        write_atomic(self.folder / TIMINGS, content)


def set_aside(path: Path) -> Path | None:
    """Rename an engine that is no good, so that it is built anew; None where that cannot be done."""
    for number in range(1, 1000):
        target = path.with_name(f"{path.name}{ASIDE}-{number}")
        if not target.exists():
            try:
                return path.rename(target)
            except OSError:  # a read-only folder: the engine stays, and is refused again next time
                return None
    return None
