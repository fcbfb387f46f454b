"""The check of GPU, TensorRT and engine."""

from pathlib import Path

import pytest

from edge_agent.config import Settings
from edge_agent.doctor.check import Status
from edge_agent.doctor.system import check_gpu
from edge_agent.perception.detector.tensorrt import bindings
from tests.perception.detector.engines import built, tiny
from tests.support.gpu import Gpu


def settings(folder: Path, backend: str = "auto", model: Path | None = None) -> Settings:
    detector = {"backend": backend, "model": model}
    return Settings.model_validate({"detector": detector, "state": {"directory": folder}}, strict=False)


@pytest.fixture
def device(tmp_path: Path) -> Path:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvidia0").touch()
    return tmp_path


async def test_no_gpu_is_ok_and_is_reported(tmp_path: Path) -> None:
    result = await check_gpu(settings(tmp_path), tmp_path)
    assert result.status is Status.OK
    assert "CPU" in result.message


async def test_no_gpu_where_tensorrt_is_asked_for_warns(tmp_path: Path) -> None:
    assert (await check_gpu(settings(tmp_path, "tensorrt"), tmp_path)).status is Status.WARN


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (set(), "neither TensorRT nor pycuda is installed"),
        ({"tensorrt"}, "TensorRT is installed, but pycuda is not"),
        ({"pycuda"}, "pycuda is installed, but TensorRT is not"),
    ],
)
async def test_gpu_without_its_libraries_warns_and_names_them(
    device: Path, monkeypatch: pytest.MonkeyPatch, there: set[str], words: str
) -> None:
    found = {name: name in there for name in ("tensorrt", "pycuda")}
    monkeypatch.setattr(bindings, "installed", lambda: found)
    result = await check_gpu(settings(device), device)
    assert result.status is Status.WARN
    assert words in result.message
    assert result.remedy


async def test_gpu_that_works_is_reported_with_its_engine(device: Path, gpu: Gpu) -> None:
    model = tiny(device)
    result = await check_gpu(settings(device, model=model), device)
    assert result.status is Status.OK
    assert "Fake Orin, TensorRT 10.3.0.26, CUDA 12.6; no engine yet" in result.message
    engine = built(model, device / "engines")
    assert engine.name in (await check_gpu(settings(device, model=model), device)).message


async def test_driver_that_is_too_old_warns(device: Path, gpu: Gpu) -> None:
    gpu.say("old-driver")
    result = await check_gpu(settings(device), device)
    assert result.status is Status.WARN
    assert "the NVIDIA driver is too old" in result.message


async def test_gpu_that_the_settings_do_not_want_is_not_loaded(device: Path) -> None:
    assert "not used" in (await check_gpu(settings(device, "onnxruntime"), device)).message
