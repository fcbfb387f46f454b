"""A train moves from ONNX Runtime to the GPU between two frames, and back when it fails; or stays, and reports why."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.agent.gpu_upgrade import GpuUpgrade, gpu_upgrade
from edge_agent.config import Settings
from edge_agent.errors import FatalError
from edge_agent.events import Severity
from edge_agent.faults import FaultReport, FaultReporter
from edge_agent.perception.detector import OnnxDetector
from edge_agent.perception.detector.tensorrt.bindings import Bindings, GpuUnavailableError, load_bindings
from edge_agent.perception.detector.tensorrt.build_process import BuildProcessError
from edge_agent.perception.detector.tensorrt.build_worker import BuildRequest, build_engine
from edge_agent.perception.detector.tensorrt.detector import PostprocessOptions
from edge_agent.perception.detector.tensorrt.selection import EngineSpec
from edge_agent.perception.vision import CameraPicture
from edge_agent.pipeline import DetectorWorker
from tests.perception.detector.engines import PICTURE, built, tiny
from tests.support.gpu import Gpu


@pytest.fixture(autouse=True)
def one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.agent.gpu_upgrade.sample_pictures", lambda model: [PICTURE])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make engines in a thread: that a child process does it is tried once here, and in tests/detector."""

    async def have_made(order: BuildRequest) -> tuple[Path, bool]:
        try:
            return await asyncio.to_thread(build_engine, order, lambda message: True, load_bindings())
        except FatalError as error:
            raise BuildProcessError(error.message, remedy=error.remedy) from error

    monkeypatch.setattr("edge_agent.agent.gpu_upgrade.build_in_process", have_made)


class Move:
    """A worker on ONNX Runtime, an attempt to move it, and the faults that it reported."""

    def __init__(
        self,
        folder: Path,
        *,
        required: bool = True,
        load: Callable[[], Bindings] = load_bindings,
        model: Path | None = None,
    ) -> None:
        self.model = tiny(folder)
        self.engines = folder / "engines"
        self.faults: list[FaultReport] = []
        self.worker = DetectorWorker(lambda: OnnxDetector(self.model))
        wanted = EngineSpec(model or self.model, "auto", self.engines)
        self.attempt = GpuUpgrade(
            self.worker,
            wanted,
            PostprocessOptions(),
            required=required,
            faults=FaultReporter(self.faults.append, lambda: 1.0),
            load=load,
        )

    async def run(self) -> str:
        """Move, look at two pictures, and return the backend that saw the last one."""
        async with self.worker:
            await self.attempt.run()
            for _ in range(2):
                detections, _ = await self.worker.infer(CameraPicture(PICTURE))
                assert len(detections) == 2
            return self.worker.info.backend

    def codes(self) -> list[str]:
        return [fault.code for fault in self.faults]


async def test_engine_that_was_built_takes_over_and_is_closed_in_the_end(tmp_path: Path, gpu: Gpu) -> None:
    move = Move(tmp_path)
    built(move.model, move.engines)
    assert await move.run() == "tensorrt"
    assert move.faults == []
    assert gpu.left() == {}


async def test_engine_is_built_in_the_background_while_frames_are_seen(tmp_path: Path, gpu: Gpu) -> None:
    move = Move(tmp_path)
    async with move.worker:
        moving = asyncio.create_task(move.attempt.run())
        seen_before = 0
        while not moving.done():
            await move.worker.infer(CameraPicture(PICTURE))
            seen_before += 1
        assert seen_before > 1
        assert move.worker.info.backend == "tensorrt"
        assert len((await move.worker.infer(CameraPicture(PICTURE)))[0]) == 2
    assert gpu.left() == {}


@pytest.mark.parametrize(
    ("fault", "words"),
    [("driver-hangs", "the GPU does not answer within 3 s"), ("driver-crashes", "(signal 6)")],
)
async def test_gpu_that_hangs_or_crashes_at_its_start_costs_the_train_nothing(
    tmp_path: Path, gpu: Gpu, monkeypatch: pytest.MonkeyPatch, fault: str, words: str
) -> None:
    monkeypatch.setattr("edge_agent.perception.detector.tensorrt.trial.TRIAL_S", 3.0)
    gpu.say(fault)
    move = Move(tmp_path)
    assert await move.run() == "onnxruntime"
    assert move.codes() == ["gpu_unavailable"]
    assert words in move.faults[0].message
    assert "dmesg" in move.faults[0].remedy


@pytest.mark.parametrize(("version", "backend"), [("10.3.0.26", "tensorrt"), ("10.13.0.35", "onnxruntime")])
async def test_ready_made_engine_takes_over_where_it_loads_and_is_never_touched(
    tmp_path: Path, gpu: Gpu, version: str, backend: str
) -> None:
    engine = built(tiny(tmp_path), tmp_path / "cache").rename(tmp_path / "m.engine")
    gpu.version(version)
    move = Move(tmp_path, model=engine)
    assert await move.run() == backend
    assert move.codes() == ([] if backend == "tensorrt" else ["engine_unusable"])
    assert engine.exists()
    assert gpu.left() == {}


@pytest.mark.usefixtures("quick")
async def test_damaged_engine_is_built_again_and_takes_over(tmp_path: Path, gpu: Gpu) -> None:
    move = Move(tmp_path)
    engine = built(move.model, move.engines)
    engine.write_bytes(engine.read_bytes()[:-1])
    assert await move.run() == "tensorrt"
    assert [path.name for path in move.engines.glob("*set-aside*")] == [f"{engine.name}.set-aside-1"]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("disagrees", "engine_refused", "disagrees with ONNX Runtime"),
        ("oom", "gpu_memory", "not enough memory"),
        ("no-device", "gpu_unavailable", "finds no GPU"),
        ("old-driver", "gpu_unavailable", "too old"),
    ],
)
async def test_what_does_not_work_is_reported_once_and_the_train_stays_on_onnx_runtime(
    tmp_path: Path, gpu: Gpu, fault: str, code: str, words: str
) -> None:
    move = Move(tmp_path)
    built(move.model, move.engines)
    gpu.say(fault)
    assert await move.run() == "onnxruntime"
    assert move.codes() == [code]
    assert words in move.faults[0].message
    assert "the train drives on ONNX Runtime" in move.faults[0].message
    assert move.faults[0].severity is Severity.DEGRADED
    assert gpu.driver.LIVE == {} if fault in {"disagrees", "oom"} else True


@pytest.mark.usefixtures("quick")
async def test_engine_that_disagrees_is_set_aside(tmp_path: Path, gpu: Gpu) -> None:
    move = Move(tmp_path)
    built(move.model, move.engines)
    gpu.say("disagrees")
    await move.run()
    assert list(move.engines.glob("*.engine")) == []
    assert len(list(move.engines.glob("*set-aside*"))) == 2, "the one that was there and the one built anew"


async def test_engine_that_was_set_aside_three_times_is_not_built_again(tmp_path: Path, gpu: Gpu) -> None:
    move = Move(tmp_path)
    engine = built(move.model, move.engines)
    for number in (1, 2, 3):
        engine.with_name(f"{engine.name}.set-aside-{number}").touch()
    engine.unlink()
    assert await move.run() == "onnxruntime"
    assert move.codes() == ["engine_unusable"]
    assert "rejected 3 times" in move.faults[0].message


@pytest.mark.usefixtures("quick")
async def test_folder_that_cannot_be_written_is_reported(tmp_path: Path, gpu: Gpu) -> None:
    move = Move(tmp_path)
    move.engines.touch()
    assert await move.run() == "onnxruntime"
    assert move.codes() == ["engine_not_built"]
    assert "engines cannot be written to" in move.faults[0].message


async def test_gpu_that_fails_on_a_frame_hands_that_frame_back(tmp_path: Path, gpu: Gpu) -> None:
    move = Move(tmp_path)
    built(move.model, move.engines)
    async with move.worker:
        await move.attempt.run()
        assert move.worker.info.backend == "tensorrt"
        gpu.say("run-fails")
        detections, _ = await move.worker.infer(CameraPicture(PICTURE))
        assert (len(detections), move.worker.info.backend) == (2, "onnxruntime")
    assert move.codes() == ["gpu_failed"]
    assert gpu.left() == {}


async def test_cancelled_move_leaves_nothing_on_the_gpu(
    tmp_path: Path, gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled while the engine is opened in its thread: what comes out of there is closed there."""
    move = Move(tmp_path)
    built(move.model, move.engines)
    looking, go_on = threading.Event(), threading.Event()

    def pictures(model: Path) -> list[object]:
        looking.set()
        go_on.wait(30)
        return [PICTURE]

    monkeypatch.setattr("edge_agent.agent.gpu_upgrade.sample_pictures", pictures)
    async with move.worker:
        moving = asyncio.create_task(move.attempt.run())
        await asyncio.to_thread(looking.wait, 30)
        moving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await moving
        go_on.set()
        move.attempt.join()
        assert gpu.left() == {}
        assert move.worker.info.backend == "onnxruntime"


def _missing(what: str) -> Callable[[], Bindings]:
    def load() -> Bindings:
        raise GpuUnavailableError(f"no {what}", missing=what)

    return load


@pytest.mark.parametrize(
    ("missing", "required", "severities"),
    [
        ("both", False, []),
        ("pycuda", False, [Severity.INFO]),
        ("tensorrt", False, [Severity.INFO]),
        ("both", True, [Severity.DEGRADED]),
    ],
)
async def test_machine_without_tensorrt_is_only_reported_where_it_is_required(
    tmp_path: Path, missing: str, required: bool, severities: list[Severity]
) -> None:
    move = Move(tmp_path, required=required, load=_missing(missing))
    assert await move.run() == "onnxruntime"
    assert [fault.severity for fault in move.faults] == severities


@pytest.mark.parametrize(("backend", "moves"), [("auto", True), ("tensorrt", True), ("onnxruntime", False)])
async def test_settings_say_whether_to_move(tmp_path: Path, backend: str, moves: bool) -> None:
    settings = Settings.model_validate({"detector": {"backend": backend}}, strict=False)
    async with DetectorWorker(lambda: OnnxDetector(tiny(tmp_path))) as worker:
        assert (gpu_upgrade(settings, worker, FaultReporter(lambda report: None, lambda: 0.0)) is not None) is moves
