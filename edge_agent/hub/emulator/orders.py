"""Orders to an emulator by name: the words of the control socket and of `edge-agent hub emulate`.

Knows which methods may be ordered, and with what. Raises UsageError for an order that does not fit.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from edge_agent.errors import UsageError
from edge_agent.hub.emulator.bluez import BluezError
from edge_agent.hub.emulator.emulator import BluezEmulator

_Order = Callable[..., Any]


def _babble(emulator: BluezEmulator, raw: str) -> None:
    """Have the hub notify bytes, given in hexadecimal, that need not be a message."""
    emulator.babble(bytes.fromhex(raw))


_METHODS: tuple[_Order, ...] = (
    BluezEmulator.drop_link,
    BluezEmulator.vanish,
    BluezEmulator.appear,
    BluezEmulator.hold,
    BluezEmulator.remove_adapter,
    BluezEmulator.add_adapter,
    BluezEmulator.power_adapter,
    BluezEmulator.kill_bluetoothd,
    BluezEmulator.start_bluetoothd,
    BluezEmulator.kill_bus,
    BluezEmulator.start_bus,
    BluezEmulator.hang,
    BluezEmulator.mute,
    BluezEmulator.busy,
    BluezEmulator.fail,
    BluezEmulator.slow,
    BluezEmulator.silence,
    BluezEmulator.behave,
    BluezEmulator.press_button,
    BluezEmulator.raise_alert,
    BluezEmulator.set_battery,
    BluezEmulator.drain,
    BluezEmulator.feed,
    BluezEmulator.plug,
    BluezEmulator.unplug,
    BluezEmulator.run_on,
)

EMULATOR_COMMANDS: Mapping[str, _Order] = {
    **{method.__name__.replace("_", "-"): method for method in _METHODS},
    "babble": _babble,
}
"""What can be ordered, by name; the first line of each docstring says what it does."""


def describe() -> dict[str, str]:
    """Tell each order with its arguments and what it does."""
    told = {}
    for name, method in EMULATOR_COMMANDS.items():
        arguments = list(inspect.signature(method).parameters.values())[1:]
        words = " ".join(f"{argument.name}={_example(argument)}" for argument in arguments)
        told[f"{name} {words}".strip()] = (inspect.getdoc(method) or "").partition("\n")[0]
    return told


def _example(argument: inspect.Parameter) -> str:
    return "..." if argument.default is inspect.Parameter.empty else str(argument.default)


async def execute(emulator: BluezEmulator, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out an order and tell the emulator's status after it. Raises UsageError for one that does not fit."""
    method = EMULATOR_COMMANDS.get(name.replace("_", "-"))
    if name != "status" and method is None:
        raise UsageError(
            f"there is no order {name!r}", remedy=f"choose one of {', '.join(EMULATOR_COMMANDS)} and status"
        )
    if method is not None:
        try:
            result = method(emulator, **arguments)
        except BluezError as error:
            raise UsageError(f"the emulated BlueZ refuses {name!r}: {error}", remedy="look at its status") from error
        except (TypeError, ValueError, KeyError) as error:
            raise UsageError(f"order {name!r} does not take {dict(arguments)}", remedy=f"mind this: {error}") from error
        if inspect.isawaitable(result):
            await result
    return emulator.status()
