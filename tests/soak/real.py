"""Random faults for half an hour of real time, on an emulated hub: `python -m tests.soak.real --minutes 30`.

The same stage as the chaos suite's, with one fault after the other instead of one a run. `--slack 3` stretches every
limit of time, for a machine that is busy with other things.
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
from tests.chaos import eyes, film
from tests.chaos.stage import Scene, perform

from .judge import Record, Span

GRACE_S = 0.05
Act = Callable[[BluezEmulator], Any]


@dataclass(frozen=True)
class Fault:
    """Something to break and to mend; the train must be braked `bound_s` after its start, for as long as it lasts."""

    bound_s: float
    start: Callable[[Scene], Awaitable[None]]
    mend: Callable[[Scene], Awaitable[None]]
    longest_s: float = 4.0


async def _nothing(_scene: Scene) -> None:
    pass


def _sees(mode: film.Mode) -> Fault:
    async def start(scene: Scene) -> None:
        scene.film.mode = mode

    async def mend(scene: Scene) -> None:
        scene.film.mend()

    return Fault(0.45, start, mend)


def _thinks(mode: eyes.Mode) -> Fault:
    async def start(scene: Scene) -> None:
        scene.eyes.mode = mode

    async def mend(scene: Scene) -> None:
        scene.eyes.mend()

    return Fault(0.45, start, mend)


def _hub(bound_s: float, start: Act, mend: Act, longest_s: float = 4.0) -> Fault:
    def ordered(act: Act) -> Callable[[Scene], Awaitable[None]]:
        return lambda scene: asyncio.to_thread(scene.order, act)

    return Fault(bound_s, ordered(start), ordered(mend), longest_s)


async def _block(scene: Scene) -> None:
    time.sleep(scene.slack)  # noqa: ASYNC251 - the fault itself


FAULTS: Mapping[str, Fault] = {
    "read blocks": _sees(film.Mode.BLOCKED),
    "frozen frame": _sees(film.Mode.FROZEN),
    "old buffers": _sees(film.Mode.OLD_BUFFER),
    "unplugged": _sees(film.Mode.UNPLUGGED),
    "wrong size": _sees(film.Mode.WRONG_SIZE),
    "inference hangs": _thinks(eyes.Mode.HANGING),
    "inference NaN": _thinks(eyes.Mode.NAN),
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
    """Drive for so long and return what happened, and how many faults of which kind."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    record, made = Record(GRACE_S, slack), Counter[str]()

    async def story(scene: Scene) -> None:
        ends_s = time.monotonic() + 60 * minutes
        while time.monotonic() < ends_s:
            await _get_going(scene, chance.uniform(0.5, 3.0))
            name = chance.choice(tuple(FAULTS))
            fault, began_s = FAULTS[name], time.monotonic()
            await fault.start(scene)
            await asyncio.sleep(chance.uniform(0.2, fault.longest_s) if fault.longest_s else 0)
            record.faults.append(Span(began_s, time.monotonic(), fault.bound_s, name))
            await fault.mend(scene)
            made[name] += 1
            print(f"{name:20s} {scene.view.control.permit.reason}", file=sys.stderr, flush=True)

    scene = perform(story, slack)
    record.motor = [(at_s, to.kind) for at_s, to in scene.motor]
    record.states = [(state.at_s, state.guard) for state in scene.listener.states]
    return record, made


async def _get_going(scene: Scene, seconds: float) -> None:
    """Order what gets a train going that can, until it has driven for so long."""
    driven_s = 0.0
    while driven_s < seconds:
        for order in (Order.REARM, Order.ARM, Order.DRIVE):
            scene.view.control.order(order)
        await asyncio.sleep(0.1)
        driven_s = driven_s + 0.1 if scene.view.control.permit.power_percent is not None else 0.0


def _resources() -> dict[str, int]:
    gc.collect()
    return {"threads": threading.active_count(), "descriptors": len(list(Path("/proc/self/fd").iterdir()))}


def main() -> int:
    """Parse, drive, judge; exit 1 on a violation or a leak."""
    parser = argparse.ArgumentParser(description="Random faults in real time.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slack", type=float, default=1.0)
    asked = parser.parse_args()
    before = _resources()
    record, made = soak(asked.minutes, asked.seed, asked.slack)
    after = _resources()
    violations = record.violations()
    told = {
        "minutes": asked.minutes,
        "slack": asked.slack,
        "faults": made.total(),
        "by_kind": dict(sorted(made.items())),
        "motor_commands": len(record.motor),
        "moving_share": round(record.moving_share(), 3),
        "resources": {"before": before, "after": after},
        "violations": violations[:20],
    }
    print(json.dumps(told, indent=2))
    leaked = any(after[what] > before[what] for what in before)
    return int(bool(violations) or leaked)


if __name__ == "__main__":
    sys.exit(main())
