"""Orders to the hub on the air, as words on its socket. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

SOCKET = "/run/air.sock"

ORDERS: Mapping[str, tuple[str, str]] = {
    "out": ("", "the hub goes out of range: nothing passes, both sides time out"),
    "in": ("", "it is back in range, and its radio carries again"),
    "mute": ("", "the radio carries no data, and the link stays up: writes wait and arrive later in one burst"),
    "stall": ("", "the hub's program hangs: packets are taken, nothing is done with them"),
    "silence": ("", "the hub does what it is told and notifies nothing"),
    "flow": ("", "the end of stall and silence"),
    "off": ("", "the hub is switched off: it announces that, ends the link and advertises no more"),
    "on": ("", "it is switched on"),
    "kick": ("", "the hub ends the link"),
    "unplug": ("", "the adapter is pulled"),
    "plug": ("", "the adapter is plugged in"),
    "press": ("", "the green button is pressed and released"),
    "battery": ("number", "the charge in percent"),
    "alert": ("word", "an alert by its name in LWP3, such as low_voltage, is raised"),
    "calm": ("word", "that alert is cleared"),
    "motor-off": ("", "the motor's plug is pulled"),
    "motor-on": ("", "the motor is plugged in"),
    "runs-on": ("switch", "1: a motor runs on when the link is lost, as with other firmware; 0: it stops"),
    "interval": ("number", "connection interval in ms of this link"),
    "loss": ("number", "percent of connection events that are lost; what was lost is sent again with the next"),
    "writes": ("number", "the last writes: [monotonic seconds, hex]"),
    "history": ("number", "what motor and link did since these monotonic seconds: [seconds, word, power]"),
    "status": ("", "motor, link, writes, queued packets, the simulated train"),
}
"""Name: kind of argument (none, number, word, switch), meaning."""


class OrderError(ValueError):
    """An order that does not exist, or with a wrong argument."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order; `number` and `word` are set as its kind of argument says."""

    name: str
    number: float = 0.0
    word: str = ""


def parse(line: str) -> Order:
    """Read an order; raises OrderError."""
    name, *arguments = line.split() or [""]
    if name not in ORDERS:
        raise OrderError(f"no order {name!r}: {', '.join(ORDERS)}")
    kind = ORDERS[name][0]
    if len(arguments) != (1 if kind else 0):
        raise OrderError(f"{name} takes {f'a {kind}' if kind else 'nothing'}")
    if kind in {"", "word"}:
        return Order(name, word="".join(arguments))
    try:
        number = float(arguments[0])
    except ValueError:
        raise OrderError(f"{name} takes a {kind}, not {arguments[0]!r}") from None
    if kind == "switch" and number not in {0.0, 1.0}:
        raise OrderError(f"{name} takes 0 or 1, not {arguments[0]!r}")
    return Order(name, number)
