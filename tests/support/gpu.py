"""A machine with a GPU that is none: `tensorrt` and `pycuda` by the fakes in fake_gpu/, here and in child processes."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from edge_agent.perception.detector.tensorrt import bindings

FAKES = Path(__file__).parent / "fake_gpu"
_NAMES = ("tensorrt", "pycuda", "pycuda.driver")


class Gpu:
    """The fake machine; `say` makes it fail in the ways that the fakes' docstrings list."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def say(self, words: str) -> None:
        self._monkeypatch.setenv("FAKE_GPU", words)

    def version(self, version: str) -> None:
        """Install another TensorRT, here and in children."""
        self._monkeypatch.setenv("FAKE_TRT_VERSION", version)
        _forget()

    @property
    def driver(self) -> ModuleType:
        bindings.load_bindings()
        return sys.modules["pycuda.driver"]

    def left(self) -> dict[str, int]:
        """Tell what is still held on the GPU."""
        return dict(self.driver.LIVE)


def _forget() -> None:
    for name in _NAMES:
        sys.modules.pop(name, None)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gpu]:
    _forget()
    monkeypatch.syspath_prepend(FAKES)
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKES), str(root)]))
    monkeypatch.delenv("FAKE_GPU", raising=False)
    monkeypatch.delenv("FAKE_TRT_VERSION", raising=False)
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    monkeypatch.setattr(bindings, "load_libcuda", lambda: None)
    yield Gpu(monkeypatch)
    _forget()
