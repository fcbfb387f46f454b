"""The engine cache: found by their full key, written atomically, set aside and never deleted."""

import dataclasses
import fcntl
import hashlib
import json
import struct
from pathlib import Path

import pytest

from edge_agent.errors import ConfigError, FatalError
from edge_agent.perception.detector.tensorrt.bindings import GpuPlatform
from edge_agent.perception.detector.tensorrt.cache import EngineCache, cache_dir, set_aside
from edge_agent.perception.detector.tensorrt.engine_file import (
    DamagedEngineError,
    EngineInfo,
    EngineKey,
    pack,
    read_engine,
    read_engine_info,
)
from edge_agent.perception.vision import OutputLayout

ORIN = GpuPlatform("10.3.0.26", "Orin", 87, "R36.4.3")
KEY = EngineKey("ab" * 32, ORIN, "fp16", (1, 3, 64, 96))
INFO = EngineInfo(("a", "b"), 96, 64, 0.6, OutputLayout.CHANNELS_LAST, "m.onnx", KEY, 1.5, 2.5)
ENGINE = b"engine" * 1000


def kept(folder: Path) -> tuple[EngineCache, Path]:
    cache = EngineCache(folder)
    return cache, cache.store(ENGINE, INFO)


def test_engine_is_read_as_it_was_written(tmp_path: Path) -> None:
    cache, path = kept(tmp_path / "new")
    assert read_engine(path) == (INFO, ENGINE)
    assert read_engine_info(path) == INFO
    assert cache.find(KEY, "m.onnx") == path


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(KEY, onnx_sha256="cd" * 32),
        dataclasses.replace(KEY, machine=dataclasses.replace(ORIN, tensorrt="10.3.0.27")),
        dataclasses.replace(KEY, machine=dataclasses.replace(ORIN, sm=86)),
        dataclasses.replace(KEY, machine=dataclasses.replace(ORIN, gpu="Orin NX")),
        dataclasses.replace(KEY, machine=dataclasses.replace(ORIN, l4t="R36.4.4")),
        dataclasses.replace(KEY, precision="fp32"),
        dataclasses.replace(KEY, profile=(1, 3, 96, 64)),
        dataclasses.replace(KEY, flags=()),
        dataclasses.replace(KEY, recipe=2),
    ],
)
def test_key_that_differs_in_anything_is_another_engine(tmp_path: Path, other: EngineKey) -> None:
    cache, path = kept(tmp_path)
    assert cache.find(other, "m.onnx") is None
    assert path.exists()


def test_engine_of_another_key_under_this_name_is_set_aside(tmp_path: Path) -> None:
    cache, path = kept(tmp_path)
    foreign = dataclasses.replace(INFO, key=dataclasses.replace(KEY, precision="int8"))
    path.write_bytes(pack(ENGINE, foreign))
    assert cache.find(KEY, "m.onnx") is None
    assert [aside.name for aside in tmp_path.iterdir()] == [f"{path.name}.set-aside-1"]


@pytest.mark.parametrize("kept_bytes", [0, 3, 4, 40, -1, -5000])
def test_engine_that_was_cut_short_is_set_aside_and_rebuilt(tmp_path: Path, kept_bytes: int) -> None:
    cache, path = kept(tmp_path)
    cut = path.read_bytes()[:kept_bytes]
    path.write_bytes(cut)
    assert cache.find(KEY, "m.onnx") is None
    assert (tmp_path / f"{path.name}.set-aside-1").read_bytes() == cut


@pytest.mark.parametrize("where", [2, 10, 100, -1, -3000])
def test_engine_with_one_byte_flipped_is_not_served(tmp_path: Path, where: int) -> None:
    cache, path = kept(tmp_path)
    content = bytearray(path.read_bytes())
    content[where] ^= 0x40
    path.write_bytes(content)
    found = cache.find(KEY, "m.onnx")
    assert found is None or read_engine(found)[1] == ENGINE  # a flip may also fall into a word for people


def test_second_engine_set_aside_does_not_replace_the_first(tmp_path: Path) -> None:
    for text in ("one", "two"):
        (tmp_path / "m.engine").write_text(text)
        set_aside(tmp_path / "m.engine")
    assert {path.read_text() for path in tmp_path.iterdir()} == {"one", "two"}


def test_file_that_is_no_engine_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.engine"
    for content in (b"ftrt" + b"\0" * 100, struct.pack("<i", 5) + b"{nope", struct.pack("<i", 1 << 30) + b"{}"):
        path.write_bytes(content)
        with pytest.raises(DamagedEngineError, match=r"m\.engine is not a complete engine"):
            read_engine(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_engine(tmp_path / "none.engine")


def test_engine_of_ultralytics_is_taken_as_it_is(tmp_path: Path) -> None:
    description = {"task": "detect", "names": {"0": "a", "1": "b"}, "imgsz": [64, 96], "batch": 1, "stride": 32}
    text = json.dumps(description).encode()
    path = tmp_path / "yolo.engine"
    path.write_bytes(struct.pack("<i", len(text)) + text + ENGINE)
    assert read_engine(path) == (EngineInfo(("a", "b"), 96, 64), ENGINE)


@pytest.mark.parametrize("missing", ["bytes", "sha256", "key"])
def test_description_of_ours_that_lacks_a_part_is_refused(tmp_path: Path, missing: str) -> None:
    content = pack(ENGINE, INFO)
    (length,) = struct.unpack_from("<i", content)
    description = json.loads(content[4 : 4 + length])
    del description["edge_agent"][missing]
    text = json.dumps(description).encode()
    path = tmp_path / "m.engine"
    path.write_bytes(struct.pack("<i", len(text)) + text + ENGINE)
    with pytest.raises(DamagedEngineError):
        read_engine(path)


def test_folder_that_cannot_be_written_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = EngineCache(tmp_path / "file" / "engines")
    with (
        pytest.raises(FatalError, match="cannot be written to") as caught,
        cache.building(KEY, "m.onnx"),
    ):
        pass
    assert "\n" not in str(caught.value)


def test_lock_is_held_by_one_and_goes_with_it(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path)
    with cache.building(KEY, "m.onnx"):
        (lock,) = tmp_path.glob("*.lock")
        with lock.open("rb") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with cache.building(KEY, "m.onnx"):
        pass


def test_engines_are_listed_with_their_descriptions(tmp_path: Path) -> None:
    cache, path = kept(tmp_path)
    (tmp_path / "bad.engine").write_bytes(b"?")
    assert list(cache.engines()) == [(tmp_path / "bad.engine", None), (path, INFO)]


def test_cache_is_in_systemds_folder_else_below_the_agents_state(tmp_path: Path) -> None:
    assert cache_dir({"STATE_DIRECTORY": "/var/lib/edge-agent"}) == Path("/var/lib/edge-agent/engines")
    assert cache_dir({}, tmp_path) == tmp_path / "engines"
    systemd = {"STATE_DIRECTORY": "/var/lib/edge-agent", "CACHE_DIRECTORY": "/var/cache/edge-agent:/var/cache/more"}
    assert cache_dir(systemd, tmp_path) == Path("/var/cache/edge-agent/engines")


def test_names_of_engines_contain_the_model(tmp_path: Path) -> None:
    name = KEY.file_name("signs-fp16.onnx")
    assert name.startswith("signs-fp16.")
    assert hashlib.sha256(name.encode()).hexdigest() != hashlib.sha256(KEY.file_name("m.onnx").encode()).hexdigest()
