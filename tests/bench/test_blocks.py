"""Short blocks of the benchmark: the agent on a virtual clock, the bare loop, the five processes' messages."""

import json
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edge_agent.bench import brokers, original, scene
from edge_agent.bench.blocks import Block, agent_block, bare_block
from edge_agent.bench.five import five_block
from edge_agent.bench.goals import measure
from edge_agent.bench.measure import Bench
from edge_agent.bench.result import Plan, bench_settings
from edge_agent.config import load_rules
from edge_agent.errors import UsageError
from edge_agent.simulation.clock import run_virtual

PICTURES = [np.random.default_rng(seed).integers(0, 255, (480, 640, 3), dtype=np.uint8) for seed in range(3)]
TINY = Plan(2, 1, 0.3, 1, 1, 3, 1, 3, 1, 20, 0.002, 3, 3)


@pytest.fixture
def agent(tmp_path: Path) -> Callable[..., Block]:
    settings = bench_settings({"state.directory": str(tmp_path), "capture.fps": 20.0})
    rules = load_rules(settings.policy.rules)
    return partial(agent_block, settings, rules, PICTURES, detector=scene.StubDetector, runner=run_virtual)


def test_agent_answers_every_tick_in_no_time_of_a_virtual_clock(agent: Callable[..., Block]) -> None:
    block = agent(3.0)
    assert block.frames == 50  # 60 ticks, less ten to warm up
    assert block.latency_ms == pytest.approx(np.zeros(50), abs=1e-6)
    assert block.fps == pytest.approx(20, abs=0.5)


def test_agent_lag_is_watched_only_where_it_is_asked_for(agent: Callable[..., Block]) -> None:
    assert len(agent(2.0).lag_ms) == 0
    assert len(agent(2.0, probe=True).lag_ms) > 100


def test_bare_loop_does_one_picture_a_tick() -> None:
    seen: list[tuple[int, ...]] = []

    class Eyes(scene.StubDetector):
        def infer(self, image: np.ndarray) -> tuple[()]:  # type: ignore[override, type-arg]
            seen.append(image.shape)
            return ()

    block = bare_block(Eyes(), PICTURES, 0.5, fps=100)
    assert set(seen) == {PICTURES[0].shape}
    assert 0 < block.frames <= len(seen) <= 50


def test_pictures_hold_no_sign_that_ends_the_drive_and_are_a_webcams() -> None:
    (picture,) = scene.render(1)
    assert picture.shape == (480, 640, 3)


def test_hole_takes_connections_and_says_nothing() -> None:
    with brokers.black_hole() as port, socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(b"hello")
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_messages_of_the_five_carry_a_picture_to_a_command() -> None:
    image = json.dumps({"id": 7, "image": original.encode(PICTURES[0])})
    result = json.loads(original.infer(image.encode(), scene.StubDetector()))
    assert result["detections"][0]["confidence"] == "0.90"
    assert original.command(result) == "0 7"
    assert original.command({**result, "detections": []}) == "-1 7"
    event = json.loads(original.monitoring(result))
    shown = original.decode(event["data"]["image"].removeprefix("data:image/webp;base64,"))
    assert shown.shape == (480, 640, 3)


def test_five_processes_answer_pictures_over_a_real_broker(tmp_path: Path) -> None:
    with brokers.mosquitto(tmp_path) as port:
        block = five_block(tmp_path, port, PICTURES, 2.5, fps=5)
    assert block.frames > 0
    assert block.latency_ms.min() > 0


def test_goal_without_its_broker_is_not_measured_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brokers, "has_mosquitto", lambda: False)
    with Bench(TINY, lambda words: None, PICTURES) as bench:
        (ratio,) = measure(bench, [3])
    assert ratio.interval is None
    assert "mosquitto is not installed" in ratio.note


def test_drift_and_slow_detector_are_measured_by_themselves() -> None:
    with Bench(TINY, lambda words: None, PICTURES) as bench:
        ratios = list(measure(bench, [12, 7]))
    assert [ratio.goal for ratio in ratios] == [7, 12]
    assert all(ratio.interval is not None for ratio in ratios)
    assert "only an indication" in ratios[0].note


@pytest.mark.parametrize("text", ["13", "0", "1,x", "", "1,,2"])
def test_only_refuses_what_is_no_goal(text: str) -> None:
    from edge_agent.cli.bench import _goals  # noqa: PLC0415

    with pytest.raises(UsageError, match="1 to 12"):
        _goals(text)
