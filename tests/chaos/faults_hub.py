"""Faults of the link, of BlueZ and of the hub."""

import asyncio
from collections.abc import Callable
from typing import Any

from edge_agent.hub.emulator import BluezEmulator
from edge_agent.hub.lwp3 import BRAKE, OutputCommand, decode

from .rig import Rig
from .trial import Inject, Trial, fault_trial

STOP_MS = 800.0
"""Bound of what the agent has to notice by missing answers; the hub's own timeout of a link is 420 ms."""

NOTICE_MS = 300.0
ORPHAN_MS = 2150.0
"""The kernel keeps the link of a bluetoothd that has ended for 2 s; nothing reaches the hub meanwhile."""

STOPPED_S = 1.6

Act = Callable[[BluezEmulator], Any]


def _does(act: Act) -> Inject:
    async def inject(rig: Rig) -> None:
        rig.mark()
        rig.call(act)

    return inject


def _comes_back(repair: Act) -> Inject:
    """Remove the fault: the link comes back, its first write is a brake, and the train stays stopped."""

    async def then(rig: Rig) -> None:
        rig.call(repair)
        await rig.until(rig.linked, "the link comes back")
        assert rig.view.control.permit.power_percent is None
        writes = [decode(write.raw) for write in rig.bluez.emulator.writes if write.at_s > rig.fault_s]
        powers = [one.power for one in writes if isinstance(one, OutputCommand) and one.port == 0]
        assert set(powers[powers.index(BRAKE) :]) == {BRAKE}, powers

    return then


def _nothing(_emulator: BluezEmulator) -> None:
    pass


def _lost(fault: str, bound_ms: float, act: Act, repair: Act = _nothing, notice_ms: float = NOTICE_MS) -> Trial:
    """Lose the link: the hub stops its motor by itself, and the agent notices meanwhile."""

    async def then(rig: Rig) -> None:
        noticed_s = rig.noticed_s()
        assert noticed_s is not None, "LINK_LOST"
        assert noticed_s - rig.fault_s <= notice_ms / 1000 * rig.slack, f"noticed after {noticed_s - rig.fault_s} s"
        await _comes_back(repair)(rig)

    return fault_trial(
        fault,
        "LINK_LOST, the hub stops; brakes first when it is back",
        bound_ms,
        _does(act),
        measured=Rig.stopped_s,
        then=then,
    )


def _stuck(fault: str, act: Act, train: str = "drops the link") -> Trial:
    return fault_trial(
        fault,
        train,
        STOP_MS,
        _does(act),
        measured=Rig.stopped_s,
        then=_comes_back(BluezEmulator.behave),
    )


async def _stop_bluetoothd(rig: Rig) -> None:
    """Stop bluetoothd for 1.6 s; the fault is over, and counted, when it goes on."""
    rig.call(BluezEmulator.freeze_bluetoothd)
    await asyncio.sleep(STOPPED_S)
    rig.mark()
    rig.call(lambda emulator: emulator.freeze_bluetoothd(False))


TRIALS: tuple[Trial, ...] = (
    _lost("hub disconnects", 50, BluezEmulator.drop_link),
    _lost("hub out of range", STOP_MS, BluezEmulator.lose_radio, BluezEmulator.appear, notice_ms=STOP_MS),
    _lost("bluetoothd killed", ORPHAN_MS, BluezEmulator.kill_bluetoothd, BluezEmulator.start_bluetoothd),
    _lost("device removed", 50, BluezEmulator.vanish, BluezEmulator.appear),
    _lost("adapter removed", STOP_MS, BluezEmulator.remove_adapter, BluezEmulator.add_adapter),
    _lost("Bluetooth switched off", 100, BluezEmulator.power_adapter, lambda emulator: emulator.power_adapter(on=True)),
    _lost("D-Bus daemon killed", ORPHAN_MS, BluezEmulator.kill_bus, BluezEmulator.start_bus),
    fault_trial(
        "motor unplugged",
        "LINK_LOST; brakes first when it is back",
        300,
        _does(BluezEmulator.unplug),
        measured=Rig.noticed_s,
        then=_comes_back(BluezEmulator.plug),
    ),
    _stuck("a GATT write never returns", BluezEmulator.hang),
    _stuck("a GATT write is done and never returns", BluezEmulator.mute, "brakes, drops the link"),
    _stuck("endless InProgress", BluezEmulator.busy),
    fault_trial(
        "bluetoothd stopped for 1.6 s; ms since it goes on",
        "brakes, nothing that waited moves it after that",
        150,
        _stop_bluetoothd,
        then=_comes_back(_nothing),
    ),
    _stuck("writes accepted, the radio carries none", BluezEmulator.stall),
    _stuck("hub locks up, its link stays", BluezEmulator.lock_up),
    fault_trial(
        "hub takes writes and answers nothing",
        "brakes, drops the link",
        STOP_MS,
        _does(BluezEmulator.silence),
        reason="has not answered",
        then=_comes_back(BluezEmulator.behave),
    ),
    fault_trial("hub alert: low voltage", "brakes", 200, _does(BluezEmulator.raise_alert), reason="low voltage"),
    fault_trial(
        "hub alert: over-current",
        "brakes",
        200,
        _does(lambda emulator: emulator.raise_alert("high_current")),
        reason="high current",
    ),
    fault_trial("green button", "brakes", 200, _does(BluezEmulator.press_button), reason="emergency stop"),
)
