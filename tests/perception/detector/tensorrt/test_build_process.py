"""Engines are built in a child process, once, and a failure there affects nothing but the engine."""

import asyncio
import json
from pathlib import Path

import pytest

from edge_agent.errors import ConfigError, FatalError
from edge_agent.perception.detector.tensorrt.bindings import load_bindings
from edge_agent.perception.detector.tensorrt.build_process import BuildProcessError, build_in_process
from edge_agent.perception.detector.tensorrt.build_worker import build_engine
from edge_agent.perception.detector.tensorrt.builder import BuildError, BuildStoppedError, build
from edge_agent.perception.detector.tensorrt.cache import TIMINGS, EngineCache
from edge_agent.perception.detector.tensorrt.engine_file import read_engine_info
from edge_agent.perception.detector.tensorrt.selection import open_source
from tests.perception.detector.engines import build_in_child, built, request, tiny
from tests.support.gpu import Gpu


def test_engine_is_built_in_a_child_process_and_found_the_second_time(tmp_path: Path, gpu: Gpu) -> None:
    model = tiny(tmp_path)
    engine, fresh = build_in_child(model, tmp_path / "engines")
    assert fresh
    engine_info = read_engine_info(engine)
    assert engine_info.key is not None
    assert (engine_info.model, engine_info.labels, engine_info.key.machine.gpu) == ("m.onnx", ("a", "b"), "Fake Orin")
    assert (tmp_path / "engines" / TIMINGS).exists()
    assert build_in_child(model, tmp_path / "engines") == (engine, False)


def test_engine_is_rebuilt_for_another_tensorrt(tmp_path: Path, gpu: Gpu) -> None:
    model = tiny(tmp_path)
    first = built(model, tmp_path)
    gpu.version("10.13.0.35")
    second = built(model, tmp_path)
    assert first != second
    assert first.exists()


async def test_two_agents_build_the_same_engine_once(tmp_path: Path, gpu: Gpu) -> None:
    model = tiny(tmp_path)
    wanted = request(model, tmp_path / "engines")
    (one, fresh_one), (other, fresh_other) = await asyncio.gather(build_in_process(wanted), build_in_process(wanted))
    assert one == other
    assert {fresh_one, fresh_other} == {True, False}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("build-fails", r"cannot be built: Could not find any implementation for node \{ForeignNode"),
        ("unsupported", "cannot read the model at the operator GridSample: Plugin not found"),
        ("half-runtime", "builder does not start"),
    ],
)
def test_build_that_fails_is_reported_in_one_line(tmp_path: Path, gpu: Gpu, fault: str, words: str) -> None:
    gpu.say(fault)
    with pytest.raises(BuildError, match=words) as caught:
        built(tiny(tmp_path), tmp_path / "engines")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "engines").glob("*.engine"))


async def test_failure_in_the_child_is_reported_with_the_childs_message(tmp_path: Path, gpu: Gpu) -> None:
    gpu.say("build-fails")
    with pytest.raises(BuildProcessError, match=r"Could not find any implementation .*; see docs/engines\.md"):
        await build_in_process(request(tiny(tmp_path), tmp_path / "engines"))


async def test_build_that_crashes_is_reported_and_leaves_no_engine(tmp_path: Path, gpu: Gpu) -> None:
    gpu.say("build-crashes")
    with pytest.raises(BuildProcessError, match="killed by signal 6"):
        await build_in_process(request(tiny(tmp_path), tmp_path / "engines"))
    assert not list((tmp_path / "engines").glob("*.engine"))


def test_folder_that_cannot_be_written_is_reported_in_one_line(tmp_path: Path, gpu: Gpu) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FatalError, match="Not a directory; set CACHE_DIRECTORY"):
        built(tiny(tmp_path), tmp_path / "file" / "engines")


async def test_cancelled_build_ends_its_child_and_leaves_no_engine(tmp_path: Path, gpu: Gpu) -> None:
    gpu.say("build-hangs")
    progressed = asyncio.Event()
    building = asyncio.create_task(
        build_in_process(request(tiny(tmp_path), tmp_path / "engines"), progress=lambda share, phase: progressed.set())
    )
    await progressed.wait()
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert not list((tmp_path / "engines").glob("*.engine"))


def test_model_that_onnx_runtime_refuses_is_not_built(tmp_path: Path, gpu: Gpu) -> None:
    (tmp_path / "m.onnx").write_bytes(b"nonsense")
    with pytest.raises(ConfigError, match="not a model"):
        built(tmp_path / "m.onnx", tmp_path)


def test_damaged_engine_in_the_cache_is_set_aside_and_rebuilt(tmp_path: Path, gpu: Gpu) -> None:
    model = tiny(tmp_path)
    engine = built(model, tmp_path)
    engine.write_bytes(engine.read_bytes()[:-9])
    assert build_engine(request(model, tmp_path), lambda message: True, load_bindings()) == (engine, True)
    assert len(list(tmp_path.glob("*.set-aside-1"))) == 1


def test_progress_grows_to_the_end(tmp_path: Path, gpu: Gpu) -> None:
    seen: list[float] = []
    model = tiny(tmp_path).read_bytes()
    build(load_bindings().trt, model, (1, 3, 64, 96), progress=lambda phase, share: seen.append(share) or True)
    assert seen == [0.5, 1.0]


def test_build_stops_when_the_callback_says_so(tmp_path: Path, gpu: Gpu) -> None:
    model = tiny(tmp_path).read_bytes()
    with pytest.raises(BuildStoppedError):
        build(load_bindings().trt, model, (1, 3, 64, 96), progress=lambda phase, share: False)


def test_timing_cache_of_another_machine_is_not_used(tmp_path: Path, gpu: Gpu) -> None:
    built = build(load_bindings().trt, tiny(tmp_path).read_bytes(), (1, 3, 64, 96), timings=b"foreign")
    assert built.timings == b"timings"


def test_precision_auto_takes_fp16_where_it_lies_beside_the_model(tmp_path: Path) -> None:
    model = tiny(tmp_path)
    assert open_source(model, "auto").precision == "fp32"
    tiny(tmp_path, "m-fp16.onnx")
    assert open_source(model, "auto").path == tmp_path / "m-fp16.onnx"
    assert open_source(model, "fp32").path == model
    with pytest.raises(ConfigError, match=r"no m-int8\.onnx"):
        open_source(model, "int8")


def test_engines_of_two_precisions_live_side_by_side(tmp_path: Path, gpu: Gpu) -> None:
    model = tiny(tmp_path)
    tiny(tmp_path, "m-fp16.onnx", size=(64, 96), metadata={"author": "another file"})
    for precision in ("fp32", "fp16"):
        build_engine(request(model, tmp_path, precision), lambda message: True, load_bindings())
    found = {
        engine_info.key.precision
        for _, engine_info in EngineCache(tmp_path).engines()
        if engine_info and engine_info.key
    }
    assert found == {"fp32", "fp16"}


def test_messages_of_the_worker_are_one_json_object_a_line(tmp_path: Path, gpu: Gpu) -> None:
    lines: list[str] = []
    build_engine(
        request(tiny(tmp_path), tmp_path),
        lambda message: bool(lines.append(json.dumps(message)) or True),
        load_bindings(),
    )
    assert all("\n" not in line for line in lines)
    assert json.loads(lines[-1])["progress"] == 1.0
