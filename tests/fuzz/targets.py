"""The targets: each takes any bytes, and may raise nothing."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from edge_agent.config.rules import load_rules
from edge_agent.config.yaml_file import parse_value
from edge_agent.console.access import Caller, origins
from edge_agent.console.broadcast import Broadcaster
from edge_agent.console.commands import _parse
from edge_agent.console.responses import ApiError
from edge_agent.console.store import TrainStore
from edge_agent.console.websocket import ViewerSocket
from edge_agent.control.commands import Channel, CommandMessage, parse_command
from edge_agent.control.commands.parser import NAMES
from edge_agent.errors import ConfigError, FatalError
from edge_agent.hub.lwp3.codec import decode
from edge_agent.hub.lwp3.hub_messages import decode_advertisement
from edge_agent.observers.cloudevents import MalformedMessageError, kafka
from edge_agent.perception.detector.manifest import parse_names, read_manifest
from edge_agent.perception.detector.tensorrt.engine_file import read_engine
from edge_agent.simulation.layout_file import load_layout

NOW_MS = 1_800_000_000_000
_FOLDER = Path(tempfile.mkdtemp(prefix="edge-agent-fuzz-"))


def command(data: bytes) -> None:
    """Parse a command over MQTT or Kafka: the first byte chooses its name."""
    name = NAMES[data[0] % len(NAMES)] if data else ""
    parse_command(CommandMessage(Channel.MQTT, name, data[1:]))


def http_command(data: bytes) -> None:
    """Parse the body of a command to the console."""
    with contextlib.suppress(ApiError):
        _parse(data, Caller("somebody", SecretStr("token")))


def event(data: bytes) -> None:
    """Fold an event from Kafka in structured mode, into the fleet's console."""
    _fold([("content-type", b"application/cloudevents+json")], data)


def event_data(data: bytes) -> None:
    """Fold the value of an event in binary mode; its first line is its type."""
    kind, _, value = data.partition(b"\n")
    attributes = {"specversion": b"1.0", "id": b"1", "source": b"/trains/a", "type": kind, "subject": b"a"}
    headers = [(f"ce_{name}", text) for name, text in attributes.items()]
    _fold([*headers, ("ce_time", b"2026-11-21T18:20:00Z"), ("content-type", b"application/json")], value)


def _fold(headers: list[tuple[str, bytes]], value: bytes) -> None:
    try:
        envelope = kafka.read(headers, value)
    except MalformedMessageError:
        return
    store = TrainStore(1_000_000, 300)
    Broadcaster(store, lambda: NOW_MS).publish(store.fold(envelope, NOW_MS))
    list(store.trains(NOW_MS))


def page_message(data: bytes) -> None:
    """Handle a message of the page to the console."""

    async def handle() -> None:
        broadcaster = Broadcaster(TrainStore(1_000_000, 300), lambda: NOW_MS)
        subscriber = broadcaster.subscribe("a", {})
        viewer = ViewerSocket(broadcaster, subscriber, _nothing, _nothing, lambda: NOW_MS)
        viewer._handle_message(data.decode("utf-8", "replace"))

    asyncio.run(handle())


async def _nothing(*_: object) -> dict[str, object]:
    return {}


def origin(data: bytes) -> None:
    """Check the headers by which other web sites are refused."""
    text = data.decode("latin-1")
    sites, host = origins(("https://a.example",), host="127.0.0.1"), text[::-1]
    sites.is_own_host(text)
    sites.may_read({"origin": text, "host": host})
    sites.is_own_page({"origin": text, "host": text.partition("//")[2]})


def hub_message(data: bytes) -> None:
    """Decode a notification and an advertisement of a hub."""
    decode(data)
    decode_advertisement(data)


def yaml_file(data: bytes) -> None:
    """Read sign rules, a layout, and a value of the command line."""
    file = _file("any.yaml", data)
    for load in (load_rules, load_layout):
        with contextlib.suppress(ConfigError):
            load(file)
    parse_value(data.decode("utf-8", "replace"))


def model_description(data: bytes) -> None:
    """Read the manifest beside a model, class names inside one, and an engine's file."""
    _file("m.json", data)
    with contextlib.suppress(ConfigError):
        read_manifest(_FOLDER / "m.onnx", "0" * 64)
    parse_names(data.decode("utf-8", "replace"))
    with contextlib.suppress(ConfigError, FatalError):
        read_engine(_file("m.engine", data))


def _file(name: str, data: bytes) -> Path:
    (_FOLDER / name).write_bytes(data)
    return _FOLDER / name


TARGETS: dict[str, Callable[[bytes], None]] = {
    function.__name__: function
    for function in (
        command,
        http_command,
        event,
        event_data,
        page_message,
        origin,
        hub_message,
        yaml_file,
        model_description,
    )
}

SLOW_S = 1.0
"""A target that takes more processor time for one input is a finding too: it would hold up whoever reads it."""


def check(name: str, data: bytes) -> None:
    """Run a target; raises whatever it raises, and AssertionError where it is slow."""
    started_s = time.process_time()
    TARGETS[name](data)
    took_s = time.process_time() - started_s
    assert took_s < SLOW_S, f"{name} took {took_s:.1f} s for {len(data)} bytes"
