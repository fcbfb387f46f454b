"""Each way in which TensorRT, pycuda, the driver or the GPU may be missing: one line, and ONNX Runtime instead."""

import importlib.util
from pathlib import Path

import pytest

from edge_agent.perception.detector.tensorrt.bindings import GpuUnavailableError, gpu_platform, load_bindings
from tests.support.gpu import Gpu


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Hide the packages whose names are added."""
    names: set[str] = set()
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in names else find(name))
    return names


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ({"tensorrt"}, "pycuda is installed, but TensorRT is not"),
        ({"pycuda"}, "TensorRT is installed, but pycuda is not"),
        ({"tensorrt", "pycuda"}, "neither TensorRT nor pycuda is installed"),
    ],
)
def test_missing_package_is_named(gpu: Gpu, hidden: set[str], missing: set[str], words: str) -> None:
    hidden |= missing
    with pytest.raises(GpuUnavailableError, match=words) as caught:
        load_bindings()
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no-device", "finds no GPU"),
        ("old-driver", r"too old: it supports CUDA 11\.8, pycuda was built for 12\.6"),
        ("dead-driver", r"does not start .cuInit failed"),
    ],
)
def test_driver_that_does_not_work_is_reported(gpu: Gpu, fault: str, words: str) -> None:
    gpu.say(fault)
    with pytest.raises(GpuUnavailableError, match=words):
        load_bindings()


@pytest.mark.parametrize("version", ["8.6.1", "10.2.0", "12.0.1"])
def test_tensorrt_that_is_not_supported_is_refused(gpu: Gpu, version: str) -> None:
    gpu.version(version)
    with pytest.raises(GpuUnavailableError, match="not supported"):
        load_bindings()


@pytest.mark.parametrize("version", ["10.3.0", "10.13.0.35", "11.4.0.106"])
def test_tensorrt_from_10_3_to_11_is_taken(gpu: Gpu, version: str) -> None:
    gpu.version(version)
    assert gpu_platform(load_bindings()).tensorrt == version


def test_pycuda_without_a_driver_is_reported(gpu: Gpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "pycuda"
    broken.mkdir()
    (broken / "__init__.py").touch()
    (broken / "driver.py").write_text("raise ImportError('libcuda.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(GpuUnavailableError, match=r"no NVIDIA driver .libcuda\.so\.1"):
        load_bindings()


def test_machine_is_identified_with_its_jetson_linux(gpu: Gpu, tmp_path: Path) -> None:
    release = tmp_path / "nv_tegra_release"
    release.write_text("# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n")
    machine = gpu_platform(load_bindings(), release)
    assert (machine.gpu, machine.sm, machine.l4t) == ("Fake Orin", 87, "R36.4.3")
    assert gpu_platform(load_bindings(), tmp_path / "none").l4t == ""
