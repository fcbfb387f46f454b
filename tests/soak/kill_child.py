"""A process with an outbox and its uplink, to be ended by SIGKILL: `kill_child PATH ADDRESS FIRST`.

Appends numbers from FIRST on, and writes each to stdout, unbuffered, as soon as it is committed: what the parent reads
was committed before the kill.
"""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from edge_agent.config import KafkaSettings
from edge_agent.faults import FaultReporter
from edge_agent.observers.kafka.uplink import Uplink
from edge_agent.observers.outbox.outbox import Outbox
from edge_agent.observers.outbox.record import OutboxRecord, RecordKind
from edge_agent.observers.outbox.store import Budget


def encode(number: int, _sequence: int) -> Sequence[OutboxRecord]:
    return (OutboxRecord(RecordKind.SAFETY, "kill", b"train-1", (), b"%d" % number, 1_000 * number),)


def main(path: Path, address: str, first: int) -> None:
    """Append until killed; with a negative FIRST only send the backlog and exit."""
    settings = KafkaSettings(bootstrap_servers=(address,), send_timeout_s=2, retry_max_s=1)
    outbox: Outbox[int] = Outbox(path, Budget(), encode, faults=FaultReporter(lambda _: None, time.monotonic))
    uplink = Uplink(settings, outbox, "kill", faults=FaultReporter(lambda _: None, time.monotonic))
    base = -1

    def committed() -> None:
        nonlocal base
        last = outbox.stats.last_seq
        if base < 0:
            base = last  # rows of earlier runs
        os.write(1, b"%d\n" % (first + last - base))
        uplink.wake()

    outbox.start(committed)
    if first < 0:
        outbox.flush().result(30)
        uplink.start()
        uplink.finish()
        sys.exit(0 if uplink.join(60) and outbox.close(10) else 1)
    uplink.start()
    number = first
    while True:
        outbox.put(number)
        number += 1
        time.sleep(0.0005)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
