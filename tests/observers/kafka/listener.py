"""A listener for commands from Kafka at work, and what an attacker can send to it."""

import asyncio
import contextlib
import gzip
import struct
import time
from collections.abc import AsyncIterator
from typing import Any

import confluent_kafka
import cramjam
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record._crc32c import crc as crc32c
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from edge_agent.faults import FaultReport
from edge_agent.observers.cloudevents import OrderData, write_command
from edge_agent.observers.cloudevents.payloads import to_rfc3339
from edge_agent.observers.kafka.commands import KafkaCommandConsumer, own_messages
from tests.observers.kafka.rig import settings
from tests.support.commands import RecordingExecutor, command_handler
from tests.support.kafka_messages import KafkaMessage, message_of

TOPIC = "edge-agent-commands"
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def order(command_id: str, verb: str = "stop", train: str = "train-1") -> KafkaMessage:
    data = OrderData(command_id, to_rfc3339(time.time()))
    return message_of(write_command(train, verb, data, source="/consoles/fleet"))


def send(address: str, *messages: KafkaMessage, codec: str = "none", partition: int = -1) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": address, "compression.type": codec, "log_level": 0})
    for each in messages:
        producer.produce(TOPIC, each.value, each.key, partition=partition, headers=list(each.headers))
    assert producer.flush(10) == 0


def batch_of(codec: int, payload: bytes, count: int = 1) -> bytes:
    """Return a record batch whose checksum is right and whose records are `payload`."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    now_ms = round(time.time() * 1000)
    for number in range(count):
        builder.append(number, now_ms, None, b"", [])
    head = bytearray(builder.build())[:61]
    struct.pack_into(">i", head, 8, 61 - 12 + len(payload))
    struct.pack_into(">h", head, 21, codec)
    whole = head + payload
    struct.pack_into(">I", whole, 17, crc32c(bytes(whole[21:])))
    return bytes(whole)


def recompressed(codec: str, *messages: KafkaMessage) -> bytes:
    """Return a batch as a broker of Apache Kafka stores it in a topic whose own `compression.type` is a codec.

    It unpacks what producers send and writes it anew, in the forms of its Java libraries: snappy in xerial's frames,
    lz4 in frames of independent blocks without sizes or checksums, zstd as a stream whose size is not told.
    """
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for number, each in enumerate(messages):
        builder.append(number, round(time.time() * 1000), each.key, each.value, list(each.headers))
    number = CODECS.index(codec)
    return batch_of(number, _as_java(codec, bytes(builder.build())[61:]), len(messages))


def _as_java(codec: str, records: bytes) -> bytes:
    match codec:
        case "gzip":
            return gzip.compress(records)
        case "snappy":
            blocks = [
                bytes(cramjam.snappy.compress_raw(records[at : at + 32768])) for at in range(0, len(records), 32768)
            ]
            return b"\x82SNAPPY\0\0\0\0\1\0\0\0\1" + b"".join(struct.pack(">i", len(one)) + one for one in blocks)
        case "lz4":
            block = bytes(cramjam.lz4.compress_block(records, store_size=False))
            return bytes.fromhex("04224d18604082") + struct.pack("<i", len(block)) + block + bytes(4)
        case "zstd":
            stream = cramjam.zstd.Compressor()
            stream.compress(records)
            return bytes(stream.finish())
        case _:
            return records


def zstd_of_zeros(blocks: int) -> bytes:
    """Return a Zstandard frame (RFC 8878) of so many blocks, four bytes each, which say `128 KiB of zeros`."""
    head = bytes.fromhex("28b52ffd") + b"\x00\x58"  # no content size, a window of 2 MiB
    blocks_but_last = ((131072 << 3 | 0b010).to_bytes(3, "little") + b"\0") * (blocks - 1)
    return head + blocks_but_last + (131072 << 3 | 0b011).to_bytes(3, "little") + b"\0"


async def send_raw(address: str, *batches: bytes, topic: str = TOPIC) -> None:
    client = AIOKafkaClient(bootstrap_servers=address)
    await client.bootstrap()
    try:
        await client._wait_on_metadata(topic)
        for batch in batches:
            request = ProduceRequest(None, -1, 5000, [(topic, [(0, batch)])])
            answer = await client.send(client.get_random_node(), request)
            assert answer.topics[0][1][0][1] == 0, answer
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def listening(
    address: str, **changes: Any
) -> AsyncIterator[tuple[KafkaCommandConsumer, RecordingExecutor, list[FaultReport]]]:
    executor, faults = RecordingExecutor(), list[FaultReport]()
    consumer = KafkaCommandConsumer(
        settings(address, **changes),
        train_id="train-1",
        topic=TOPIC,
        read=own_messages("train-1"),
        commands=command_handler(executor),
        report_fault=faults.append,
    )
    task = asyncio.create_task(consumer.run())
    try:
        yield consumer, executor, faults
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(consumer.join)


def ids(executor: RecordingExecutor) -> list[str | None]:
    return [command.command_id for command in executor.executed]


BROKEN = {
    "lone surrogate": b"",
    "no known codec": batch_of(7, b"x"),
    "no zstd": batch_of(4, b"rubbish"),
    "no lz4": batch_of(3, b"rubbish"),
    "no snappy": batch_of(2, b"rubbish"),
    "no gzip": batch_of(1, b"rubbish"),
    "no record": batch_of(0, b"\x02\x00\x00", 3),
    "zstd of 1 GB": batch_of(4, zstd_of_zeros(8192)),
    "gzip of 200 MB": batch_of(1, gzip.compress(bytes(200_000_000), 1)),
}
