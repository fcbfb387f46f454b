"""Brokers that refuse, black-hole, freeze and flap: the train's loop never waits, and assured events stay in order."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.faults import MQTT_UNREACHABLE
from edge_agent.observers.mqtt.client import MqttConnection
from edge_agent.observers.mqtt.errors import MqttLinkError
from edge_agent.observers.mqtt.messages import OutgoingMessage
from tests.observers.mqtt.rig import ROOT, Rig, quick, rig
from tests.support import events as make
from tests.support.faults import grace
from tests.support.mosquitto import Mosquitto, Subscriber, subscriber, until
from tests.support.proxy import Proxy, free_port


@pytest.fixture
def proxy(broker: Mosquitto) -> Iterator[Proxy]:
    with Proxy(broker.port) as proxy:
        yield proxy


def codes(consumer: Subscriber) -> list[str]:
    """Return the codes of the faults that a consumer has received, without those whose id it has received before."""
    seen: dict[str, str] = {}
    for message in consumer.on(f"{ROOT}/fault"):
        attributes = dict(getattr(message.properties, "UserProperty", []))
        seen.setdefault(attributes["id"], json.loads(bytes(message.payload))["code"])
    return [code for code in seen.values() if not code.startswith("mqtt")]


def numbered(first: int, count: int) -> list[str]:
    return [f"f{number}" for number in range(first, first + count)]


def publish(train: Rig, *names: str) -> None:
    train.publish(*(make.fault(name) for name in names))


async def test_broker_that_starts_late_gets_earlier_events(tmp_path: Path) -> None:
    port = free_port()
    async with rig(quick(port), before=[make.fault(name) for name in numbered(0, 50)]) as train:
        await until(lambda: train.mirror.stats().link.failures > 1, "tries again")
        broker = Mosquitto(tmp_path, port=port)
        with broker:
            async with subscriber(port) as consumer:
                await consumer.until(lambda it: len(codes(it)) == 50, "all faults")
                assert codes(consumer) == numbered(0, 50)


async def test_outage_longer_than_the_queue_drops_the_oldest_and_counts_them() -> None:
    async with rig(quick(free_port(), queue_size=10)) as train:
        publish(train, *numbered(0, 25))
        train.publish(*(make.prediction(make.frame(number)) for number in range(12)))
        await until(lambda: train.mirror.stats().dropped == 17, f"{train.mirror.stats()}")
        stats = train.mirror.stats().link
    assert (dict(stats.dropped), stats.waiting) == ({"fault": 15, "prediction": 2}, 20)


async def test_outage_does_not_fill_the_memory_with_pictures() -> None:
    frames = [make.frame(number) for number in range(30)]
    async with rig(quick(free_port(), images=True)) as train:
        for frame in frames:
            train.publish(frame)
            await asyncio.sleep(0)
        await until(lambda: train.mirror.stats().images_dropped == 29, "all but one")


@pytest.mark.parametrize("trouble", ["cut", "reset", "refuse", "black_hole"])
async def test_no_assured_event_is_lost_when_the_link_breaks(broker: Mosquitto, proxy: Proxy, trouble: str) -> None:
    async with subscriber(broker.port) as consumer, rig(quick(proxy.port)) as train:
        await train.wait_connected()
        publish(train, *numbered(0, 20))
        await consumer.wait_for(f"{ROOT}/fault", 10)
        getattr(proxy, trouble)()
        publish(train, *numbered(20, 20))
        if trouble in ("refuse", "black_hole"):
            await until(lambda: train.mirror.stats().link.failures > 0, "notices")
            publish(train, *numbered(40, 10))
            proxy.mend()
        else:
            publish(train, *numbered(40, 10))
        await consumer.until(lambda it: len(codes(it)) >= 50, "all faults")
        assert codes(consumer) == numbered(0, 50)
        assert train.mirror.stats().dropped == 0


async def test_frozen_broker_is_noticed_though_nothing_fails_at_qos_0(broker: Mosquitto) -> None:
    """Telemetry goes out at QoS 1 each second, so the silence is noticed long before the keep-alive ends."""
    config = quick(broker.port, keep_alive_s=3600)
    async with rig(config) as train:
        await train.wait_connected()
        broker.freeze()
        train.publish(*(make.prediction(make.frame(number)) for number in range(5)))
        await until(lambda: train.mirror.stats().link.failures > 0, "notices")
        publish(train, *numbered(0, 10))
        broker.thaw()
        await train.wait_connected()
        async with subscriber(broker.port) as consumer:
            publish(train, *numbered(10, 10))
            await consumer.until(lambda it: "f19" in codes(it), "the newest")


async def test_flapping_broker_gets_everything_in_order(broker: Mosquitto, proxy: Proxy) -> None:
    async with subscriber(broker.port) as consumer, rig(quick(proxy.port)) as train:
        for round_ in range(5):
            await train.wait_connected()
            publish(train, *numbered(round_ * 20, 10))
            proxy.refuse()
            publish(train, *numbered(round_ * 20 + 10, 10))
            await until(lambda: not train.connected, "notices")
            proxy.mend()
        await consumer.until(lambda it: len(codes(it)) >= 100, "all faults")
        assert codes(consumer) == numbered(0, 100)
        assert train.mirror.stats().dropped == 0


async def test_vanished_train_is_offline_by_its_last_will(broker: Mosquitto, proxy: Proxy) -> None:
    async with subscriber(broker.port) as consumer, rig(quick(proxy.port)) as train:
        await train.wait_connected()
        proxy.refuse()
        await consumer.until(lambda it: b"offline" in it.payloads(f"{ROOT}/availability"), "the last will")
        proxy.mend()
        await consumer.until(lambda it: it.payloads(f"{ROOT}/availability")[-1] == b"online", "back")


async def test_outage_is_reported_when_it_lasts_and_when_it_is_over(broker: Mosquitto, proxy: Proxy) -> None:
    async with rig(quick(proxy.port)) as train:
        await train.wait_connected()
        proxy.refuse()
        await until(lambda: train.mirror.stats().link.failures >= 2, "tries")
        assert train.codes() == [], "a short one is not reported"
        with grace(0.0, MQTT_UNREACHABLE):
            await until(lambda: train.codes() == ["mqtt_unreachable"], "reported")
        proxy.mend()
        await until(lambda: train.codes(active=False) == ["mqtt_unreachable"], "reported as over")
    assert "cannot be reached" in train.faults[0].message


@contextmanager
def unresponsive() -> Iterator[tuple[int, socket.socket]]:
    """Yield a port at which connects hang: its backlog is full, so the kernel does not answer."""
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1], server


async def test_connect_that_hangs_is_given_up_in_time() -> None:
    with unresponsive() as (port, _):
        async with rig(quick(port, connect_timeout_s=0.2)) as train:
            await until(lambda: train.mirror.stats().link.failures >= 3, "tries again")
            assert not train.connected


def connection(port: int, **changes: object) -> MqttConnection:
    will = OutgoingMessage("gone", b"", qos=1)
    return MqttConnection(quick(port, **changes), "test", will, asyncio.Queue)


def first_bytes(server: socket.socket) -> bytes:
    """Return what the next client sends before it disconnects."""
    server.settimeout(20)
    client, _ = server.accept()
    with client:
        client.settimeout(20)
        return client.recv(100)


async def test_attempt_that_was_given_up_never_logs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would disconnect the next attempt, which has the same client id."""
    resolvable = threading.Event()
    getaddrinfo = socket.getaddrinfo

    def slow(*args: Any, **kwargs: Any) -> Any:
        resolvable.wait(20)
        return getaddrinfo(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(MqttLinkError):
            await connection(server.getsockname()[1], connect_timeout_s=0.2).open()
        resolvable.set()
        assert await asyncio.to_thread(first_bytes, server) == b""


async def test_attempt_that_hangs_behind_the_trial_connection_does_not_stay(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Aiomqtt's thread cannot be interrupted: the connect that ends too late is disconnected."""
    resolvable = threading.Event()
    calls: list[None] = []
    getaddrinfo = socket.getaddrinfo

    def slow(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        if len(calls) > 1:
            resolvable.wait(20)
        return getaddrinfo(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    await asyncio.to_thread(time.sleep, 0)  # the executor's own files are counted before
    before, tasks = open_files(), len(asyncio.all_tasks())
    with pytest.raises(MqttLinkError):
        await connection(broker.port, connect_timeout_s=0.5).open()
    resolvable.set()
    await until(lambda: (len(asyncio.all_tasks()), open_files()) == (tasks, before), "all is closed")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_attempts_that_fail_leave_no_sockets_behind(broker: Mosquitto) -> None:
    broker.freeze()
    await asyncio.to_thread(time.sleep, 0)  # the executor's own files are counted before
    before, tasks = open_files(), len(asyncio.all_tasks())
    for _ in range(5):
        with pytest.raises(MqttLinkError) as caught:
            await connection(broker.port, connect_timeout_s=0.1).open()
        assert caught.value.kind.code == "mqtt_unreachable"
    await until(lambda: len(asyncio.all_tasks()) == tasks, "all tasks end")
    assert open_files() == before


async def test_end_of_the_run_does_not_wait_for_a_black_hole(broker: Mosquitto, proxy: Proxy) -> None:
    async with asyncio.timeout(20):
        async with rig(quick(proxy.port, connect_timeout_s=60.0)) as train:
            await train.wait_connected()
            proxy.black_hole()
            publish(train, *numbered(0, 10))


PROGRAM = """
import asyncio, contextlib, sys
from edge_agent.config import MqttSettings
from edge_agent.runtime.queues import Fanout
from edge_agent.observers.mqtt.home_assistant import HomeAssistantDevice
from edge_agent.observers.mqtt.mirror import MqttMirror

async def main():
    settings = MqttSettings(enabled=True, port=int(sys.argv[1]), connect_timeout_s=60.0)
    mirror = MqttMirror(settings, HomeAssistantDevice("train-1", "Train", "0"), report_fault=print)
    task = asyncio.create_task(mirror.run(Fanout().subscribe("mqtt", 10)))
    while mirror.stats().link.attempts == 0:
        await asyncio.sleep(0.01)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

asyncio.run(main())
print("ended")
"""


def test_process_ends_while_a_connect_hangs() -> None:
    """Python joins the threads of an ordinary executor; this connect would take a minute."""
    with unresponsive() as (port, _):
        done = subprocess.run([sys.executable, "-c", PROGRAM, str(port)], timeout=40, capture_output=True, check=True)
    assert done.stdout == b"ended\n"


async def lag_s(rounds: int) -> float:
    """Return the longest delay with which a sleeping task of this loop woke, in seconds."""
    worst_s = 0.0
    for _ in range(rounds):
        due_s = time.monotonic() + 0.01
        await asyncio.sleep(0.01)
        worst_s = max(worst_s, time.monotonic() - due_s)
    return worst_s


async def test_loop_is_as_quick_beside_a_mirror_with_faults_as_without_one(broker: Mosquitto, proxy: Proxy) -> None:
    """Each attempt to connect takes a second: a loop that waited for one would be late by that much."""
    alone_s = await lag_s(50)
    async with rig(quick(proxy.port, images=True)) as train:
        await train.wait_connected()
        for trouble in (proxy.black_hole, proxy.refuse):
            trouble()
            train.publish(*make.one_of_each())
            assert await lag_s(80) < alone_s + 0.5
            proxy.mend()


async def test_event_costs_the_trains_loop_less_than_a_tenth_of_a_millisecond_of_its_time(broker: Mosquitto) -> None:
    """Measured as CPU time of the loop's own thread, which does not depend on other load."""
    events = [event for _ in range(50) for event in make.one_of_each()]
    async with rig(quick(broker.port, images=True)) as train:
        await train.wait_connected()
        begun_s = time.thread_time()
        for event in events:
            train.mirror.append(event)
        spent_ms = (time.thread_time() - begun_s) * 1000
    assert spent_ms / len(events) < 0.1


async def test_run_that_ends_at_once_leaves_no_thread_behind() -> None:
    """The end may come before the thread has begun its work."""
    for _ in range(20):
        async with rig(quick(free_port())):
            pass
    await until(lambda: not [thread for thread in threading.enumerate() if thread.name == "mqtt"], "all have ended")
