"""Faults of the link, of BlueZ and of the hub."""

from collections.abc import Callable
from typing import Any

from edge_agent.hub.emulator import BluezEmulator
from edge_agent.hub.lwp3 import BRAKE, OutputCommand, decode

from .rig import Rig
from .trial import Inject, Trial, fault_trial

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


def _lost(fault: str, bound_ms: float, act: Act, repair: Act = _nothing) -> Trial:
    return fault_trial(
        fault,
        "LINK_LOST; brakes first when it is back",
        bound_ms,
        _does(act),
        measured=Rig.noticed_s,
        then=_comes_back(repair),
    )


def _stuck(fault: str, act: Act) -> Trial:
    return fault_trial(
        fault,
        "resends twice, drops the link",
        500,
        _does(act),
        measured=Rig.stopped_s,
        then=_comes_back(BluezEmulator.behave),
    )


TRIALS: tuple[Trial, ...] = (
    _lost("hub disconnects", 50, BluezEmulator.drop_link),
    _lost("bluetoothd killed", 300, BluezEmulator.kill_bluetoothd, BluezEmulator.start_bluetoothd),
    _lost("device removed", 300, BluezEmulator.vanish, BluezEmulator.appear),
    _lost("adapter removed", 300, BluezEmulator.remove_adapter, BluezEmulator.add_adapter),
    _lost("Bluetooth switched off", 300, BluezEmulator.power_adapter, lambda emulator: emulator.power_adapter(on=True)),
    _lost("D-Bus daemon killed", 300, BluezEmulator.kill_bus, BluezEmulator.start_bus),
    _lost("motor unplugged", 300, BluezEmulator.unplug, BluezEmulator.plug),
    _stuck("a GATT write never returns", BluezEmulator.hang),
    _stuck("a GATT write is done and never returns", BluezEmulator.mute),
    _stuck("endless InProgress", BluezEmulator.busy),
    fault_trial(
        "hub takes writes and answers nothing", "brakes", 1200, _does(BluezEmulator.silence), reason="has not answered"
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
