"""Random faults for half an hour of real time, on an emulated hub: `python -m tests.soak.real --minutes 30`.

The chaos suite's rig, with one fault after the other in a single run. `--slack 3` multiplies every time limit, for a
busy machine.
"""

import argparse
import asyncio
import gc
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.control.guard import Order
from edge_agent.hub.emulator import BluezEmulator
from tests.chaos import fake_camera, fake_detector
from tests.chaos.rig import Rig, run_scenario

from .judge import Record, Span

GRACE_S = 0.05
Act = Callable[[BluezEmulator], Any]


@dataclass(frozen=True)
class Fault:
    """A fault to inject and to remove; from `bound_s` after its start until its end the train must be braked."""

    bound_s: float
    start: Callable[[Rig], Awaitable[None]]
    repair: Callable[[Rig], Awaitable[None]]
    longest_s: float = 4.0


async def _nothing(_rig: Rig) -> None:
    pass


def _camera_fault(mode: fake_camera.Mode) -> Fault:
    async def start(rig: Rig) -> None:
        rig.camera.mode = mode

    async def repair(rig: Rig) -> None:
        rig.camera.repair()

    return Fault(0.45, start, repair)


def _detector_fault(mode: fake_detector.Mode) -> Fault:
    async def start(rig: Rig) -> None:
        rig.detector.mode = mode

    async def repair(rig: Rig) -> None:
        rig.detector.repair()

    return Fault(0.45, start, repair)


def _hub(bound_s: float, start: Act, repair: Act, longest_s: float = 4.0) -> Fault:
    def in_thread(act: Act) -> Callable[[Rig], Awaitable[None]]:
        return lambda rig: asyncio.to_thread(rig.call, act)

    return Fault(bound_s, in_thread(start), in_thread(repair), longest_s)


async def _block(rig: Rig) -> None:
    time.sleep(rig.slack)  # noqa: ASYNC251 - the fault itself


FAULTS: Mapping[str, Fault] = {
    "read blocks": _camera_fault(fake_camera.Mode.BLOCKED),
    "frozen frame": _camera_fault(fake_camera.Mode.FROZEN),
    "old buffers": _camera_fault(fake_camera.Mode.OLD_BUFFER),
    "unplugged": _camera_fault(fake_camera.Mode.UNPLUGGED),
    "wrong size": _camera_fault(fake_camera.Mode.WRONG_SIZE),
    "inference hangs": _detector_fault(fake_detector.Mode.HANGING),
    "inference NaN": _detector_fault(fake_detector.Mode.NAN),
    "link dropped": _hub(0.3, BluezEmulator.drop_link, lambda _: None, 0.0),
    "device removed": _hub(0.3, BluezEmulator.vanish, BluezEmulator.appear),
    "adapter removed": _hub(0.3, BluezEmulator.remove_adapter, BluezEmulator.add_adapter),
    "Bluetooth off": _hub(0.3, BluezEmulator.power_adapter, lambda emulator: emulator.power_adapter(on=True)),
    "bluetoothd killed": _hub(0.3, BluezEmulator.kill_bluetoothd, BluezEmulator.start_bluetoothd),
    "D-Bus killed": _hub(0.3, BluezEmulator.kill_bus, BluezEmulator.start_bus),
    "motor unplugged": _hub(0.3, BluezEmulator.unplug, BluezEmulator.plug),
    "writes hang": _hub(0.5, BluezEmulator.hang, BluezEmulator.behave),
    "writes mute": _hub(0.5, BluezEmulator.mute, BluezEmulator.behave),
    "InProgress": _hub(0.5, BluezEmulator.busy, BluezEmulator.behave),
    "alert": _hub(0.2, BluezEmulator.raise_alert, lambda emulator: emulator.raise_alert(raised=False)),
    "button": _hub(
        0.2, BluezEmulator.press_button, lambda emulator: emulator.press_button(pressed=False), longest_s=0.5
    ),
    "loop blocked": Fault(0.35, _block, _nothing, longest_s=0.0),
}


def soak(minutes: float, seed: int, slack: float) -> tuple[Record, Counter[str]]:
    """Drive for `minutes`; return the record, and the number of faults of each kind."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    record, injected = Record(GRACE_S, slack), Counter[str]()

    async def scenario(rig: Rig) -> None:
        ends_s = time.monotonic() + 60 * minutes
        while time.monotonic() < ends_s:
            await _drive_on(rig, rng.uniform(0.5, 3.0))
            name = rng.choice(tuple(FAULTS))
            fault, began_s = FAULTS[name], time.monotonic()
            await fault.start(rig)
            await asyncio.sleep(rng.uniform(0.2, fault.longest_s) if fault.longest_s else 0)
            record.faults.append(Span(began_s, time.monotonic(), fault.bound_s, name))
            await fault.repair(rig)
            injected[name] += 1
            print(f"{name:20s} {rig.view.control.permit.reason}", file=sys.stderr, flush=True)

    rig = run_scenario(scenario, slack)
    record.motor = [(at_s, to.kind) for at_s, to in rig.motor]
    record.states = [(state.at_s, state.guard) for state in rig.listener.states]
    return record, injected


async def _drive_on(rig: Rig, seconds: float) -> None:
    """Re-arm and drive until the train has been permitted to drive for `seconds`."""
    driven_s = 0.0
    while driven_s < seconds:
        for order in (Order.REARM, Order.ARM, Order.DRIVE):
            rig.view.control.order(order)
        await asyncio.sleep(0.1)
        driven_s = driven_s + 0.1 if rig.view.control.permit.power_percent is not None else 0.0


def _resources() -> dict[str, int]:
    gc.collect()
    return {"threads": threading.active_count(), "descriptors": len(list(Path("/proc/self/fd").iterdir()))}


def main() -> int:
    """Run and check; return 1 on a violation or a leak."""
    parser = argparse.ArgumentParser(description="Random faults in real time.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slack", type=float, default=1.0)
    options = parser.parse_args()
    before = _resources()
    record, injected = soak(options.minutes, options.seed, options.slack)
    after = _resources()
    violations = record.violations()
    result = {
        "minutes": options.minutes,
        "slack": options.slack,
        "faults": injected.total(),
        "by_kind": dict(sorted(injected.items())),
        "motor_commands": len(record.motor),
        "moving_share": round(record.moving_share(), 3),
        "resources": {"before": before, "after": after},
        "violations": violations[:20],
    }
    print(json.dumps(result, indent=2))
    leaked = any(after[what] > before[what] for what in before)
    return int(bool(violations) or leaked)


if __name__ == "__main__":
    sys.exit(main())
