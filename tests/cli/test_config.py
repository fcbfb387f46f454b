"""`edge-agent config`: show, check and schema."""

import hashlib
import json
import os
import struct
from pathlib import Path

import pytest

from edge_agent.cli import main
from edge_agent.perception.vision import OutputLayout
from tests.perception.detector.models import outputs_for, save


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("EDGE_AGENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return tmp_path


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str, str]:
    """Run `edge-agent config WORDS` and return exit code, stdout and stderr."""
    monkeypatch.setattr("sys.argv", ["edge-agent", "config", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_show_prints_value_and_origin_and_masks_secrets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.yaml").write_text("capture:\n  source: rtsp://me:hunter2@camera/\n")
    monkeypatch.setenv("EDGE_AGENT_CAPTURE__FPS", "5")
    monkeypatch.setenv("EDGE_AGENT_MQTT__PASSWORD", "hunter2")
    code, out, err = call(capsys, monkeypatch, "show", "--config", "a.yaml")
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    assert (code, err) == (0, "")
    assert lines["capture.source"] == ["rtsp://me:********@camera/", "a.yaml:2"]
    assert lines["capture.fps"] == ["5.0", "EDGE_AGENT_CAPTURE__FPS"]
    assert lines["mqtt.password"] == ["********", "EDGE_AGENT_MQTT__PASSWORD"]
    assert lines["train.id"] == ["train-1", "default"]
    assert "hunter2" not in out


def test_show_in_a_terminal_is_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.yaml").write_text("capture: {fps: 5}")
    monkeypatch.setenv("FORCE_COLOR", "1")  # what rich takes for a terminal
    code, out, _ = call(capsys, monkeypatch, "show", "--config", "a.yaml")
    assert code == 0
    assert "Settings from a.yaml" in out
    assert "capture.fps" in out


def test_show_as_json_can_be_read_by_a_program(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.yaml").write_text("capture: {fps: 5}")
    code, out, _ = call(capsys, monkeypatch, "show", "--json", "--config", "a.yaml")
    document = json.loads(out)
    assert code == 0
    assert document["files"] == ["a.yaml"]
    assert document["settings"]["capture.fps"] == {"value": 5.0, "from": "a.yaml:1"}
    assert document["settings"]["kafka.bootstrap_servers"] == {"value": ["127.0.0.1:9092"], "from": "default"}


def test_show_with_a_profile_shows_what_it_sets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = call(capsys, monkeypatch, "show", "--profile", "booth", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["settings"]["hub.kind"]["value"] == "ble"
    assert "booth.yaml:" in document["settings"]["hub.kind"]["from"]


def test_check_of_the_shipped_files_says_ok(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = call(capsys, monkeypatch, "check")
    assert (code, err) == (0, "")
    assert out.startswith("ok: ")
    assert out.rstrip().endswith("signs.yaml")


def test_check_prints_each_problem_in_a_line_and_exits_78(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.yaml").write_text("capture:\n  fps: -3\n  fsp: 1\n")
    code, out, err = call(capsys, monkeypatch, "check", "a.yaml")
    assert (code, out) == (78, "")
    assert err.splitlines() == [
        "edge-agent: a.yaml:2:8: capture.fps: must be greater than 0 (got -3)",
        "edge-agent: a.yaml:3:3: capture.fsp: unknown key; did you mean 'fps'?",
    ]


def test_check_looks_into_the_rules_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.yaml").write_text("policy: {rules: r.yaml}")
    Path("r.yaml").write_text("signs:\n  stop: {action: halt}\n")
    code, _, err = call(capsys, monkeypatch, "check", "a.yaml")
    assert code == 78
    assert "r.yaml:2:18: signs.stop.action: must be one of" in err


def test_check_finds_a_rule_for_a_sign_that_the_shipped_model_does_not_know(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.yaml").write_text("policy: {rules: r.yaml}")
    Path("r.yaml").write_text("signs:\n  stopp: {action: stop}\n")
    code, _, err = call(capsys, monkeypatch, "check", "a.yaml")
    assert code == 78
    assert "r.yaml:2:3: signs.stopp: the model does not know this sign; did you mean 'stop'?" in err


@pytest.mark.parametrize(("names", "code"), [("{0: 'moose'}", 0), ("{0: 'stop'}", 78)])
def test_check_judges_the_rules_by_the_model_that_will_run(
    names: str, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save(Path("m.onnx"), outputs_for(OutputLayout.CHANNELS_LAST, [], 1), names=names)
    Path("r.yaml").write_text("signs: {moose: {action: stop}}")
    Path("a.yaml").write_text("detector: {model: m.onnx}\npolicy: {rules: r.yaml}")
    found, _, err = call(capsys, monkeypatch, "check", "a.yaml")
    assert found == code
    assert ("signs.moose: the model does not know this sign" in err) is (code != 0)


RULES = "signs:\n  stop: {action: stop, min_score: 0.5}\n  danger: {action: stop, min_score: 0.4}\n"


@pytest.mark.parametrize(
    ("threshold", "code", "said"),
    [
        ("null", 0, ""),
        ("0.4", 0, ""),
        (
            "0.3",
            0,
            "note: detector.threshold 0.3 only shows more boxes: r.yaml counts signs from 0.4 to 0.5 (min_score)",
        ),
        ("0.45", 78, "detector.threshold is 0.45, but r.yaml counts less (min_score: danger 0.4); remove"),
    ],
)
def test_check_compares_the_threshold_with_the_rules(
    threshold: str, code: int, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("r.yaml").write_text(RULES)
    Path("a.yaml").write_text(f"detector: {{threshold: {threshold}}}\npolicy: {{rules: r.yaml}}")
    found, out, err = call(capsys, monkeypatch, "check", "a.yaml")
    assert found == code
    assert said in out + err
    assert ("note" in out) is said.startswith("note")


@pytest.mark.parametrize(("threshold", "noted"), [(0.25, True), (0.45, False), (0.9, True)])
def test_check_says_where_a_models_manifest_means_another_score(
    threshold: float, noted: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save(Path("m.onnx"), outputs_for(OutputLayout.CHANNELS_LAST, [], 2), names="['stop', 'danger']")
    digest = hashlib.sha256(Path("m.onnx").read_bytes()).hexdigest()
    manifest = {"schema": 1, "sha256": digest, "labels": ["stop", "danger"], "threshold": threshold}
    Path("m.json").write_text(json.dumps(manifest))
    Path("r.yaml").write_text(RULES)
    Path("a.yaml").write_text("detector: {model: m.onnx}\npolicy: {rules: r.yaml}")
    code, out, _ = call(capsys, monkeypatch, "check", "a.yaml")
    assert code == 0
    expected = f"note: the model's manifest has the threshold {threshold:g}, but r.yaml counts signs from 0.4 to 0.5"
    assert (expected in out) is noted


def test_check_of_a_model_that_cannot_be_used_exits_78(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.yaml").write_text("detector: {model: missing.onnx}")
    code, _, err = call(capsys, monkeypatch, "check", "a.yaml")
    assert code == 78
    assert "missing.onnx: the model cannot be read" in err


def test_check_reads_the_labels_of_an_engine_without_a_gpu(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    description = json.dumps({"names": {0: "moose"}, "imgsz": [64, 96]}).encode()
    Path("m.engine").write_bytes(struct.pack("<i", len(description)) + description + b"engine")
    Path("r.yaml").write_text("signs: {moose: {action: stop}}")
    Path("a.yaml").write_text("detector: {model: m.engine}\npolicy: {rules: r.yaml}")
    assert call(capsys, monkeypatch, "check", "a.yaml")[0] == 0


def test_check_of_a_missing_file_exits_78(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = call(capsys, monkeypatch, "check", "none.yaml")
    assert (code, err.count("\n")) == (78, 1)
    assert "none.yaml: cannot be read" in err


def test_check_of_two_files_at_once_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = call(capsys, monkeypatch, "check", "a.yaml", "--config", "b.yaml")
    assert code == 2
    assert "given twice" in err


@pytest.mark.parametrize(("words", "key"), [((), "capture"), (("--rules",), "signs")])
def test_schema_is_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], key: str
) -> None:
    code, out, _ = call(capsys, monkeypatch, "schema", *words)
    assert code == 0
    assert key in json.loads(out)["properties"]
