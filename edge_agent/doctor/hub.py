"""Checks of the way to the hub: a Bluetooth adapter that is on, and a D-Bus that lets us in.

Knows Linux's /sys and the socket of the system bus. Knows nothing of hubs: it neither scans nor connects to one.
"""

import asyncio
import contextlib
from pathlib import Path

from edge_agent.config.control import Hub
from edge_agent.doctor.check import CheckResult, fail, in_thread, ok

SYSFS_BLUETOOTH = Path("/sys/class/bluetooth")
SYSTEM_BUS = Path("/run/dbus/system_bus_socket")


async def check_hub(settings: Hub, sysfs: Path = SYSFS_BLUETOOTH, bus: Path = SYSTEM_BUS) -> CheckResult:
    """Look for what `hub.kind` needs."""
    if settings.kind == "mock":
        return ok("dry run: the mocked hub moves nothing")
    adapters = await in_thread(lambda: _adapters(sysfs))
    if not adapters:
        return fail("there is no Bluetooth adapter", "plug one in, or set hub.kind to mock")
    usable = [name for name, blocked in adapters.items() if not blocked]
    if not usable:
        return fail(f"Bluetooth is switched off ({', '.join(adapters)})", "run `rfkill unblock bluetooth`")
    try:
        _, writer = await asyncio.open_unix_connection(bus)
    except PermissionError:
        return fail(
            f"no permission on {bus}", "add the user to the group `bluetooth`, or let the container use the socket"
        )
    except OSError as error:
        remedy = "start dbus and bluetooth, or mount /run/dbus into the container"
        return fail(f"no D-Bus at {bus} ({error.strerror})", remedy)
    writer.close()
    with contextlib.suppress(OSError):  # hung up on by the bus: it was there
        await writer.wait_closed()
    return ok(f"adapter {usable[0]}")


def _adapters(sysfs: Path) -> dict[str, bool]:
    """Return the adapters by name, and whether each is switched off."""
    found = sorted(path for path in sysfs.glob("hci*") if ":" not in path.name)  # hci0:11 is a connection
    return {path.name: _is_blocked(path) for path in found}


def _is_blocked(adapter: Path) -> bool:
    """Tell whether rfkill keeps the adapter switched off, by software or by a switch."""
    switches = [*adapter.glob("rfkill*/soft"), *adapter.glob("rfkill*/hard")]
    return any(switch.read_text(encoding="ascii").strip() == "1" for switch in switches)
