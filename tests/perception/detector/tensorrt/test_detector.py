"""An engine behind the Detector port: the same detections as ONNX Runtime, and nothing left on the GPU afterwards."""

import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_agent.errors import FatalError
from edge_agent.perception.detector import OnnxDetector
from edge_agent.perception.detector.tensorrt.bindings import load_bindings
from edge_agent.perception.detector.tensorrt.detector import PostprocessOptions, TensorRtDetector
from edge_agent.perception.detector.tensorrt.engine_file import DamagedEngineError
from edge_agent.perception.detector.tensorrt.session import EngineError, EngineSession, OutOfGpuMemoryError
from edge_agent.perception.vision import OutputLayout
from tests.perception.detector.engines import PICTURE, built, opened, tiny
from tests.perception.detector.models import save_fragile, write_manifest
from tests.support.gpu import Gpu

LAYOUTS = [layout for layout in OutputLayout if layout is not OutputLayout.END_TO_END_BATCH]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_engine_sees_what_onnx_runtime_sees(tmp_path: Path, gpu: Gpu, layout: OutputLayout) -> None:
    model = tiny(tmp_path, layout=layout)
    detector, reference = opened(built(model, tmp_path)), OnnxDetector(model)
    assert detector.infer(PICTURE) == reference.infer(PICTURE) != ()
    assert (detector.info.labels, detector.info.sha256) == (reference.info.labels, reference.info.sha256)
    assert detector.info.backend == "tensorrt"
    detector.close()
    assert gpu.left() == {}


def test_engine_of_a_model_of_any_size_is_built_for_the_size_of_its_manifest(tmp_path: Path, gpu: Gpu) -> None:
    model = tiny(tmp_path, size=("height", "width"), batch="batch")
    sha256 = OnnxDetector(model).info.sha256
    write_manifest(model, sha256, ["a", "b"], input={"width": 96, "height": 64})
    detector = opened(built(model, tmp_path))
    assert (detector.info.input_width, detector.info.input_height) == (96, 64)
    assert len(detector.infer(PICTURE)) == 2
    detector.close()


def test_engine_of_ultralytics_runs_as_it_is(tmp_path: Path, gpu: Gpu) -> None:
    model = tiny(tmp_path, layout=OutputLayout.CHANNELS_FIRST)
    plan = b'FAKEPLAN{"version": "10.3.0.26", "sm": [8, 7]}\n' + model.read_bytes()
    message = json.dumps({"task": "detect", "names": {"0": "a", "1": "b"}, "imgsz": [64, 96], "stride": 32}).encode()
    (tmp_path / "yolo.engine").write_bytes(len(message).to_bytes(4, "little", signed=True) + message + plan)
    detector = opened(tmp_path / "yolo.engine")
    assert detector.infer(PICTURE) == OnnxDetector(model).infer(PICTURE) != ()
    detector.close()
    assert gpu.left() == {}


def test_close_twice_is_once(tmp_path: Path, gpu: Gpu) -> None:
    detector = opened(built(tiny(tmp_path), tmp_path))
    detector.close()
    detector.close()
    assert gpu.left() == {}


def test_engine_that_is_opened_in_a_thread_of_its_own_leaves_no_context_in_another(tmp_path: Path, gpu: Gpu) -> None:
    engine, seen = built(tiny(tmp_path), tmp_path), []

    def work() -> None:
        detector = opened(engine)
        seen.append(detector.infer(PICTURE))
        detector.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(seen[0]) == 2
    assert gpu.left() == {}


def test_second_engine_opens_while_the_first_works(tmp_path: Path, gpu: Gpu) -> None:
    engine = built(tiny(tmp_path), tmp_path)
    first, second = opened(engine), opened(engine)
    assert first.infer(PICTURE) == second.infer(PICTURE)
    second.close()
    first.close()
    assert gpu.left() == {}


def test_network_that_answers_nan_is_a_failure(tmp_path: Path, gpu: Gpu) -> None:
    out = np.full((1, 126, 6), 0.3, np.float32)
    out[..., :4] = 20
    model = save_fragile(tmp_path / "m.onnx", {"out": out}, names="['a', 'b']")
    detector = opened(built(model, tmp_path))
    with pytest.raises(FatalError, match=r"NaN|not a number|finite"):
        detector.infer(np.full((64, 96, 3), 255, np.uint8))
    detector.close()


def test_gpu_that_fails_on_a_frame_is_reported_in_one_line(tmp_path: Path, gpu: Gpu) -> None:
    engine = built(tiny(tmp_path), tmp_path)
    gpu.say("run-fails")
    detector = opened(engine)
    with pytest.raises(EngineError, match="illegal memory access"):
        detector.infer(PICTURE)
    detector.close()
    assert gpu.left() == {}


def test_gpu_without_enough_memory_is_reported_and_keeps_nothing(tmp_path: Path, gpu: Gpu) -> None:
    engine = built(tiny(tmp_path), tmp_path)
    gpu.say("oom")
    with pytest.raises(OutOfGpuMemoryError, match="not enough memory"):
        opened(engine)
    assert gpu.left() == {}


def test_engine_of_another_version_is_refused_with_the_loggers_reason(tmp_path: Path, gpu: Gpu) -> None:
    engine = built(tiny(tmp_path), tmp_path)
    gpu.version("10.13.0.35")
    with pytest.raises(EngineError, match="not compatible with this version of TensorRT"):
        opened(engine)
    assert gpu.left() == {}


def test_engine_that_was_cut_short_never_reaches_tensorrt(tmp_path: Path, gpu: Gpu) -> None:
    engine = built(tiny(tmp_path), tmp_path)
    engine.write_bytes(engine.read_bytes()[:-1])
    with pytest.raises(DamagedEngineError, match="bytes of engine instead of"):
        opened(engine)


def test_session_of_a_file_that_is_no_engine_is_refused_and_keeps_nothing(gpu: Gpu) -> None:
    with pytest.raises(EngineError, match="magic tag"):
        EngineSession(load_bindings(), b"nonsense", (1, 3, 64, 96))
    assert gpu.left() == {}


def test_session_of_another_shape_is_refused_and_keeps_nothing(tmp_path: Path, gpu: Gpu) -> None:
    onnx = tiny(tmp_path).read_bytes()
    plan = b'FAKEPLAN{"version": "10.3.0.26", "sm": [8, 7]}\n' + onnx
    with pytest.raises(EngineError, match="does not accept"):
        EngineSession(load_bindings(), plan, (1, 3, 32, 32))
    assert gpu.left() == {}


def test_frames_are_launches_of_a_graph_where_the_driver_records_one(
    tmp_path: Path, gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fake's graph calls the work again, as the real one does on the GPU."""
    launched = []

    class Replayed:
        def __init__(self, library: object, stream: int) -> None:
            launched.append("made")

        def record(self, work: Callable[[], None]) -> bool:
            self._work = work
            work()
            return True

        def launch(self) -> bool:
            launched.append("launch")
            self._work()
            return True

        def close(self) -> None:
            launched.append("closed")

    model = tiny(tmp_path)
    engine, bindings = built(model, tmp_path), dataclasses.replace(load_bindings(), libcuda=_Refusing())
    monkeypatch.setattr("edge_agent.perception.detector.tensorrt.session.CudaGraph", Replayed)
    detector = TensorRtDetector(engine, bindings, PostprocessOptions())
    assert detector.uses_cuda_graph
    assert detector.infer(PICTURE) == OnnxDetector(model).infer(PICTURE)
    detector.close()
    assert launched == ["made", "launch", "launch", "closed"]
    assert gpu.left() == {}


class _Refusing:
    """A libcuda whose every call fails."""

    def __getattr__(self, name: str) -> Callable[..., int]:
        return lambda *arguments: 1


def test_engine_whose_graph_is_refused_runs_without_it(tmp_path: Path, gpu: Gpu) -> None:
    model = tiny(tmp_path)
    engine, bindings = built(model, tmp_path), dataclasses.replace(load_bindings(), libcuda=_Refusing())
    detector = TensorRtDetector(engine, bindings, PostprocessOptions())
    assert not detector.uses_cuda_graph
    assert len(detector.infer(PICTURE)) == 2
    detector.close()
    assert gpu.left() == {}
