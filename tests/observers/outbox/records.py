"""Records to test with."""

import random

from hypothesis import strategies as st

from edge_agent.observers.outbox.record import OutboxRecord, RecordKind


def record(
    number: int, kind: RecordKind = RecordKind.TELEMETRY, *, size: int = 100, at_ms: int = 1_000_000
) -> OutboxRecord:
    """Return a record whose value starts with its number; `size` bytes that do not compress."""
    value = b"%08d" % number + random.Random(number).randbytes(size)  # noqa: S311 - no secret
    return OutboxRecord(kind, "topic", b"train-1", (("ce_id", str(number).encode()), ("ce_type", b"t")), value, at_ms)


def number_of(of: OutboxRecord) -> int:
    return int(of.value[:8])


_headers = st.lists(st.tuples(st.text(max_size=10), st.binary(max_size=30)), max_size=5).map(tuple)
any_record = st.builds(
    OutboxRecord,
    kind=st.sampled_from(RecordKind),
    topic=st.text(max_size=20),
    key=st.none() | st.binary(max_size=20),
    headers=_headers,
    value=st.binary(max_size=300),
    at_ms=st.integers(0, 2**53),
)
