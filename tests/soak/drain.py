"""Benchmark of draining an outbox with the default settings, frames included.

`python -m tests.soak.drain --minutes 5` fills an outbox with five minutes of driving (10 frames, predictions and
commands a second, one state) and drains it into a broker.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from edge_agent.config import KafkaSettings
from edge_agent.events import Event, Frame
from edge_agent.observers.kafka.encoder import RecordEncoder, compression_dictionary
from edge_agent.observers.kafka.tools import drain
from edge_agent.observers.outbox.outbox import budget_of
from edge_agent.observers.outbox.record import OutboxRecord
from edge_agent.observers.outbox.store import OutboxStore
from tests.support import events as make
from tests.support.kafka_brokers import Tansu

LEAST_TIMES_REAL_TIME = 20


def fill(path: Path, settings: KafkaSettings, minutes: float) -> tuple[int, int]:
    """Fill an outbox; return the number of messages and bytes."""
    store = OutboxStore(path, budget_of(settings), dictionary=compression_dictionary(settings, "train-1"))
    encode = RecordEncoder(settings, "train-1", lambda: make.UNIX_S)
    pictures = [make.frame(number) for number in range(20)]
    for second in range(round(minutes * 60)):
        records: list[OutboxRecord] = []
        for event in _second(second, pictures):
            records += encode(event, store.next_seq + len(records))
        store.commit(records)
    rows = sum(count.rows for count in store.counts.values())
    size = sum(count.bytes for count in store.counts.values())
    store.close()
    return rows, size


def _second(second: int, pictures: list[Frame]) -> list[Event]:
    events: list[Event] = []
    for index in range(10):
        seen = pictures[(second * 10 + index) % len(pictures)]
        events += [seen, make.prediction(seen, make.sighting()), make.command(make.decision(seen))]
    return [*events, make.state()]


def main() -> None:
    """Fill, drain, and print how many times faster than real time it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Tansu(Path(folder) / "tansu.log") as broker:
        settings = KafkaSettings(bootstrap_servers=(broker.address,))
        path = Path(folder) / "outbox.db"
        rows, size = fill(path, settings, options.minutes)
        begun_s = time.process_time()
        done = drain(settings, path, "train-1", timeout_s=600, progress=lambda *_: None)
        cpu_s = time.process_time() - begun_s
    times = options.minutes * 60 / done.duration_s
    print(
        f"{rows} messages, {size / 1e6:.0f} MB, {options.minutes:g} min of driving: "
        f"drained in {done.duration_s:.1f} s, {times:.0f} times real time, {cpu_s:.1f} s of CPU; {done.left} left"
    )
    sys.exit(0 if times >= LEAST_TIMES_REAL_TIME and not done.left else 1)


if __name__ == "__main__":
    main()
