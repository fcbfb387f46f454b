"""Fixtures of the tests of the agent."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_agent.agent import build
from edge_agent.hub.mock import MockHub
from edge_agent.ports import DetectorInfo
from edge_agent.report import Mission
from edge_agent.signs import LABELS
from tests.agent.served import Camera
from tests.support.gpu import gpu

__all__ = ["gpu"]


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Camera], None]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    detector = SimpleNamespace(
        info=DetectorInfo("fake", "fake.onnx", "0" * 64, 600, 400, LABELS), infer=lambda image: (), close=lambda: None
    )

    def put(camera: Camera) -> None:
        monkeypatch.setattr(
            build, "build_devices", lambda *_, **__: build.Devices(camera, MockHub(), Mission, lambda: None)
        )
        monkeypatch.setattr(build, "open_detector", lambda settings: detector)

    return put
