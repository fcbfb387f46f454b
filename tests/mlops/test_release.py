"""Manifest and promotion: the old model is kept, a mismatched pair is refused."""

import hashlib
import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from edge_agent.errors import ConfigError
from edge_agent.mlops import release
from edge_agent.mlops.export import Exported
from edge_agent.mlops.network import Architecture
from edge_agent.perception.detector.manifest import read_manifest
from edge_agent.signs import LABELS


def pair_in(folder: Path, content: bytes) -> Path:
    exported = Exported(content, {}, 0.0, 1e-4, 1e-6)
    origin = release.Provenance("edge-agent train", 10, [{"seed": 1}], "2.13.0", "abc")
    described = release.manifest(
        "signs.onnx", exported, Architecture(), size=(640, 480), threshold=0.4, provenance=origin
    )
    return release.write(folder, exported, described)


def test_manifest_is_read_by_the_agent(tmp_path: Path) -> None:
    model = pair_in(tmp_path, b"weights")
    read = read_manifest(model, hashlib.sha256(b"weights").hexdigest())
    assert read is not None
    assert (read.labels, read.threshold, read.input_width, read.input_height) == (LABELS, 0.4, 640, 480)


def test_promote_replaces_and_keeps_the_old_pair(tmp_path: Path) -> None:
    engines = tmp_path / "engines"
    pair_in(engines, b"old")
    kept = release.promote(pair_in(tmp_path / "run", b"new"), engines)
    assert (engines / "signs.onnx").read_bytes() == b"new"
    assert kept is not None
    assert kept.read_bytes() == b"old"
    for model, content in ((engines / "signs.onnx", b"new"), (kept, b"old")):
        assert read_manifest(model, hashlib.sha256(content).hexdigest()) is not None


def test_promote_into_an_empty_folder_backs_up_nothing(tmp_path: Path) -> None:
    assert release.promote(pair_in(tmp_path / "run", b"new"), tmp_path / "engines") is None
    assert (tmp_path / "engines" / "signs.onnx").read_bytes() == b"new"


def test_promote_mismatched_pair_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    engines = tmp_path / "engines"
    pair_in(engines, b"old")
    model = pair_in(tmp_path / "run", b"new")
    model.write_bytes(b"other")
    with pytest.raises(ConfigError, match=r"signs\.onnx"):
        release.promote(model, engines)
    assert (engines / "signs.onnx").read_bytes() == b"old"
    assert len(list(engines.iterdir())) == 2


def test_promote_without_manifest_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "signs.onnx").write_bytes(b"new")
    with pytest.raises(ConfigError, match=r"signs\.json"):
        release.promote(tmp_path / "signs.onnx", tmp_path / "engines")


def test_describe_data_includes_the_generators_record(tmp_path: Path) -> None:
    (tmp_path / "synth.json").write_text(json.dumps({"command": "edge-agent dataset synth", "seed": 3, "count": 9}))
    noted = release.describe_data(tmp_path, 8)
    assert (noted["command"], noted["seed"], noted["count"], noted["pictures"]) == ("edge-agent dataset synth", 3, 9, 8)
