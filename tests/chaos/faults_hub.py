"""Faults of the link, of BlueZ and of the hub."""

from collections.abc import Callable
from typing import Any

from edge_agent.hub.emulator import BluezEmulator
from edge_agent.hub.lwp3 import BRAKE, OutputCommand, decode

from .stage import Scene
from .trial import Inject, Trial, staged

Act = Callable[[BluezEmulator], Any]


def _does(act: Act) -> Inject:
    async def inject(scene: Scene) -> None:
        scene.mark()
        scene.order(act)

    return inject


def _comes_back(mend: Act) -> Inject:
    """Mend it: the link comes back, its first write is a brake, and the train stays where it is."""

    async def then(scene: Scene) -> None:
        scene.order(mend)
        await scene.until(scene.linked, "the link comes back")
        assert scene.view.control.permit.power_percent is None
        told = [decode(write.raw) for write in scene.bluez.emulator.writes if write.at_s > scene.fault_s]
        powers = [one.power for one in told if isinstance(one, OutputCommand) and one.port == 0]
        assert set(powers[powers.index(BRAKE) :]) == {BRAKE}, powers

    return then


def _nothing(_emulator: BluezEmulator) -> None:
    pass


def _lost(fault: str, bound_ms: float, act: Act, mend: Act = _nothing) -> Trial:
    return staged(
        fault,
        "LINK_LOST; brakes first when it is back",
        bound_ms,
        _does(act),
        measured=Scene.noticed_s,
        then=_comes_back(mend),
    )


def _stuck(fault: str, act: Act) -> Trial:
    return staged(
        fault,
        "resends twice, drops the link",
        500,
        _does(act),
        measured=Scene.stopped_s,
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
    staged("hub alert: low voltage", "brakes", 200, _does(BluezEmulator.raise_alert), because="low voltage"),
    staged(
        "hub alert: over-current",
        "brakes",
        200,
        _does(lambda emulator: emulator.raise_alert("high_current")),
        because="high current",
    ),
    staged("green button", "brakes", 200, _does(BluezEmulator.press_button), because="emergency stop"),
)
