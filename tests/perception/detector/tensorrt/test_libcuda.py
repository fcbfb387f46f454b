"""The calls to the driver library, against a fake that records them."""

import ctypes
from typing import Any

import pytest

from edge_agent.perception.detector.tensorrt.libcuda import CudaGraph, preload, primary_context

_GIVES = {
    "cuStreamEndCapture": 1,
    "cuGraphInstantiateWithFlags": 0,
    "cuDevicePrimaryCtxRetain": 0,
    "cuCtxGetCurrent": 0,
}
"""Which argument of a function points to its result."""


class Libcuda:
    """Returns 0 from every function except those in `refuses`, and records the names of the calls."""

    def __init__(self, *refuses: str) -> None:
        self.calls: list[str] = []
        self._refuses = refuses

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            self.calls.append(name)
            if name in _GIVES:
                ctypes.cast(arguments[_GIVES[name]], ctypes.POINTER(ctypes.c_void_p))[0] = 77
            return 1 if name in self._refuses else 0

        return call


def test_graph_is_recorded_launched_and_released() -> None:
    library = Libcuda()
    graph = CudaGraph(library, 4096)
    assert graph.record(lambda: library.calls.append("work"))
    assert library.calls == [
        "cuStreamBeginCapture_v2",
        "work",
        "cuStreamEndCapture",
        "cuGraphInstantiateWithFlags",
        "cuGraphDestroy",
    ]
    assert graph.launch()
    graph.close()
    graph.close()
    assert library.calls[5:] == ["cuGraphLaunch", "cuGraphExecDestroy"]


@pytest.mark.parametrize("refused", ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags"])
def test_graph_that_the_driver_refuses_is_not_used(refused: str) -> None:
    assert not CudaGraph(Libcuda(refused), 4096).record(lambda: None)


def test_recording_ends_when_the_work_fails() -> None:
    library = Libcuda()

    def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        CudaGraph(library, 4096).record(work)
    assert library.calls == ["cuStreamBeginCapture_v2", "cuStreamEndCapture"]


def test_launch_that_the_driver_refuses_is_reported() -> None:
    graph = CudaGraph(Libcuda("cuGraphLaunch"), 4096)
    graph.record(lambda: None)
    assert not graph.launch()


def test_primary_context_is_held_once_and_released() -> None:
    library = Libcuda()
    with primary_context(library):
        assert library.calls == ["cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain"]
    assert library.calls[3:] == ["cuCtxGetCurrent", "cuCtxPopCurrent_v2", "cuDevicePrimaryCtxRelease_v2"]


@pytest.mark.parametrize("refused", ["cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain"])
def test_primary_context_that_cannot_be_held_is_not_released(refused: str) -> None:
    library = Libcuda(refused)
    with primary_context(library):
        pass
    assert "cuDevicePrimaryCtxRelease_v2" not in library.calls


def test_library_that_is_not_there_is_skipped() -> None:
    assert not preload("libno-such-library.so.1")
    with primary_context(None):
        pass
