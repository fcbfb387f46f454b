"""Which detector the settings select."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edge_agent.config import Settings
from edge_agent.errors import ConfigError, FatalError
from edge_agent.perception.detector import SHIPPED_MODEL, open_detector, open_fastest
from edge_agent.perception.detector.tensorrt.bindings import GpuUnavailableError
from edge_agent.perception.detector.tensorrt.selection import NoEngineError
from edge_agent.perception.vision import OutputLayout
from edge_agent.runtime import resources
from edge_agent.signs import LABELS
from tests.perception.detector.engines import built, tiny
from tests.perception.detector.models import outputs_for, save
from tests.support.gpu import Gpu


@dataclass(frozen=True)
class Wanted:
    backend: str = "auto"
    model: Path | None = None
    precision: str = "auto"
    threshold: float | None = None
    iou: float = 0.5
    threads: int = 0
    max_detections: int = 100


@pytest.mark.parametrize("backend", ["auto", "onnxruntime"])
def test_open_detector_own_model_runs_on_onnx_runtime(tmp_path: Path, backend: str) -> None:
    model = save(
        tmp_path / "m.onnx", outputs_for(OutputLayout.END_TO_END, [(1, 2, 9, 8, 0.9, 1)], 2), names="['a', 'b']"
    )
    detector = open_detector(Wanted(backend, model))
    assert detector.info.backend == "onnxruntime"
    assert [d.label for d in detector.infer(np.zeros((64, 96, 3), np.uint8))] == ["b"]


def test_open_detector_takes_the_settings_of_the_agent(tmp_path: Path) -> None:
    model = save(tmp_path / "m.onnx", outputs_for(OutputLayout.END_TO_END, [], 2), names="['a', 'b']")
    settings = Settings().detector.model_copy(update={"model": model})
    assert open_detector(settings).info.labels == ("a", "b")


def test_open_detector_none_sees_nothing() -> None:
    detector = open_detector(Wanted("none"))
    assert detector.info.labels == LABELS
    assert detector.infer(np.full((400, 600, 3), 255, np.uint8)) == ()
    detector.close()


def test_open_detector_starts_on_onnx_runtime_where_tensorrt_is_asked_for(tmp_path: Path) -> None:
    model = save(tmp_path / "m.onnx", outputs_for(OutputLayout.END_TO_END, [], 2), names="['a', 'b']")
    assert open_detector(Wanted("tensorrt", model)).info.backend == "onnxruntime"


def test_open_fastest_takes_onnx_runtime_where_there_is_no_tensorrt(tmp_path: Path) -> None:
    model = save(tmp_path / "m.onnx", outputs_for(OutputLayout.END_TO_END, [], 2), names="['a', 'b']")
    assert open_fastest(Wanted("auto", model), tmp_path).info.backend == "onnxruntime"
    with pytest.raises(GpuUnavailableError):
        open_fastest(Wanted("tensorrt", model), tmp_path)


def test_open_fastest_takes_the_engine_that_was_built(tmp_path: Path, gpu: Gpu) -> None:
    model = tiny(tmp_path)
    assert open_fastest(Wanted("auto", model), tmp_path).info.backend == "onnxruntime"
    with pytest.raises(NoEngineError, match="engine build"):
        open_fastest(Wanted("tensorrt", model), tmp_path)
    built(model, tmp_path)
    detector = open_fastest(Wanted("auto", model), tmp_path)
    assert detector.info.backend == "tensorrt"
    detector.close()


def test_gpu_that_hangs_at_its_start_is_left_alone_within_a_limit(
    tmp_path: Path, gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.perception.detector.tensorrt.trial.TRIAL_S", 3.0)
    model = tiny(tmp_path)
    engine = built(model, tmp_path / "cache").rename(tmp_path / "alone.engine")
    gpu.say("driver-hangs")
    assert open_fastest(Wanted("auto", model), tmp_path).info.backend == "onnxruntime"
    with pytest.raises(FatalError, match="does not answer within 3 s"):
        open_fastest(Wanted("tensorrt", model), tmp_path)
    with pytest.raises(ConfigError, match="does not answer within 3 s"):
        open_detector(Wanted("auto", engine))


def test_model_that_is_an_engine_runs_without_its_onnx_file(tmp_path: Path, gpu: Gpu) -> None:
    engine = built(tiny(tmp_path), tmp_path / "engines").rename(tmp_path / "own.engine")
    detector = open_detector(Wanted("auto", engine))
    assert detector.info.backend == "tensorrt"
    detector.close()
    gpu.version("10.13.0.35")
    with pytest.raises(ConfigError, match="not compatible"):
        open_detector(Wanted("auto", engine))


def test_model_that_is_an_engine_starts_on_the_onnx_file_beside_it(tmp_path: Path, gpu: Gpu) -> None:
    model = tiny(tmp_path)
    engine = built(model, tmp_path / "engines").rename(tmp_path / "m.engine")
    assert open_detector(Wanted("auto", engine)).info.backend == "onnxruntime"


def test_open_detector_shipped_model_without_manifest_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / SHIPPED_MODEL, outputs_for(OutputLayout.END_TO_END, [], 2), names="['a', 'b']")
    monkeypatch.setattr(resources, "engines_dir", lambda: tmp_path)
    with pytest.raises(ConfigError, match="manifest"):
        open_detector(Wanted())
