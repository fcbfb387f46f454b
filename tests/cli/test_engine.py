"""`edge-agent engine build|info|list|verify`, on the fake GPU."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edge_agent.cli.program import COMMANDS, build
from edge_agent.errors import EdgeAgentError
from tests.perception.detector.engines import built, tiny
from tests.support.gpu import Gpu, gpu

app = build(COMMANDS)

__all__ = ["gpu"]


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def failure(*words: object) -> EdgeAgentError:
    """Return the failure that the program would print in one line."""
    error = call(*words).exception
    assert isinstance(error, EdgeAgentError), error
    assert "\n" not in str(error)
    return error


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """One grey picture; the models of these tests answer the same to all."""
    import cv2  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    folder = tmp_path / "frames"
    folder.mkdir()
    cv2.imwrite(str(folder / "1.png"), np.full((64, 96, 3), 90, np.uint8))
    return folder


def test_build_makes_an_engine_that_agrees_and_finds_it_again(tmp_path: Path, gpu: Gpu, frames: Path) -> None:
    model, cache = tiny(tmp_path), tmp_path / "cache"
    words = ("engine", "build", model, "--cache", cache, "--frames", frames, "--json")
    first, second = json.loads(call(*words).stdout), json.loads(call(*words).stdout)
    assert (first["built"], second["built"]) == (True, False)
    assert first["engine"] == second["engine"]
    assert (first["pictures"], first["pairs"], first["worst_iou"]) == (1, 2, 1.0)
    assert gpu.left() == {}


def test_build_that_disagrees_fails_and_is_set_aside(tmp_path: Path, gpu: Gpu, frames: Path) -> None:
    gpu.say("disagrees")
    cache = tmp_path / "cache"
    error = failure("engine", "build", tiny(tmp_path), "--cache", cache, "--frames", frames)
    assert "disagrees with ONNX Runtime" in str(error)
    assert list(cache.glob("*.engine")) == []
    assert len(list(cache.glob("*.set-aside-1"))) == 1


def test_info_shows_what_an_engine_was_built_for(tmp_path: Path, gpu: Gpu) -> None:
    engine = built(tiny(tmp_path), tmp_path)
    facts = json.loads(call("engine", "info", engine, "--json").stdout)
    assert facts["whole"] is True
    assert facts["for"] == "TensorRT 10.3.0.26 on Fake Orin (SM 87), fp32"
    assert facts["labels"] == ["a", "b"]


def test_info_of_a_damaged_engine_fails(tmp_path: Path, gpu: Gpu) -> None:
    engine = built(tiny(tmp_path), tmp_path)
    engine.write_bytes(engine.read_bytes()[:-5])
    assert "is not a complete engine" in str(failure("engine", "info", engine))


def test_info_describes_a_model(tmp_path: Path) -> None:
    facts = json.loads(call("engine", "info", tiny(tmp_path), "--json").stdout)
    assert (facts["input"], facts["output"], facts["labels"]) == ("96x64", "channels_last", ["a", "b"])


def test_list_shows_models_and_engines(tmp_path: Path, gpu: Gpu) -> None:
    model = tiny(tmp_path)
    engine = built(model, tmp_path / "cache")
    words = ("engine", "list", "--engines", tmp_path, "--cache", tmp_path / "cache")
    assert [one["engine"] for one in json.loads(call(*words, "--json").stdout)["engines"]] == [engine.name]
    assert "TensorRT 10.3.0.26 on Fake Orin" in call(*words).stdout


def test_verify_compares_with_the_model_that_it_was_built_from(tmp_path: Path, gpu: Gpu, frames: Path) -> None:
    model, cache = tiny(tmp_path), tmp_path / "cache"
    words = ("engine", "verify", "--model", model, "--cache", cache, "--frames", frames)
    assert "run `edge-agent engine build`" in str(failure(*words))
    built(model, cache)
    assert "2 signs in 1 pictures" in call(*words).stdout
    gpu.say("disagrees")
    assert "disagrees" in str(failure(*words))


def test_verify_without_the_model_says_what_to_name(tmp_path: Path, gpu: Gpu, frames: Path) -> None:
    engine = built(tiny(tmp_path), tmp_path / "cache")
    (tmp_path / "m.onnx").unlink()
    assert "name it with --model" in str(failure("engine", "verify", engine, "--frames", frames))


def test_engine_cannot_be_built_from_an_engine(tmp_path: Path, gpu: Gpu) -> None:
    engine = built(tiny(tmp_path), tmp_path)
    assert "name the ONNX file" in str(failure("engine", "build", engine))


def test_build_without_tensorrt_says_how_to_get_it(tmp_path: Path) -> None:
    error = failure("engine", "build", tiny(tmp_path), "--cache", tmp_path / "cache")
    assert "neither TensorRT nor pycuda is installed" in str(error)
    assert "pip install '.[tensorrt]'" in str(error)
