"""The cache of built engines: found by their full key, written atomically, renamed when they are rejected.

Nothing is ever deleted: an engine that does not load may be evidence.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edge_agent.errors import ConfigError, FatalError
from edge_agent.perception.detector.tensorrt import engine_file
from edge_agent.runtime import resources
from edge_agent.runtime.files import write_atomic

REJECTED_SUFFIX = ".set-aside"
TIMINGS = "timings.cache"
"""TensorRT's timings of single layers, which speed up the next build of a similar network."""


def cache_dir(environ: Mapping[str, str], state: Path | None = None) -> Path:
    """Return the folder of engines: in `CACHE_DIRECTORY`, else in the agent's state folder (`state`, or by `environ`).

    systemd sets `CACHE_DIRECTORY` for `CacheDirectory=` (several joined by colons; the first is ours), and our
    containers do.
    """
    systemd = environ.get("CACHE_DIRECTORY", "").split(":")[0]
    folder = Path(systemd) if systemd else state or resources.state_dir(environ)
    return folder / "engines"


class EngineCache:
    """The engines in one folder, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: engine_file.EngineKey, model: str) -> Path:
        """Return the path of the engine of `model` for `key`, whether or not it exists."""
        return self.folder / key.file_name(model)

    def find(self, key: engine_file.EngineKey, model: str) -> Path | None:
        """Return the file of a complete engine for exactly this key, or None; a damaged one is set aside."""
        path = self.path(key, model)
        try:
            engine_info, _ = engine_file.read_engine(path)
        except engine_file.DamagedEngineError:
            set_aside(path)
            return None
        except ConfigError:  # it does not exist, or cannot be read
            return None
        if engine_info.key != key:
            set_aside(path)
            return None
        return path

    def refused(self, key: engine_file.EngineKey, model: str) -> int:
        """Return how many times an engine of this key was set aside."""
        path = self.path(key, model)
        return sum(1 for _ in path.parent.glob(f"{path.name}{REJECTED_SUFFIX}-*"))

    def store(self, engine: bytes, engine_info: engine_file.EngineInfo) -> Path:
        """Write an engine atomically; raises FatalError naming the file when that fails."""
        if engine_info.key is None:
            raise FatalError(f"the engine of {engine_info.model} has no key")
        path = self.path(engine_info.key, engine_info.model)
        write_atomic(path, engine_file.pack(engine, engine_info))
        return path

    @contextmanager
    def building(self, key: engine_file.EngineKey, model: str) -> Iterator[None]:
        """Lock the build of this engine; a second process blocks here, and then finds the engine built.

        Raises FatalError when the folder cannot be written.
        """
        path = self.path(key, model).with_suffix(".lock")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise FatalError(
                f"engines cannot be written to {self.folder}: {error.strerror}",
                remedy="set CACHE_DIRECTORY or state.directory to a writable folder",
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # the kernel releases it when the process ends
            yield
        finally:
            os.close(handle)

    def engines(self) -> Iterator[tuple[Path, engine_file.EngineInfo | None]]:
        """Yield the cached engines with their descriptions; None for one that cannot be read."""
        for path in sorted(self.folder.glob("*.engine")):
            try:
                yield path, engine_file.read_engine_info(path)
            except (engine_file.DamagedEngineError, ConfigError):
                yield path, None

    def timings(self) -> bytes:
        """Return TensorRT's timing cache; empty when there is none."""
        try:
            return (self.folder / TIMINGS).read_bytes()
        except OSError:
            return b""

    def store_timings(self, content: bytes) -> None:
        """Store the timing cache for the next build; raises FatalError when that fails."""
        write_atomic(self.folder / TIMINGS, content)


def set_aside(path: Path) -> Path | None:
    """Rename a rejected engine, so that it is built again; return None when that fails."""
    for number in range(1, 1000):
        target = path.with_name(f"{path.name}{REJECTED_SUFFIX}-{number}")
        if not target.exists():
            try:
                return path.rename(target)
            except OSError:  # a read-only folder: the engine stays, and is rejected again next time
                return None
    return None
