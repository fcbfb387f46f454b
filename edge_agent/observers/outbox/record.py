"""The record that waits in the outbox: one message for a broker, and its compact form as a row."""

import json
import zlib
from dataclasses import dataclass, field
from enum import StrEnum

_WINDOW_BITS = -13  # raw deflate over 8 KiB: rows are below that, and a small window is quick to set up
_LENGTH_BYTES = 4
_PLAIN, _DEFLATED = b"\x00", b"\x01"


class RecordKind(StrEnum):
    """How much a message matters, in the order of eviction."""

    IMAGE = "image"
    TELEMETRY = "telemetry"
    SAFETY = "safety"


@dataclass(frozen=True, slots=True)
class OutboxRecord:
    """One message for a broker. `at_ms` is its wall-clock time in ms since 1970.

    `seq` is its place in the outbox, 0 before it is committed; two records with the same message are equal.
    """

    kind: RecordKind
    topic: str
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    value: bytes = field(repr=False)
    at_ms: int
    seq: int = field(default=0, compare=False)

    @property
    def size(self) -> int:
        """Size of the message in bytes: key, headers and value."""
        headers = sum(len(name) + len(value) for name, value in self.headers)
        return len(self.value) + len(self.key or b"") + headers


def pack(record: OutboxRecord, dictionary: bytes) -> bytes:
    """Return the row of a record, deflated with a `dictionary` of what rows have in common, unless it is a picture."""
    flat = serialise(record)
    if record.kind is RecordKind.IMAGE:
        return _PLAIN + flat
    deflate = zlib.compressobj(6, zlib.DEFLATED, _WINDOW_BITS, 6, zlib.Z_DEFAULT_STRATEGY, dictionary)
    return _DEFLATED + deflate.compress(flat) + deflate.flush()


def serialise(record: OutboxRecord) -> bytes:
    """Return a record as bytes, not deflated; samples of these make a dictionary."""
    head = json.dumps(
        [
            record.topic,
            None if record.key is None else record.key.decode("latin-1"),
            [[name, value.decode("latin-1")] for name, value in record.headers],
        ],
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()
    return len(head).to_bytes(_LENGTH_BYTES, "big") + head + record.value


def unpack(kind: RecordKind, at_ms: int, row: bytes, dictionary: bytes, seq: int = 0) -> OutboxRecord:
    """Return the record of a row that was packed with the same dictionary."""
    flat = row[1:]
    if row[:1] == _DEFLATED:
        inflate = zlib.decompressobj(_WINDOW_BITS, dictionary)
        flat = inflate.decompress(flat) + inflate.flush()
    end = _LENGTH_BYTES + int.from_bytes(flat[:_LENGTH_BYTES], "big")
    topic, key, headers = json.loads(flat[_LENGTH_BYTES:end])
    pairs = tuple((name, value.encode("latin-1")) for name, value in headers)
    key = None if key is None else key.encode("latin-1")
    return OutboxRecord(kind, topic, key, pairs, flat[end:], at_ms, seq)
