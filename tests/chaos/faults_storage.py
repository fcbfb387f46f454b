"""Faults of the disk: none of them stops a train, but none can be armed while events would be lost."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

from edge_agent.config import Settings
from edge_agent.control.guard import Order
from edge_agent.events import GuardState
from edge_agent.observers.outbox.store import OutboxStore

from .rig import Rig
from .trial import Inject, Trial, harmless_trial

GOES_ON_S = 0.5
REFUSING = "127.0.0.1:9"
FSYNC_S = 0.5


def with_outbox(how: Settings, folder: Path) -> Settings:
    """Enable Kafka with a cluster that refuses connections; the outbox is in `folder`."""
    outbox = how.kafka.outbox.model_copy(update={"path": folder / "outbox.db"})
    kafka = how.kafka.model_copy(update={"enabled": True, "bootstrap_servers": (REFUSING,), "outbox": outbox})
    return how.model_copy(update={"kafka": kafka, "state": how.state.model_copy(update={"directory": folder})})


async def _cannot_be_armed(rig: Rig) -> None:
    control = rig.view.control
    for order in (Order.DISARM, Order.ARM, Order.DRIVE):
        control.order(order)
    assert control.permit.state is GuardState.DISARMED
    assert control.permit.reason.startswith("cannot be armed: ")


async def _can_be_armed_again(rig: Rig) -> None:
    control = rig.view.control
    await rig.until(lambda: control.permit.reason == "waits to be armed", "the fault is over")
    for order in (Order.ARM, Order.DRIVE):
        control.order(order)
    assert control.permit.state is GuardState.RUNNING


def _is_reported(rig: Rig, code: str) -> bool:
    return any(fault.code == code and fault.at_s >= rig.fault_s for fault in rig.listener.faults)


def _wait_for_fault(code: str) -> Inject:
    """Drive on for a while after the fault was reported."""

    async def wait(rig: Rig) -> None:
        await rig.until(lambda: _is_reported(rig, code), f"{code} is reported")
        await asyncio.sleep(GOES_ON_S)

    return wait


async def _lock(rig: Rig) -> None:
    rig.mark()
    other = rig.undo.enter_context(closing(sqlite3.connect(rig.folder / "outbox.db", isolation_level=None)))
    other.execute("BEGIN EXCLUSIVE")
    await _wait_for_fault("outbox_stuck")(rig)


async def _fill(rig: Rig) -> None:
    """Make the disk appear full."""
    rig.mark()
    rig.undo.enter_context(mock.patch("edge_agent.agent.monitors.free_mb", return_value=1))
    await _wait_for_fault("disk_full")(rig)


async def _slow_down(rig: Rig) -> None:
    """Delay each commit by half a second, as a slow card's fsync does, in the outbox's own thread."""
    real = OutboxStore.commit

    def slowly(store: OutboxStore, *arguments: Any) -> int:
        time.sleep(FSYNC_S)
        return real(store, *arguments)

    rig.mark()
    rig.undo.enter_context(mock.patch.object(OutboxStore, "commit", slowly))
    await _wait_for_fault("outbox_slow")(rig)


async def _over(rig: Rig) -> None:
    """Try to arm the train, then remove the fault and try again."""
    await _cannot_be_armed(rig)
    rig.undo.close()
    await _can_be_armed_again(rig)


TRIALS: tuple[Trial, ...] = (
    harmless_trial("outbox locked", "drives on, cannot be armed", _lock, then=_over, adjust=with_outbox),
    harmless_trial("fsync takes 500 ms", "drives on, cannot be armed", _slow_down, then=_over, adjust=with_outbox),
    harmless_trial("disk full", "drives on, cannot be armed", _fill, then=_over),
)
