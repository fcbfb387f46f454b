"""What waits in the outbox: one message for a broker, with how much it matters.

Knows how a message becomes a small row and back. Knows nothing of SQLite, brokers or events.
"""

import json
import zlib
from dataclasses import dataclass, field
from enum import StrEnum

_WINDOW_BITS = -13  # raw deflate over 8 KiB: rows are below that, and a small window is quick to set up
_LENGTH_BYTES = 4
_PLAIN, _DEFLATED = b"\x00", b"\x01"


class RecordKind(StrEnum):
    """How much a message matters; in the order in which kinds have to go when there is no room."""

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
        """Bytes of everything that a broker gets."""
        headers = sum(len(name) + len(value) for name, value in self.headers)
        return len(self.value) + len(self.key or b"") + headers


def pack(record: OutboxRecord, dictionary: bytes) -> bytes:
    """Return the row of a record; `dictionary` holds what rows have in common, so that they need not repeat it.

    Pictures are stored as they are: nothing is left to squeeze out of them.
    """
    flat = serialise(record)
    if record.kind is RecordKind.IMAGE:
        return _PLAIN + flat
    squeeze = zlib.compressobj(6, zlib.DEFLATED, _WINDOW_BITS, 6, zlib.Z_DEFAULT_STRATEGY, dictionary)
    return _DEFLATED + squeeze.compress(flat) + squeeze.flush()


def serialise(record: OutboxRecord) -> bytes:
    """Return a record as bytes, before they are squeezed: what a dictionary is made of."""
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
        stretch = zlib.decompressobj(_WINDOW_BITS, dictionary)
        flat = stretch.decompress(flat) + stretch.flush()
    end = _LENGTH_BYTES + int.from_bytes(flat[:_LENGTH_BYTES], "big")
    topic, key, headers = json.loads(flat[_LENGTH_BYTES:end])
    pairs = tuple((name, value.encode("latin-1")) for name, value in headers)
    key = None if key is None else key.encode("latin-1")
    return OutboxRecord(kind, topic, key, pairs, flat[end:], at_ms, seq)
