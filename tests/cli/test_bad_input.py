"""Input that used to hang the program, fill the memory or end in a traceback: one line, and the exit code for it."""

import errno
import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_agent.cli.program import _exhausted, build
from edge_agent.errors import ConfigError
from edge_agent.perception.detector import trial
from edge_agent.perception.detector.trial import try_model
from edge_agent.perception.vision import OutputLayout
from tests.perception.detector.models import outputs_for, save, save_endless, write_manifest

LABELS = ("danger", "stop")
RUN = ("run", "--dry-run", "--no-console", "--duration", "1")


def program(*words: object, megabytes: int | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program, with a limit of its address space."""

    def limit() -> None:
        if megabytes is not None:
            resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    return subprocess.run(
        [sys.executable, "-m", "edge_agent", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=limit,
        env={**os.environ, **environment},
    )


def assert_one_line(result: subprocess.CompletedProcess[str], code: int, part: str) -> None:
    assert result.returncode == code, result.stderr
    assert part in result.stderr
    assert result.stderr.count("\n") == 1, result.stderr


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(tmp_path / "m.onnx", outputs_for(OutputLayout.CHANNELS_LAST, [], 2), names=str(list(LABELS)))


@pytest.mark.parametrize("option", ["--config", "--layout", "--model"])
def test_pipe_in_place_of_a_file_is_exit_78(pipe: Path, option: str) -> None:
    assert_one_line(program(*RUN, option, pipe), 78, "it is a pipe, not a file")


@pytest.mark.parametrize(
    "words",
    [
        ("detect", "pipe"),
        ("detect", "pipe.png"),
        ("hub", "replay", "pipe"),
        ("mirror", "status"),
        (*RUN, "--detector", "tensorrt", "--model", "pipe.engine"),
    ],
)
def test_pipe_in_place_of_what_a_command_reads_is_exit_78(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("pipe", "pipe.png", "pipe.engine", "outbox.db"):
        os.mkfifo(tmp_path / name)
    result = program(*words, EDGE_AGENT_KAFKA__OUTBOX__PATH=str(tmp_path / "outbox.db"))
    assert result.returncode == 78, result.stderr
    assert "pipe" in result.stderr
    assert "Traceback" not in result.stderr


def test_pipe_in_place_of_a_secret_is_exit_78(pipe: Path) -> None:
    result = program("console", "--bootstrap-servers", "127.0.0.1:1", EDGE_AGENT_CONSOLE__TOKEN_FILE=str(pipe))
    assert_one_line(result, 78, "it is a pipe, not a file")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"schema": ' + "1" * 5000 + "}"])
def test_manifest_that_cannot_be_read_is_exit_78(model: Path, text: str) -> None:
    model.with_suffix(".json").write_text(text)
    assert_one_line(program(*RUN, "--model", model), 78, "m.json")


def test_manifest_of_no_layout_is_exit_78(model: Path) -> None:
    write_manifest(model, hashlib.sha256(model.read_bytes()).hexdigest(), LABELS, layout=[])
    assert_one_line(program(*RUN, "--model", model), 78, "layout is []")


def test_input_of_a_model_that_is_too_large_is_exit_78(tmp_path: Path) -> None:
    outputs = outputs_for(OutputLayout.CHANNELS_LAST, [], 2)
    model = save(tmp_path / "m.onnx", outputs, names=str(list(LABELS)), size=(200_000, 200_000))
    assert_one_line(program(*RUN, "--model", model), 78, "its input is [1, 3, 200000, 200000]")


def test_too_little_memory_is_one_line_and_exit_1() -> None:
    # So little that Python cannot load a library; with more, a library may end the process in its own way.
    assert_one_line(program(*RUN, megabytes=250), 1, "no more memory or threads")


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (MemoryError(), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (RuntimeError("can't start new thread"), True),
        (ImportError("a.so: failed to map segment from shared object"), True),
        (ExceptionGroup("run", [ValueError(), ExceptionGroup("inner", [MemoryError()])]), True),
        (ExceptionGroup("run", [ValueError()]), False),
        (RuntimeError("something else"), False),
        (OSError(errno.EACCES, "Permission denied"), False),
    ],
)
def test_errors_that_mean_too_little_memory_are_known(error: Exception, known: bool) -> None:
    assert (_exhausted(error) is not None) is known


def test_model_that_never_answers_is_refused(tmp_path: Path) -> None:
    model = save_endless(tmp_path / "endless.onnx", names=str(list(LABELS)))
    with pytest.raises(ConfigError, match="does not answer within 5 s"):
        try_model(model, timeout_s=5)


def test_run_with_a_model_that_never_answers_is_exit_78(tmp_path: Path) -> None:
    model = save_endless(tmp_path / "endless.onnx", names=str(list(LABELS)))
    code = (
        "import sys; from edge_agent import cli; from edge_agent.cli import startup; startup.OPEN_TIMEOUT_S = 0.5;"
        f"sys.argv = ['edge-agent', *{RUN}, '--model', {str(model)!r}]; cli.main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert_one_line(result, 78, "the model does not answer within 0.5 s")


def test_detect_tries_a_model_before_it_opens_it(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(tried: Path | None) -> None:
        raise ConfigError(f"{tried} never answers")

    monkeypatch.setattr(trial, "try_model", refuse)
    result = CliRunner().invoke(build(["detect"]), ["detect", str(model.parent / "none.png"), "--model", str(model)])
    assert isinstance(result.exception, SystemExit)  # no picture: nothing to detect, and nothing to try
    (model.parent / "a.png").touch()
    result = CliRunner().invoke(build(["detect"]), ["detect", str(model.parent / "a.png"), "--model", str(model)])
    assert "never answers" in str(result.exception)


def test_model_that_answers_or_is_shipped_is_not_refused(model: Path, tmp_path: Path) -> None:
    try_model(model)
    try_model(None)
    try_model(tmp_path / "missing.onnx")  # which is reported where it is opened
