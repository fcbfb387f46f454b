"""What all tests share: calm native libraries, and no silent skips.

A skip prints its reason (`-ra`). In CI a skip whose reason is not in `allowed-skips.txt` fails the run.
"""

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before NumPy, OpenCV and ONNX Runtime start their thread pools: two test processes share two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

_NO_TORCH = "PyTorch is not installed"
_ALLOWED = [
    line
    for line in (Path(__file__).parent / "allowed-skips.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


@pytest.fixture(autouse=True)
def _log_to_the_stream_of_the_next_test() -> Iterator[None]:
    """Forget how a test has configured the log: its captured stderr is closed."""
    yield
    if (structlog := sys.modules.get("structlog")) is not None:
        structlog.reset_defaults()


def pytest_report_header() -> str:
    """Say whether there is a GPU to try; `make gpu` does. The tests here run on a fake one."""
    there = [name for name in ("tensorrt", "pycuda") if importlib.util.find_spec(name) is not None]
    device = any(Path(trace).exists() for trace in ("/dev/nvidia0", "/dev/nvhost-gpu", "/dev/nvgpu"))
    return f"gpu: {'a device' if device else 'no CUDA device'}, {' and '.join(there) or 'neither tensorrt nor pycuda'}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the skips that CI does not accept, and say what was left out because PyTorch is missing."""
    skipped = terminalreporter.stats.get("skipped", [])
    left_out = sorted({report.nodeid for report in skipped if _NO_TORCH in str(report.longrepr)})
    if left_out:
        terminalreporter.write_line(f"left out, run `make test-train`: what needs PyTorch, {', '.join(left_out)}")
    for line in _refused(terminalreporter.config):
        terminalreporter.write_line(f"skip not allowed in CI: {line}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run in CI when a test was skipped for a reason that is not on the list."""
    if os.environ.get("CI") == "true" and _refused(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _refused(config: pytest.Config) -> list[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return []  # a worker of xdist: its controller counts
    refused = []
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(allowed in reason for allowed in _ALLOWED):
            refused.append(f"{report.nodeid}: {reason}")
    return refused
