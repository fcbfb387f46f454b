"""The manifest beside a model, and the names inside one."""

import json
import os
from pathlib import Path

import pytest

from edge_agent.errors import ConfigError
from edge_agent.perception.detector.manifest import parse_names, read_manifest, shipped_model
from edge_agent.perception.vision import OutputLayout

DIGEST = "ab" * 32


def write(folder: Path, **parts: object) -> Path:
    (folder / "m.json").write_text(json.dumps({"schema": 1, "sha256": DIGEST, "labels": ["a", "b"]} | parts))
    return folder / "m.onnx"


def test_manifest_absent_is_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path / "m.onnx", DIGEST) is None


def test_manifest_full_is_read(tmp_path: Path) -> None:
    model = write(
        tmp_path, input={"width": 608, "height": 416}, threshold=0.4, layout="end_to_end", licence="Apache-2.0"
    )
    manifest = read_manifest(model, DIGEST)
    assert manifest is not None
    assert (manifest.labels, manifest.threshold, manifest.layout) == (("a", "b"), 0.4, OutputLayout.END_TO_END)
    assert (manifest.input_width, manifest.input_height) == (608, 416)


def test_manifest_hash_in_capitals_is_the_same_hash(tmp_path: Path) -> None:
    assert read_manifest(write(tmp_path, sha256=DIGEST.upper()), DIGEST) is not None


def test_manifest_of_another_model_reports_that_the_model_has_changed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the model has changed"):
        read_manifest(write(tmp_path), "cd" * 32)


def test_manifest_without_hash_names_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=DIGEST):
        read_manifest(write(tmp_path, sha256=None), DIGEST)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"schema": 2}, "schema 1"),
        ({"labels": []}, "labels"),
        ({"labels": {"0": "a"}}, "labels"),
        ({"labels": ["a", 7]}, "labels"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"threshold": True}, "threshold is True"),
        ({"input": [608, 416]}, "input"),
        ({"input": {"width": 8}}, "width is 8"),
        ({"layout": "yolo"}, "layout is 'yolo'.*channels_first"),
        ({"layout": []}, r"layout is \[\].*channels_first"),
        ({"layout": ["x"] * 100_000}, "layout is "),
        ({"input": {"width": 200_000, "height": 200_000}}, "width is 200000"),
        ({"threshold": [0.5] * 100_000}, "threshold is "),
    ],
)
def test_manifest_with_a_bad_part_names_it(tmp_path: Path, parts: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_manifest(write(tmp_path, **parts), DIGEST)
    assert "m.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1]",
        b"\xff\xfe{}",
        b"null",
        b"[" * 100_000,
        b'{"schema": ' + b"1" * 5000 + b"}",
        b" " * (2 << 20) + b"{}",
    ],
)
def test_manifest_that_is_no_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"m\.json"):
        read_manifest(tmp_path / "m.onnx", DIGEST)


def test_manifest_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.json")
    with pytest.raises(ConfigError, match=r"m\.json"):
        read_manifest(tmp_path / "m.onnx", DIGEST)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"made_from": ' + "1" * 5000 + "}"])
def test_shipped_model_is_found_beside_a_manifest_that_cannot_be_read(tmp_path: Path, content: str) -> None:
    for name in ("signs.onnx", "signs-uint8.onnx"):
        (tmp_path / name).touch()
        (tmp_path / name).with_suffix(".json").write_text(content)
    assert shipped_model(tmp_path, "uint8") == tmp_path / "signs.onnx"


def test_manifest_syntax_error_names_line_and_column(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"schema": 1,\n  oops}')
    with pytest.raises(ConfigError, match=r"m\.json:2:3"):
        read_manifest(tmp_path / "m.onnx", DIGEST)


@pytest.mark.parametrize(
    "text",
    [
        "{0: 'a', 1: 'b'}",
        '{"0": "a", "1": "b"}',
        "{1: 'b', 0: 'a'}",
        '["a", "b"]',
        "['a', 'b']",
        "('a', 'b')",
        " {0: 'a', 1: 'b'}\n",
    ],
)
def test_parse_names_forms_that_exporters_write_are_read(text: str) -> None:
    assert parse_names(text) == ("a", "b")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a, b",
        "{}",
        "[]",
        "{0: 'a', 2: 'b'}",
        "{0: 1}",
        "{'x': 'a'}",
        "['']",
        "7",
        "__import__('os').getcwd()",
        "[" * 5000,
        "['a'" + ", 'a'" * 50_000 + "]",
        "{0: 'a', 0.5: 'b'}",
        "{{}}",
        "{[]: 'a'}",
        "{1e999: 'a'}",
    ],
    ids=lambda text: text[:20] or "empty",
)
def test_parse_names_anything_else_is_none(text: str) -> None:
    assert parse_names(text) is None
