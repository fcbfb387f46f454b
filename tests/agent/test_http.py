"""The agent's web server beside a running train: figures, health checks, and a port that is taken."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_agent.agent import RunOptions, run
from edge_agent.agent.console import _source
from edge_agent.cli.run import console_overrides
from edge_agent.config import Settings, load_rules
from edge_agent.errors import ConfigError, UsageError
from tests.agent.served import Camera, answered
from tests.support.proxy import free_port


def settings(port: int, **console: object) -> Settings:
    """Return settings that are patient with a busy machine."""
    guard = {"loop_stall_ms": 2000, "lease_ms": 2000, "latch_ms": 60_000}
    return Settings.model_validate({"console": {"port": port, **console}, "guard": guard})


async def test_running_agent_serves_its_metrics_and_that_it_is_ready(put: Callable[[Camera], None]) -> None:
    camera, port = Camera(), free_port()
    put(camera)
    train = asyncio.create_task(run(RunOptions(settings(port), load_rules())))
    well = '200 {"ok":true,"troubles":[]}'
    try:
        assert await answered(port, "/readyz", 200) == well
        assert await answered(port, "/healthz", 200) == well
        text = ""
        while "edge_agent_event_loop_lag_seconds_count 0.0" in text or not text:  # the first measure may be yet to come
            text = (await answered(port, "/metrics")).removeprefix("200 ")
    finally:
        camera.over = True
        report = await train
    found: dict[str, Any] = {}
    for family in text_string_to_metric_families(text):
        found |= {sample.name: sample.value for sample in family.samples}
    assert found["edge_agent_frames_processed_total"] > 0
    assert found["edge_agent_event_loop_lag_seconds_count"] > 0
    assert found["edge_agent_observer_dropped_total"] == 0
    assert found["edge_agent_info"] == 1
    assert report["faults"] == []
    check_with_promtool(text)


async def test_figures_know_what_happened_before_their_code_was_loaded(put: Callable[[Camera], None]) -> None:
    camera, port = Camera(), free_port()
    put(camera)
    train = asyncio.create_task(run(RunOptions(settings(port), load_rules())))
    try:
        await answered(port, "/healthz", 200)
        text = await answered(port, "/metrics", 200)
    finally:
        camera.over = True
        await train
    assert "edge_agent_decisions_total{" in text, "the first step of the control decided"


def check_with_promtool(text: str) -> None:
    """Prometheus's own linter (Debian: package prometheus), where it is."""
    promtool = shutil.which("promtool")
    if promtool is not None:
        verdict = subprocess.run(
            [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert verdict.returncode == 0, verdict.stdout + verdict.stderr


async def test_port_that_is_taken_is_reported_and_the_train_drives_on(put: Callable[[Camera], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        put(Camera(last=5))
        report = await run(RunOptions(settings(taken.getsockname()[1]), load_rules()))
    assert [(fault["code"], fault["severity"]) for fault in report["faults"]] == [("console_port_taken", "info")]
    assert report["frames"]["captured"] == 5


async def test_port_that_was_asked_for_and_is_taken_ends_the_run_before_it_begins(
    put: Callable[[Camera], None],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        put(Camera(last=5))
        with pytest.raises(ConfigError, match="another program listens"):
            await run(RunOptions(settings(taken.getsockname()[1]), load_rules(), port_required=True))


@pytest.mark.parametrize(
    ("console", "paths"),
    [
        ({"metrics": False}, {"/metrics": 404, "/healthz": 404}),
        ({"enabled": False}, {"/metrics": 200, "/": 404}),
    ],
)
async def test_settings_say_what_is_served(
    put: Callable[[Camera], None], console: dict[str, object], paths: dict[str, int]
) -> None:
    camera, port = Camera(), free_port()
    put(camera)
    train = asyncio.create_task(run(RunOptions(settings(port, **console), load_rules())))
    try:
        answers = {path: int((await answered(port, path))[:3]) for path in paths}
    finally:
        camera.over = True
        await train
    assert answers == paths


async def test_nothing_is_served_where_nothing_is_wanted(put: Callable[[Camera], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        put(Camera(last=3))
        nothing = settings(taken.getsockname()[1], enabled=False, metrics=False)
        assert (await run(RunOptions(nothing, load_rules(), port_required=True)))["faults"] == []


@pytest.mark.parametrize(
    ("where", "off", "settings"),
    [
        (None, False, {}),
        ("[::1]:80", False, {"console.enabled": True, "console.host": "::1", "console.port": 80}),
        ("0.0.0.0:9000", False, {"console.enabled": True, "console.host": "0.0.0.0", "console.port": 9000}),  # noqa: S104
        (None, True, {"console.enabled": False, "console.metrics": False}),
    ],
)
def test_console_option_becomes_settings(where: str | None, off: bool, settings: dict[str, object]) -> None:
    assert console_overrides(where, off=off) == settings


@pytest.mark.parametrize("where", ["", "8080", ":8080", "host:", "host:http", "host:-1", "host:٣"])
def test_console_option_without_host_and_port_is_refused(where: str) -> None:
    with pytest.raises(UsageError, match=r"is not HOST:PORT; write --console 127\.0\.0\.1:8080"):
        console_overrides(where, off=False)


def test_console_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="contradict"):
        console_overrides("localhost:80", off=True)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("sim", "sim"),
        ("0", "device"),
        ("/dev/video0", "device"),
        ("rtsp://me:secret@cam/1", "stream"),
        ("a.mp4", "files"),
    ],
)
def test_figures_tell_the_kind_of_the_source_and_never_its_address(source: str, kind: str) -> None:
    assert _source(source) == kind
