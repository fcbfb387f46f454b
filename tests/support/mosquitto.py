"""A Mosquitto process on a free port, and a subscriber to it."""

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
"""Only a test that fails waits this long."""


def _command(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    assert path is not None, f"{name} is missing: install the package mosquitto"
    return path


def passwords(folder: Path, user: str, password: str) -> Path:
    """Return a file with one user's password, for `password_file`."""
    file = folder / "passwords"
    subprocess.run(
        [_command("mosquitto_passwd"), "-b", "-c", str(file), user, password], check=True, capture_output=True
    )
    return file


class Mosquitto:
    """A broker process that can be killed, frozen (SIGSTOP) and thawed."""

    def __init__(self, folder: Path, *lines: str, host: str = "127.0.0.1", port: int | None = None) -> None:
        self.host = host
        self.port = port or free_port()
        self._config = folder / f"mosquitto-{self.port}.conf"
        head = [f"listener {self.port} {host}", "persistence false", "log_dest stderr", "log_type warning"]
        if os.geteuid() == 0:
            head.append("user root")  # otherwise it drops its privileges and cannot read the test's folder
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

    def reload(self) -> None:
        """Read the configuration and the access rules again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

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


class Subscriber:
    """Records all messages that a broker delivers, in order."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.received: list[Message] = []

    def on(self, topic: str) -> list[Message]:
        return [message for message in self.received if message.topic.value == topic]

    def payloads(self, topic: str) -> list[bytes]:
        return [bytes(message.payload) for message in self.on(topic)]  # type: ignore[arg-type]

    def clear(self) -> None:
        self.received.clear()

    async def until(self, condition: "Callable[[Subscriber], object]", what: str) -> None:
        await until(lambda: bool(condition(self)), f"{what}; received {[m.topic.value for m in self.received][-20:]}")

    async def wait_for(self, topic: str, count: int = 1) -> list[Message]:
        await self.until(lambda consumer: len(consumer.on(topic)) >= count, f"{count} on {topic}")
        return self.on(topic)


@contextlib.asynccontextmanager
async def subscriber(
    port: int, topics: Iterable[str] = ("#",), *, modern: bool = True, **more: object
) -> AsyncIterator[Subscriber]:
    """Subscribe to a broker for the length of the block; the client may publish too."""
    protocol = ProtocolVersion.V5 if modern else ProtocolVersion.V311
    async with Client("127.0.0.1", port, protocol=protocol, **more) as client:  # type: ignore[arg-type]
        consumer = Subscriber(client)
        for topic in topics:
            await client.subscribe(topic, qos=1)

        async def record() -> None:
            async for message in client.messages:
                consumer.received.append(message)

        task = asyncio.create_task(record())
        try:
            yield consumer
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition; fail with `what` when it does not come true."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"never came true: {what}"
        await asyncio.sleep(0.01)
