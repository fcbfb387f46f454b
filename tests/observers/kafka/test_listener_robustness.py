"""No message costs the listener for commands another one, and no trouble leaves it deaf without a word. On tansu."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from edge_agent.control.commands import Verb
from edge_agent.observers.kafka.tools import tail
from tests.observers.kafka.listener import (
    BROKEN,
    CODECS,
    TOPIC,
    batch_of,
    ids,
    listening,
    order,
    recompressed,
    send,
    send_raw,
)
from tests.observers.kafka.rig import settings, until
from tests.support.kafka_brokers import Tansu, mock_cluster, tansu_behind_proxy
from tests.support.kafka_messages import KafkaMessage
from tests.support.proxy import free_port


@pytest.fixture(params=["tansu", "librdkafka"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the address of a broker: tansu writes batches anew, librdkafka's keeps the bytes that it was sent."""
    with contextlib.ExitStack() as stack:
        if request.param == "tansu":
            address = stack.enter_context(Tansu(tmp_path / "tansu.log")).address
        else:
            address = stack.enter_context(mock_cluster())
        send(address, order("before"))
        yield address


@pytest.mark.parametrize("codec", CODECS)
async def test_stop_is_heard_in_each_codec_and_among_what_others_compress(address: str, codec: str) -> None:
    async with listening(address) as (consumer, executor, faults):
        await until(lambda: consumer.listening, "it listens")
        for number in range(3):
            send(address, *[order("x", "drive", "train-2")] * 20, order(f"c-{number}"), codec=codec)
            send(address, order(f"p-{number}"))
            await until(lambda n=number: len(ids(executor)) == 2 * n + 2, "both stops")  # type: ignore[misc]
        assert faults == []


@pytest.mark.parametrize("codec", CODECS)
async def test_stop_is_heard_in_a_topic_that_its_broker_compresses(codec: str) -> None:
    with mock_cluster() as address:
        send(address, order("before"))
        async with listening(address) as (consumer, executor, faults):
            await until(lambda: consumer.listening, "it listens")
            batch = recompressed(
                codec, *[order("x", "drive", "train-2")] * 30, order("stop"), order("disarm", "disarm")
            )
            await send_raw(address, batch)
            await until(lambda: ids(executor) == ["stop", "disarm"], "both stops")
            assert faults == []


@pytest.mark.parametrize("what", BROKEN)
async def test_message_that_cannot_be_decoded_is_told_and_costs_no_stop(what: str) -> None:
    head = (("content-type", b"application/cloudevents+json"),)
    value = rb'{"specversion":"1.0","id":"1","source":"/x","type":"dev.edge-agent.order.v1","data":"\ud800"}'
    with mock_cluster() as address:
        send(address, order("before"))
        async with listening(address) as (consumer, executor, faults):
            await until(lambda: consumer.listening, "it listens")
            for number in range(4):
                if BROKEN[what]:
                    await send_raw(address, BROKEN[what])
                else:
                    send(address, KafkaMessage(b"train-1", head, value), partition=0)
                send(address, order(f"c-{number}"), partition=0)
                await until(lambda n=number: len(ids(executor)) == n + 1, "the stop")  # type: ignore[misc]
            assert consumer.unreadable >= 4
            assert [fault.code for fault in faults] == ["kafka_commands_unreadable"]
            assert TOPIC in faults[0].message


async def test_error_in_one_partition_costs_nothing_of_another() -> None:
    with mock_cluster() as address:
        send(address, order("before"))
        async with listening(address) as (consumer, executor, _faults):
            await until(lambda: consumer.listening, "it listens")
            for number in range(4):
                await send_raw(address, batch_of(7, b"x"))
                send(address, order(f"c-{number}"), partition=1)
            await until(lambda: len(ids(executor)) == 4, "all stops")
            await until(lambda: consumer.unreadable == 4, "all others")


async def test_topic_that_was_made_anew_is_followed_and_its_stops_are_read(tmp_path: Path) -> None:
    with Tansu(tmp_path / "tansu.log") as broker:
        send(broker.address, *[order("before")] * 9, partition=0)
        async with listening(broker.address) as (consumer, executor, _faults):
            await until(lambda: consumer.listening, "it listens")
            broker.kill()
            broker.start()  # with an empty memory
            send(broker.address, order("drive", "drive"), order("behind"), partition=0)
            await until(lambda: "behind" in ids(executor), "the stop that came before this was noticed")
            send(broker.address, order("later"), partition=0)
            await until(lambda: "later" in ids(executor), "the next one")
            assert all(command.verb is Verb.STOP for command in executor.executed)


async def test_topic_that_was_made_anew_and_has_grown_past_our_position_is_noticed(tmp_path: Path) -> None:
    with Tansu(tmp_path / "tansu.log") as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})
        admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result()
        for number in range(5):
            send(broker.address, order(f"before-{number}", train="train-2"), partition=0)
        async with listening(broker.address) as (consumer, executor, _faults):
            await until(lambda: consumer.listening, "it listens")
            admin.delete_topics([TOPIC])[TOPIC].result()
            admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result()
            send(broker.address, order("behind"), partition=0)
            for number in range(20):
                send(broker.address, order(f"after-{number}", train="train-2"), partition=0)
            await until(lambda: "behind" in ids(executor), "the stop that lies before our position")
            send(broker.address, order("later"), partition=0)
            await until(lambda: "later" in ids(executor), "the next one")


async def test_stops_that_came_while_the_link_was_cut_are_read_before_it_goes_on(tmp_path: Path) -> None:
    with tansu_behind_proxy(tmp_path) as (_broker, proxy):
        address = f"127.0.0.1:{proxy.port}"
        producer = confluent_kafka.Producer({"bootstrap.servers": address, "log_level": 0})
        send(address, order("before"))
        async with listening(address) as (consumer, executor, faults):
            await until(lambda: consumer.listening, "it listens")
            proxy.refuse()
            proxy.reset()
            await until(lambda: not consumer.listening, "the cut is noticed")
            late = [order(f"d-{number}", "drive") for number in range(20)]
            for each in [*late, order("stop")]:
                producer.produce(TOPIC, each.value, each.key, headers=list(each.headers))
            sender = asyncio.create_task(asyncio.to_thread(producer.flush, 20))
            await asyncio.sleep(0.5)
            proxy.mend()
            await sender
            await until(lambda: "stop" in ids(executor), "the stop")
            assert faults == []


async def test_trouble_of_the_listener_is_told_with_its_remedy() -> None:
    async with listening(f"127.0.0.1:{free_port()}") as (_consumer, _executor, faults):
        await until(lambda: bool(faults), "it is told")
        assert (faults[0].code, faults[0].remedy) == (
            "kafka_commands_away",
            "check the uplink and kafka.bootstrap_servers",
        )
        assert TOPIC in faults[0].message


async def test_tail_prints_what_cannot_be_decoded_and_goes_on() -> None:
    with mock_cluster() as address:
        send(address, order("first"), partition=0)
        await send_raw(address, BROKEN["no zstd"])
        send(address, order("last"), partition=0)
        seen = []
        async with contextlib.aclosing(tail(settings(address, topic=TOPIC), from_start=True)) as stream:
            async for message in stream:
                seen.append(message.envelope.id if message.envelope else message.problem)
                if len(seen) == 3:
                    break
    assert (seen[0], seen[2]) == ("first", "last")
    assert "DecompressionError" in seen[1]
