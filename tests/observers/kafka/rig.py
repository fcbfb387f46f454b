"""A KafkaMirror at work, with what it reports, for tests against real brokers."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from edge_agent.config import KafkaSettings
from edge_agent.events import Event
from edge_agent.faults import FaultReport
from edge_agent.observers.kafka.mirror import KafkaMirror
from edge_agent.runtime.queues import Fanout

PATIENCE_S = 30.0
"""No test waits this long; only a failing one does."""


class Rig:
    """One mirror, fed through a Fanout as the pipeline feeds it."""

    def __init__(self, mirror: KafkaMirror, fanout: Fanout[Event], faults: list[FaultReport]) -> None:
        self.mirror = mirror
        self.faults = faults
        self._fanout = fanout

    def publish(self, *events: Event) -> None:
        for event in events:
            self._fanout.publish(event)

    @property
    def waiting(self) -> int:
        """Messages in the outbox."""
        return sum(count.rows for count in self.mirror.stats().outbox.counts.values())

    def codes(self, *, active: bool = True) -> list[str]:
        return [fault.code for fault in self.faults if fault.active is active]


def settings(*servers: str, **changes: Any) -> KafkaSettings:
    """Return settings of a quick temper: short limits, short waits."""
    values: dict[str, Any] = {"enabled": True, "bootstrap_servers": servers, "send_timeout_s": 1.0, "retry_max_s": 1.0}
    return KafkaSettings.model_validate(values | changes)


@contextlib.asynccontextmanager
async def rig(config: KafkaSettings, path: Path, *, compat: bool = False) -> AsyncIterator[Rig]:
    """Run a mirror for the length of the block."""
    fanout: Fanout[Event] = Fanout()
    faults: list[FaultReport] = []
    mirror = KafkaMirror(config, train_id="train-1", path=path, report_fault=faults.append, compat=compat)
    task = asyncio.create_task(mirror.run(fanout.subscribe("kafka", 10_000)))
    await asyncio.sleep(0)
    try:
        yield Rig(mirror, fanout, faults)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition; fails with `what` when it does not come true."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"never came true: {what}"
        await asyncio.sleep(0.02)
