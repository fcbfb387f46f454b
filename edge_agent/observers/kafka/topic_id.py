"""The id that Kafka gives a topic: one that was made anew under the same name has another (KIP-516).

aiokafka does not ask for it. Brokers tell it from version 10 of the metadata on, Apache Kafka since 2.8.
"""

from io import BytesIO
from typing import Any, ClassVar

import structlog
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

_METADATA = 3
_VERSION = 12
_NO_ID = bytes(16)

_log = structlog.get_logger(__name__)


class _Uuid(AbstractType[bytes]):  # type: ignore[misc]
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: Any) -> bytes:
        return bytes(data.read(16))


_NAME = CompactString("utf-8")
_BROKER = (("node", Int32), ("host", _NAME), ("port", Int32), ("rack", _NAME), ("tags", TaggedFields))
_PARTITION = (
    ("error", Int16),
    *((name, Int32) for name in ("number", "leader", "epoch")),
    *((name, CompactArray(Int32)) for name in ("replicas", "in_sync", "offline")),
    ("tags", TaggedFields),
)
_TOPIC = (
    ("error", Int16),
    ("name", _NAME),
    ("id", _Uuid),
    ("internal", Boolean),
    ("partitions", CompactArray(*_PARTITION)),
    ("operations", Int32),
    ("tags", TaggedFields),
)
_ANSWER = Schema(
    ("throttle_ms", Int32),
    ("brokers", CompactArray(*_BROKER)),
    ("cluster", _NAME),
    ("controller", Int32),
    ("topics", CompactArray(*_TOPIC)),
)


class _RawAnswer(Response):  # type: ignore[misc]
    API_KEY = _METADATA
    API_VERSION = _VERSION
    SCHEMA = _ANSWER

    @classmethod
    def decode(cls, data: Any) -> Any:
        # As bytes: an error here would close the connection that commands come by.
        return data.read()


class _RequestV12(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = _METADATA
    API_VERSION = _VERSION
    RESPONSE_TYPE = _RawAnswer
    SCHEMA = Schema(
        ("topics", CompactArray(("id", _Uuid), ("name", _NAME), ("tags", TaggedFields))),
        ("create", Boolean),
        ("operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_RequestV12]):  # type: ignore[misc]
    API_KEY: ClassVar[int] = _METADATA

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: type[_RequestV12]) -> _RequestV12:
        return request_struct_class([(_NO_ID, self._topic, {})], False, False, {})


async def topic_id(client: Any, topic: str) -> bytes | None:
    """Return the 16 bytes of a topic's id, by a started AIOKafkaClient; None where the brokers do not tell it."""
    try:
        answer = await client.send(client.get_random_node(), _MetadataRequest(topic))
    except (IncompatibleBrokerVersion, NotImplementedError):
        return None
    try:
        topics = _ANSWER.decode(BytesIO(answer))[4]
        found = {name: identity for error, name, identity, *_ in topics if not error}
    except Exception as error:  # noqa: BLE001 - whatever a broker answers
        _log.debug("topic_id_unreadable", why=type(error).__name__)
        return None
    identity = found.get(topic, _NO_ID)
    return None if identity == _NO_ID else identity
