"""How long each way to end a link takes until the hub stops: `python -m device.ways RUNS` inside the machine."""

import sys
import time
from collections.abc import Callable
from subprocess import SubprocessError

from edge_agent.hub.emergency import brake_bytes

from . import bluez
from .air_process import air
from .history import last_drive_s
from .order import order
from .service import UNIT, NotHeldError, leave, run, until
from .table import Row, to_json

SECTION = "Ways to end a link"
FULL_POWER = bytes((8, 0, 0x81, 0, 0x11, 0x51, 0, 60))


def brake_and_disconnect(bus: bluez.Bus, characteristic: str) -> None:
    """Brake, and let the link go."""
    bluez.write(bus, characteristic, brake_bytes(0))
    bluez.disconnect(bus)


def once(way: Callable[[bluez.Bus], None] | None) -> float:
    """Drive, end the link; return the milliseconds until the motor no longer turned. None: with a brake before."""
    bus = bluez.Bus()
    characteristic = bluez.connect(bus)
    bluez.write(bus, characteristic, FULL_POWER)
    until(lambda: order("status")["motor"] == "drive", "the motor turns", every_s=0.02)
    time.sleep(0.3)
    at_s = time.monotonic()
    if way is None:
        brake_and_disconnect(bus, characteristic)
    else:
        way(bus)
    until(lambda: order("status")["motor"] != "drive", "the motor stands", limit_s=10, every_s=0.05)
    stopped_s = last_drive_s(order(f"history {at_s - 5}")["history"], at_s)
    return (stopped_s - at_s) * 1000


def put_right(way: Callable[[bluez.Bus], None] | None) -> None:
    """Have BlueZ on and without a link again; a bluetoothd that answers nothing any more is started anew."""
    try:
        bus = bluez.Bus()
        if way is not None:
            until(lambda: order("status")["linked"] == 0, "the link is down", limit_s=10, every_s=0.05)
        if not bus.get(bluez.ADAPTER, "org.bluez.Adapter1", "Powered"):
            bluez.power(bus, on=True)
        until(lambda: not bus.get(bluez.device_path(), "org.bluez.Device1", "Connected"), "BlueZ knows it", limit_s=15)
    except (NotHeldError, OSError):
        run("systemctl", "kill", "--signal=KILL", "bluetooth")
        run("systemctl", "reset-failed", "bluetooth", check=False)
        run("systemctl", "restart", "bluetooth", limit_s=120)
        time.sleep(4)
    time.sleep(0.5)


def main() -> int:
    """Measure every way so often, print and write the rows."""
    runs = int(sys.argv[1]) if sys.argv[1:] else 10
    run("systemctl", "stop", UNIT)
    rows = []
    with air():
        for name, way in {**bluez.WAYS, "a brake, then `Device1.Disconnect`": None}.items():
            times: list[float] = []
            failures: list[str] = []
            for _ in range(runs):
                try:
                    times.append(once(way))
                except (NotHeldError, OSError, ValueError, StopIteration, SubprocessError) as error:
                    failures.append(f"{type(error).__name__}: {error}"[:300])
                put_right(way)
            rows.append(Row(SECTION, name, "the motor stands", None, tuple(times), tuple(failures)))
            print(" | ".join((*rows[-1].cells(), *rows[-1].failures[:2])))
            leave("ways.json", to_json(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
