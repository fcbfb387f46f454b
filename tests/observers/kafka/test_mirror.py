"""Events reach real brokers: once and in order for who drops what came twice, through every kind of trouble.

tests/support/kafka_brokers.py tells which broker proves what.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cloudevents.core.bindings import kafka as sdk_kafka

from edge_agent.events import Event, Fault
from edge_agent.faults import KAFKA_UNREACHABLE
from edge_agent.observers.kafka.client import KafkaLinkError
from edge_agent.observers.kafka.producer import Producer
from edge_agent.observers.outbox.record import RecordKind
from edge_agent.observers.outbox.store import Budget, OutboxStore
from tests.observers.kafka.rig import Rig, rig, settings, until
from tests.observers.outbox.records import record
from tests.support import events as make
from tests.support.faults import grace
from tests.support.kafka_brokers import Consumed, Tansu, mock_cluster, tansu_behind_proxy
from tests.support.proxy import Proxy, free_port

TOPIC = "edge-agent-events"


@pytest.fixture
def behind_proxy(tmp_path: Path) -> Iterator[tuple[Tansu, Proxy]]:
    with tansu_behind_proxy(tmp_path) as pair:
        yield pair


def numbered(number: int) -> Fault:
    return make.fault(f"event_{number:06d}")


def first_copies(consumed: Consumed) -> list[str]:
    """Return what a consumer has that drops ids it has seen: subjects in the order of their first arrival."""
    seen: dict[str, str] = {}
    for identity, subject in zip(consumed.headers("ce_id"), consumed.headers("ce_subject"), strict=True):
        seen.setdefault(identity, subject)
    return [subject for subject in seen.values() if subject.startswith("event_")]


def expected(count: int) -> list[str]:
    return [f"event_{number:06d}" for number in range(count)]


def appended(at: Rig) -> int:
    return sum(count.appended for count in at.mirror.stats().outbox.counts.values())


def the_chain() -> list[Event]:
    return make.one_of_each()


async def test_events_arrive_in_order_at_a_broker_without_idempotence(tmp_path: Path) -> None:
    """Tansu refuses InitProducerId: a plain producer takes over."""
    with Tansu(tmp_path / "tansu.log") as broker, Consumed(broker.address, TOPIC) as consumed:
        async with rig(settings(broker.address), tmp_path / "outbox.db") as at:
            events = the_chain()
            at.publish(*events)
            await until(lambda: len(consumed.messages) == len(events), "everything arrived")
            assert at.mirror.stats().uplink.idempotent is False
            await until(lambda: at.waiting == 0, "acknowledged rows are pruned")
        kinds = [name.split(".")[2] for name in consumed.headers("ce_type")]
        assert kinds == ["frame", "prediction", "decision", "command", "fault", "state", "answer"]
        assert consumed.headers("ce_sequence") == sorted(consumed.headers("ce_sequence"))
        assert {message.key() for message in consumed.messages} == {b"train-1"}
        picture = consumed.messages[0]
        assert (dict(picture.headers())["content-type"], picture.value()[:2]) == (b"image/jpeg", b"\xff\xd8")
        message = consumed.messages[1]
        event = sdk_kafka.from_binary_event(
            sdk_kafka.KafkaMessage(dict(message.headers()), message.key(), message.value())
        )
        data = event.get_data()
        assert isinstance(data, dict)
        assert data["detections"][0]["label"] == "stop"
        assert event.get_extension("causationid") == consumed.headers("ce_id")[0]


async def test_events_arrive_in_order_at_a_broker_with_idempotence(tmp_path: Path) -> None:
    """Librdkafka's mock cluster admits an idempotent producer; the order is what its consumer reads."""
    with mock_cluster() as address, Consumed(address, TOPIC) as consumed:
        async with rig(settings(address), tmp_path / "outbox.db") as at:
            for number in range(300):
                at.publish(numbered(number))
                await asyncio.sleep(0.002)
            await until(lambda: len(consumed.messages) >= 300, "everything arrived")
            stats = at.mirror.stats().uplink
            assert (stats.idempotent, stats.failures, stats.batches > 1) == (True, 0, True)
        assert consumed.headers("ce_subject") == expected(300)


async def test_structured_mode_puts_the_whole_event_into_the_value(tmp_path: Path) -> None:
    with Tansu(tmp_path / "tansu.log") as broker, Consumed(broker.address, TOPIC) as consumed:
        async with rig(settings(broker.address, mode="structured", images=False), tmp_path / "outbox.db") as at:
            at.publish(*the_chain())
            await until(lambda: len(consumed.messages) == 6, "everything but the frame arrived")
        assert set(consumed.headers("content-type")) == {"application/cloudevents+json"}
        document = json.loads(consumed.messages[2].value())
        assert (document["type"], document["data"]["kind"]) == ("dev.edge-agent.command.v1", "brake")


async def test_compat_speaks_the_originals_topic_too(tmp_path: Path) -> None:
    with (
        Tansu(tmp_path / "tansu.log") as broker,
        Consumed(broker.address, "train-monitoring") as theirs,
        Consumed(broker.address, TOPIC) as ours,
    ):
        async with rig(settings(broker.address, images=False), tmp_path / "outbox.db", compat=True) as at:
            at.publish(*the_chain())
            await until(lambda: len(theirs.messages) == 1 and len(ours.messages) == 6, "both topics have theirs")
        document = json.loads(theirs.messages[0].value())
        assert (document["type"], document["subject"]) == ("result", "result-message")
        assert document["data"]["image"].startswith("data:image/webp;base64,UklGR")
        assert document["data"]["detections"][0]["class_name"] == "DangerAhead"


async def test_nothing_is_lost_and_order_kept_through_every_kind_of_trouble(
    tmp_path: Path, behind_proxy: tuple[Tansu, Proxy]
) -> None:
    broker, proxy = behind_proxy
    number = 0

    async def live(at: Rig, count: int) -> None:
        nonlocal number
        for _ in range(count):
            at.publish(numbered(number))
            number += 1
            await asyncio.sleep(0.005)

    troubles = [proxy.cut, proxy.reset, proxy.refuse, proxy.black_hole, lambda: proxy.delay(0.2), broker.pause]
    with Consumed(broker.address, TOPIC) as consumed:
        async with rig(settings(f"127.0.0.1:{proxy.port}"), tmp_path / "outbox.db") as at:
            for trouble in troubles:
                await live(at, 40)
                trouble()
                await live(at, 60)
                broker.resume()
                proxy.mend()
                await until(lambda: at.mirror.stats().uplink.connected and at.waiting == 0, f"{trouble} is over")
            await until(lambda: len(first_copies(consumed)) == number, "everything arrived")
        assert first_copies(consumed) == expected(number)


async def test_broker_that_is_away_is_told_and_its_return_too(tmp_path: Path) -> None:
    broker = Tansu(tmp_path / "tansu.log")
    with grace(0.3, KAFKA_UNREACHABLE):
        async with rig(settings(broker.address), tmp_path / "outbox.db") as at:
            at.publish(*(numbered(number) for number in range(20)))
            await until(lambda: at.codes() == ["kafka_unreachable"], "the outage is told")
            assert at.faults[0].severity.value == "info"
            assert "cannot be reached" in at.faults[0].message
            with broker, Consumed(broker.address, TOPIC) as consumed:
                await until(lambda: len(consumed.messages) == 20, "what waited arrives")
                await until(lambda: at.codes(active=False) == ["kafka_unreachable"], "its end is told")
            assert first_copies(consumed) == expected(20)


async def test_end_with_a_dead_broker_is_prompt_and_the_next_start_sends_the_rest(tmp_path: Path) -> None:
    port = free_port()
    async with rig(settings(f"127.0.0.1:{port}"), tmp_path / "outbox.db") as at:
        at.publish(*(numbered(number) for number in range(50)))
    store = OutboxStore(tmp_path / "outbox.db", Budget())
    assert store.counts[RecordKind.SAFETY].rows == 50
    store.close()
    with Tansu(tmp_path / "tansu.log") as broker, Consumed(broker.address, TOPIC) as consumed:
        async with rig(settings(broker.address), tmp_path / "outbox.db") as at:
            at.publish(numbered(50))
            await until(lambda: len(consumed.messages) == 51, "old and new arrived")
        assert consumed.headers("ce_subject") == expected(51)


async def test_what_waits_is_sent_at_the_end(tmp_path: Path) -> None:
    with Tansu(tmp_path / "tansu.log") as broker, Consumed(broker.address, TOPIC) as consumed:
        async with rig(settings(broker.address), tmp_path / "outbox.db") as at:
            await until(lambda: at.mirror.stats().uplink.connected, "connected")
            at.publish(*(numbered(number) for number in range(30)))
            await asyncio.sleep(0)
        await until(lambda: len(consumed.messages) == 30, "everything arrived")


async def test_frames_that_wait_too_long_go_and_events_stay(tmp_path: Path, behind_proxy: tuple[Tansu, Proxy]) -> None:
    broker, proxy = behind_proxy
    proxy.refuse()
    config = settings(f"127.0.0.1:{proxy.port}", outbox={"max_images_mb": 2})
    with Consumed(broker.address, TOPIC) as consumed:
        async with rig(config, tmp_path / "outbox.db") as at:
            for number in range(60):
                at.publish(make.frame(number, width=1200, height=800), numbered(number))
                await asyncio.sleep(0.01)
                await until(lambda: at.mirror.stats().waiting < 20, "the outbox keeps up")
            await until(lambda: appended(at) == 120, "everything is committed")
            count = at.mirror.stats().outbox.counts[RecordKind.IMAGE]
            assert count.evicted > 0
            assert count.rows + count.evicted == 60
            assert "outbox_evicted" in at.codes()
            kept = count.rows
            proxy.mend()
            await until(lambda: len(consumed.messages) == 60 + kept, "all events and the newest frames arrived")
        assert first_copies(consumed) == expected(60)
        frames = [index for index, name in enumerate(consumed.headers("ce_type")) if "frame" in name]
        assert len(frames) == kept


async def test_message_over_the_limit_becomes_a_dead_letter_and_holds_nobody_up(tmp_path: Path) -> None:
    with Tansu(tmp_path / "tansu.log") as broker, Consumed(broker.address, TOPIC) as consumed:
        config = settings(broker.address, max_message_bytes=5000)
        async with rig(config, tmp_path / "outbox.db") as at:
            at.publish(numbered(0), make.frame(), numbered(1), make.fault("x" * 6000), numbered(2))
            await until(lambda: len(first_copies(consumed)) == 3, "the small ones arrived")
            await until(lambda: at.codes() == ["kafka_dead_letter"] * 2, "each is told")
            await until(lambda: at.waiting == 0, "nothing waits")
            counts = at.mirror.stats().outbox.counts
            assert (counts[RecordKind.IMAGE].dead, counts[RecordKind.SAFETY].dead) == (1, 1)
        assert first_copies(consumed) == expected(3)


async def test_backlog_is_drained_at_the_configured_rate(tmp_path: Path) -> None:
    config = settings("127.0.0.1:1", outbox={"drain_events_per_s": 1000})
    async with rig(config, tmp_path / "outbox.db") as at:
        at.publish(*(numbered(number) for number in range(1200)))
        await until(lambda: at.waiting == 1200, "the backlog is on disk")
    with Tansu(tmp_path / "tansu.log") as broker, Consumed(broker.address, TOPIC) as consumed:
        begun_s = asyncio.get_running_loop().time()
        async with rig(settings(broker.address, outbox={"drain_events_per_s": 1000}), tmp_path / "outbox.db") as at:
            await until(lambda: at.mirror.stats().uplink.sent == 1200, "everything is sent")
            elapsed_s = asyncio.get_running_loop().time() - begun_s
            await until(lambda: len(consumed.messages) == 1200, "everything arrived")
        burst = 250
        assert elapsed_s * 1000 >= 1200 - burst
        assert first_copies(consumed) == expected(1200)


async def test_large_backlog_is_drained_at_the_configured_megabytes(tmp_path: Path) -> None:
    long_ago_s = asyncio.get_running_loop().time() - 100
    large = [replace(numbered(number), message="x" * 10_000, at_s=long_ago_s) for number in range(60)]
    async with rig(settings("127.0.0.1:1"), tmp_path / "outbox.db") as at:
        at.publish(*large)
        await until(lambda: at.waiting == 60, "the backlog is on disk")
    with Tansu(tmp_path / "tansu.log") as broker, Consumed(broker.address, TOPIC) as consumed:
        config = settings(broker.address, max_message_bytes=50_000, outbox={"drain_mb_per_s": 0.4})
        begun_s = asyncio.get_running_loop().time()
        async with rig(config, tmp_path / "outbox.db") as at:
            await until(lambda: at.mirror.stats().uplink.sent == 60, "everything is sent")
            elapsed_s = asyncio.get_running_loop().time() - begun_s
        burst_mb, last_batch_mb = 0.1, 0.05
        assert elapsed_s * 0.4 >= 0.6 - burst_mb - last_batch_mb
        await until(lambda: len(first_copies(consumed)) == 60, "everything arrived")
        assert first_copies(consumed) == expected(60)


async def test_reconnects_leave_no_socket_and_no_task_behind(
    behind_proxy: tuple[Tansu, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.observers.kafka.producer._ABANDON_S", 0.1)
    # As in the uplink's own loop: a future that aiokafka fails and forgets is nobody's news.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    _, proxy = behind_proxy
    config = settings(f"127.0.0.1:{proxy.port}", send_timeout_s=0.2)

    async def life(trouble: Callable[[], None]) -> None:
        producer = Producer(config, "test")
        with contextlib.suppress(KafkaLinkError):
            await producer.open()
            await producer.send([record(1)])
            trouble()
            await producer.send([record(2)])
        await producer.abandon()
        proxy.mend()

    troubles = [proxy.cut, proxy.reset, proxy.refuse, proxy.black_hole]
    await life(proxy.cut)
    tasks, sockets = asyncio.all_tasks(), own_sockets(proxy)
    for trouble in troubles * 3:
        await life(trouble)
    assert asyncio.all_tasks() == tasks
    await until(lambda: own_sockets(proxy) <= sockets, "every socket is closed")


def own_sockets(proxy: Proxy) -> int:
    """Count connections to the proxy that this process holds open from the client's side."""
    lines = Path("/proc/self/net/tcp").read_text().splitlines()[1:]
    remote = f"0100007F:{proxy.port:04X}"
    held = {str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}
    return sum(line.split()[2] == remote and f"socket:[{line.split()[9]}]" in held for line in lines)
