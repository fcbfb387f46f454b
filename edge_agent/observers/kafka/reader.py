"""Reads the records of a topic one at a time: what cannot be decoded is passed over, and costs no other record.

It stands on a started AIOKafkaConsumer, and notices what that one keeps to itself: brokers that do not answer, and a
topic that was deleted or made anew.
"""

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import structlog
from aiokafka import TopicPartition, errors as kafka_errors
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords

from edge_agent.observers.kafka import codecs  # noqa: F401 - bounds aiokafka's codecs
from edge_agent.observers.kafka.topic_id import topic_id
from edge_agent.runtime.timeouts import cancel_and_forget, with_timeout

CHECK_S = 2.0
"""Seconds between two checks that the brokers answer and that the topic is still the same one."""

_PROBE_BYTES = 1_048_576
_UNDECODABLE = (
    kafka_errors.CorruptRecordException,
    kafka_errors.UnsupportedCodecError,
    kafka_errors.RecordTooLargeError,
)

_log = structlog.get_logger(__name__)


_CHANGED = (kafka_errors.OffsetOutOfRangeError, kafka_errors.NoOffsetForPartitionError)


class TopicChangedError(Exception):
    """A position is not in the topic any more: it was made anew, or its end was lost, or it has a new partition."""


@dataclass
class TopicProgress:
    """How far a topic has been read: the offsets that come next, and the topic's id where brokers tell it. Mutable."""

    positions: dict[TopicPartition, int] = field(default_factory=dict)
    topic_id: bytes | None = None

    def forget(self) -> None:
        """Begin anew."""
        self.positions, self.topic_id = {}, None


class RecordReader:
    """Reads one topic by a consumer that has been started.

    Args:
        consumer: a started AIOKafkaConsumer with `auto_offset_reset="none"`: aiokafka would go to another position
            without a word.
        timeout_s: how long a request may take.
        on_undecodable: called with the number of records that were passed over and the name of the error.
        progress: kept up to date as records are read; it may outlive the consumer.
    """

    def __init__(
        self,
        consumer: Any,
        timeout_s: float,
        on_undecodable: Callable[[int, str], None],
        progress: TopicProgress | None = None,
    ) -> None:
        self._progress = TopicProgress() if progress is None else progress
        self._consumer = consumer
        self._timeout_s = timeout_s
        self._on_undecodable = on_undecodable
        self._checks = asyncio.create_task(self._check_forever())

    async def seek(self, since_ms: int | None, *, resume: bool = False) -> dict[TopicPartition, int]:
        """Go to the first record since a time, None for the end, or with `resume` to where reading ended, where known.

        Without `resume` to the later of the two. Return the ends of the partitions now. Raises what aiokafka raises,
        and TopicChangedError.
        """
        partitions = list(self._consumer.assignment())
        await self._check_id(partitions)
        ends: dict[TopicPartition, int] = await self._request(self._consumer.end_offsets(partitions))
        starts = ends if since_ms is None else ends | await self._since(partitions, since_ms)
        positions = self._progress.positions
        for partition, start in starts.items():
            known = positions.get(partition, start)
            positions[partition] = known if resume else max(known, start)
            self._consumer.seek(partition, positions[partition])
        return ends

    async def _since(self, partitions: list[TopicPartition], since_ms: int) -> dict[TopicPartition, int]:
        """Return the offsets of the first records since a time, where there are any."""
        if since_ms <= 0:
            beginnings: dict[TopicPartition, int] = await self._request(self._consumer.beginning_offsets(partitions))
            return beginnings
        try:
            found = await self._request(self._consumer.offsets_for_times(dict.fromkeys(partitions, since_ms)))
        except kafka_errors.KafkaError as error:  # some brokers cannot look up offsets by time
            _log.info("no_history", why=type(error).__name__)
            return {}
        return {partition: each.offset for partition, each in found.items() if each is not None}

    async def read(self, timeout_ms: int, max_records: int) -> list[Any]:
        """Return the next records, none after `timeout_ms`; raises what is wrong with the link or the topic."""
        records: list[Any] = []
        while len(records) < max_records:
            if self._checks.done():
                self._checks.result()
            try:
                # One at a time: an error within several would lose those of other partitions that came before it.
                found = await self._consumer.getmany(timeout_ms=0 if records else timeout_ms, max_records=1)
            except Exception as error:
                if records:
                    break  # it is raised again by the next call
                if isinstance(error, _CHANGED):
                    raise TopicChangedError from error
                if isinstance(error, kafka_errors.KafkaError) and not isinstance(error, _UNDECODABLE):
                    raise
                await self._pass_over(error)
                continue
            if not found:
                break
            for partition, few in found.items():
                records += few
                self._progress.positions[partition] = few[-1].offset + 1
        return records

    def close(self) -> None:
        """End the checks."""
        cancel_and_forget(self._checks)

    async def _pass_over(self, error: Exception) -> None:
        """Go to the next batch that can be decoded, in every partition; raises the error if all of them can."""
        count = int(isinstance(error, kafka_errors.RecordTooLargeError))  # aiokafka has passed over it itself
        for partition in self._consumer.assignment():
            position = await self._request(self._consumer.position(partition))
            end = _decodable_from(await self._fetch(partition, position), position)
            if end > position:
                self._consumer.seek(partition, end)
                self._progress.positions[partition] = end
                count += end - position
        if not count:
            raise error
        self._on_undecodable(count, type(error).__name__)

    async def _fetch(self, partition: TopicPartition, position: int) -> bytes:
        """Return the batches at a position, as bytes: aiokafka has no other way to tell where one ends."""
        client = self._consumer._client
        topics = [(partition.topic, [(partition.partition, position, _PROBE_BYTES)])]
        node = client.cluster.leader_for_partition(partition)
        answer = await self._request(client.send(node, FetchRequest(0, 1, _PROBE_BYTES, 0, topics)))
        parts = [part for _topic, parts in answer.topics for part in parts]
        return bytes(parts[0][-1] or b"") if parts else b""

    async def _check_forever(self) -> NoReturn:
        """Check the link and our positions until something is wrong, which is raised."""
        while True:
            await asyncio.sleep(CHECK_S)
            partitions = list(self._consumer.assignment())
            if not partitions:  # it was deleted: aiokafka goes on with none
                raise kafka_errors.UnknownTopicOrPartitionError
            try:
                await self._request(self._consumer.end_offsets(partitions))
            except (TimeoutError, kafka_errors.KafkaTimeoutError):
                if self._consumer.assignment():
                    raise
                continue
            await self._check_id(partitions)
            positions = self._progress.positions
            # Apache Kafka answers OFFSET_OUT_OF_RANGE instead, others with nothing.
            ends = {partition: self._consumer.highwater(partition) for partition in partitions}
            if any(end is not None and positions.get(partition, 0) > end for partition, end in ends.items()):
                raise TopicChangedError

    async def _check_id(self, partitions: list[TopicPartition]) -> None:
        """Raise TopicChangedError if the topic has another id: it may already reach further than our positions."""
        progress = self._progress
        for topic in {partition.topic for partition in partitions}:
            found = await self._request(topic_id(self._consumer._client, topic))
            if found is not None and progress.topic_id not in (None, found):
                raise TopicChangedError
            progress.topic_id = found or progress.topic_id

    async def _request(self, call: Any) -> Any:
        return await with_timeout(call, self._timeout_s)


def _decodable_from(raw: bytes, position: int) -> int:
    """Return the offset behind the batches at the beginning that cannot be decoded."""
    try:
        batches = MemoryRecords(raw)
        while batches.has_next():
            base = position
            batch = batches.next_batch()
            end = batch.next_offset
            try:
                decodable = batch.validate_crc() and all(True for _record in batch)
            except Exception:  # noqa: BLE001 - whatever a codec raises
                decodable = False
            if decodable:
                break
            position = max(base + 1, end)
    except Exception:  # noqa: BLE001 - not even its length makes sense
        return max(position, struct.unpack_from(">q", raw)[0]) + 1 if len(raw) >= struct.calcsize(">q") else position
    return position
