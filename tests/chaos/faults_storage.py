"""Faults of the disk: nothing that happens there stops a train, but none is armed anew while events would be lost."""

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

from .stage import Scene
from .trial import Inject, Trial, undisturbed

GOES_ON_S = 0.5
NOBODY = "127.0.0.1:9"
FSYNC_S = 0.5


def with_outbox(how: Settings, folder: Path) -> Settings:
    """Send to a cluster that refuses; what waits for it lies in `folder`."""
    outbox = how.kafka.outbox.model_copy(update={"path": folder / "outbox.db"})
    kafka = how.kafka.model_copy(update={"enabled": True, "bootstrap_servers": (NOBODY,), "outbox": outbox})
    return how.model_copy(update={"kafka": kafka, "state": how.state.model_copy(update={"directory": folder})})


async def _is_not_armed_anew(scene: Scene) -> None:
    control = scene.view.control
    for order in (Order.DISARM, Order.ARM, Order.DRIVE):
        control.order(order)
    assert control.permit.state is GuardState.DISARMED
    assert control.permit.reason.startswith("cannot be armed: ")


async def _is_armed_again(scene: Scene) -> None:
    control = scene.view.control
    await scene.until(lambda: control.permit.reason == "waits to be armed", "the fault is over")
    for order in (Order.ARM, Order.DRIVE):
        control.order(order)
    assert control.permit.state is GuardState.RUNNING


def _told(scene: Scene, code: str) -> bool:
    return any(fault.code == code and fault.at_s >= scene.fault_s for fault in scene.listener.faults)


def _held(code: str) -> Inject:
    """Drive on for a while after the fault was told."""

    async def wait(scene: Scene) -> None:
        await scene.until(lambda: _told(scene, code), f"{code} is told")
        await asyncio.sleep(GOES_ON_S)

    return wait


async def _lock(scene: Scene) -> None:
    scene.mark()
    other = scene.undo.enter_context(closing(sqlite3.connect(scene.folder / "outbox.db", isolation_level=None)))
    other.execute("BEGIN EXCLUSIVE")
    await _held("outbox_stuck")(scene)


async def _fill(scene: Scene) -> None:
    """Fill the disk, as far as the agent can tell."""
    scene.mark()
    scene.undo.enter_context(mock.patch("edge_agent.agent.monitors.free_mb", return_value=1))
    await _held("disk_full")(scene)


async def _slow_down(scene: Scene) -> None:
    """Let each commit take as long as a card's fsync of half a second does, in the outbox's own thread."""
    real = OutboxStore.commit

    def slowly(store: OutboxStore, *arguments: Any) -> int:
        time.sleep(FSYNC_S)
        return real(store, *arguments)

    scene.mark()
    scene.undo.enter_context(mock.patch.object(OutboxStore, "commit", slowly))
    await _held("outbox_slow")(scene)


async def _over(scene: Scene) -> None:
    """Try to arm the train anew, then undo the fault and try again."""
    await _is_not_armed_anew(scene)
    scene.undo.close()
    await _is_armed_again(scene)


TRIALS: tuple[Trial, ...] = (
    undisturbed("outbox locked", "drives on, is not armed anew", _lock, then=_over, adjust=with_outbox),
    undisturbed("fsync takes 500 ms", "drives on, is not armed anew", _slow_down, then=_over, adjust=with_outbox),
    undisturbed("disk full", "drives on, is not armed anew", _fill, then=_over),
)
