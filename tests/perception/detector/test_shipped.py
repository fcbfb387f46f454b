"""Which of the shipped files is used."""

import json
from pathlib import Path

import pytest

from edge_agent.perception.detector import SHIPPED_MODEL, open_detector, shipped_model
from edge_agent.runtime import resources
from tests.perception.detector.test_factory import Wanted


def pair(folder: Path, name: str, **manifest: object) -> Path:
    (folder / name).write_bytes(b"a model")
    (folder / name).with_suffix(".json").write_text(json.dumps(manifest))
    return folder / name


def test_shipped_takes_the_numbers_made_from_the_model_of_today(tmp_path: Path) -> None:
    pair(tmp_path, SHIPPED_MODEL, sha256="aa")
    made = pair(tmp_path, "signs-uint8.onnx", sha256="bb", made_from={"sha256": "aa"})
    assert shipped_model(tmp_path, "uint8") == made


@pytest.mark.parametrize("made_from", [{"sha256": "older"}, {}, None, "aa"])
def test_shipped_leaves_behind_what_was_made_from_another_model(tmp_path: Path, made_from: object) -> None:
    base = pair(tmp_path, SHIPPED_MODEL, sha256="aa")
    pair(tmp_path, "signs-uint8.onnx", sha256="bb", made_from=made_from)
    assert shipped_model(tmp_path, "uint8") == base


def test_shipped_without_manifests_is_the_float32_model(tmp_path: Path) -> None:
    for name in (SHIPPED_MODEL, "signs-uint8.onnx"):
        (tmp_path / name).write_bytes(b"a model")
    assert shipped_model(tmp_path, "uint8") == tmp_path / SHIPPED_MODEL
    assert shipped_model(tmp_path, "fp16") == tmp_path / SHIPPED_MODEL


@pytest.mark.parametrize("precision", ["fp16", "int8", "uint8"])
def test_every_precision_that_ships_was_made_from_the_detector_that_ships(precision: str) -> None:
    assert shipped_model(resources.engines_dir(), precision).name == f"signs-{precision}.onnx"


def test_open_detector_runs_integers_on_a_cpu_by_default() -> None:
    assert open_detector(Wanted()).info.model == "signs-uint8.onnx"
