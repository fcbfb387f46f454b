"""A Mosquitto of the tests' own, on a free port, and somebody who listens to it."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from aiomqtt import Client, Message, ProtocolVersion

from tests.support.proxy import free_port

PATIENCE_S = 30.0
"""No test waits this long; only a failing one does."""


def _command(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert path is not None, f"{name} is missing: install the package mosquitto"
    return path


class Mosquitto:
    """A broker process; `kill`, `freeze` and `thaw` are what happens to brokers."""

    def __init__(self, folder: Path, *lines: str, host: str = "127.0.0.1", port: int | None = None) -> None:
        self.host = host
        self.port = port or free_port()
        self._config = folder / f"mosquitto-{self.port}.conf"
        head = [f"listener {self.port} {host}", "persistence false", "log_dest stderr", "log_type warning"]
        if os.geteuid() == 0:
            head.append("user root")  # it would give up its rights, and could not read the test's folder
        self._config.write_text("\n".join([*head, *(lines or ("allow_anonymous true",))]) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [_command("mosquitto"), "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline_s = time.monotonic() + PATIENCE_S
        while not self._listens():
            assert self._process.poll() is None, f"mosquitto has ended; try: mosquitto -c {self._config}"
            assert time.monotonic() < deadline_s
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1):
            return True
        return False


def password_file(folder: Path, users: dict[str, str]) -> Path:
    """Write a password file for Mosquitto."""
    path = folder / "passwords"
    path.touch(mode=0o600)
    for user, password in users.items():
        subprocess.run([_command("mosquitto_passwd"), "-b", str(path), user, password], check=True, capture_output=True)
    return path


class Listener:
    """Hears everything that a broker passes on, in order."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.heard: list[Message] = []

    def on(self, topic: str) -> list[Message]:
        return [message for message in self.heard if message.topic.value == topic]

    def payloads(self, topic: str) -> list[bytes]:
        return [bytes(message.payload) for message in self.on(topic)]  # type: ignore[arg-type]

    def forget(self) -> None:
        self.heard.clear()

    async def until(self, condition: "Callable[[Listener], object]", what: str) -> None:
        await until(lambda: bool(condition(self)), f"{what}; heard {[m.topic.value for m in self.heard][-20:]}")

    async def hears(self, topic: str, count: int = 1) -> list[Message]:
        await self.until(lambda listener: len(listener.on(topic)) >= count, f"{count} on {topic}")
        return self.on(topic)


@contextlib.asynccontextmanager
async def listening(
    port: int, topics: Iterable[str] = ("#",), *, modern: bool = True, **more: object
) -> AsyncIterator[Listener]:
    """Listen to a broker for the length of the block; the listener's client may publish too."""
    protocol = ProtocolVersion.V5 if modern else ProtocolVersion.V311
    async with Client("127.0.0.1", port, protocol=protocol, **more) as client:  # type: ignore[arg-type]
        listener = Listener(client)
        for topic in topics:
            await client.subscribe(topic, qos=1)

        async def hear() -> None:
            async for message in client.messages:
                listener.heard.append(message)

        task = asyncio.create_task(hear())
        try:
            yield listener
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition; fails with `what` when it does not come true."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"never came true: {what}"
        await asyncio.sleep(0.01)
