"""Drives for minutes with random faults on the real stack: `python -m device.soak MINUTES` inside the machine.

The train never drives while the guard says that it must not: from `GRACE_S` after the guard left "running" until it is
"running" again, no power may reach the motor.
"""

import random
import sys
import time
from contextlib import suppress
from subprocess import SubprocessError

from . import drive, service
from .air_process import air
from .faults import FAULTS, SERVICE
from .history import GRACE_S, drives_within, forbidden
from .order import order
from .service import NotHeldError
from .table import Row, to_json

SECTION = "Random faults"
MUST_NOT_END_IT = ("`systemctl stop`", "SIGTERM")


def guard_states() -> list[tuple[float, str]]:
    """Return the guard's states so far, of one process after the other."""
    found = []
    for line in service.journal():
        at_s = float(line["__MONOTONIC_TIMESTAMP"]) / 1e6
        if line.get("EDGE_AGENT_EVENT") == "guard":
            found.append((at_s, str(line["EDGE_AGENT_STATE"])))
    return found


def main() -> int:
    """Drive, break, repeat; print and write the row."""
    minutes = float(sys.argv[1])
    faults = [fault for fault in FAULTS if fault.name not in MUST_NOT_END_IT]
    end_s = time.monotonic() + minutes * 60
    history: list[list[float | str]] = []
    failures: list[str] = []
    count = drove = 0
    with air():
        drive.start()
        while time.monotonic() < end_s:
            fault = random.choice(faults)  # noqa: S311
            began_s = time.monotonic()
            count += 1
            try:
                drive.set_off()
                drove += 1
                time.sleep(random.uniform(0, 4))  # noqa: S311
                at_s = fault.inject()
                time.sleep(max(0.0, at_s + fault.lasts_s - time.monotonic()))
                fault.heal()
            except (NotHeldError, OSError, SubprocessError, KeyError) as error:
                failures.append(f"{fault.name}: {error}"[:200])
                with suppress(NotHeldError, OSError, SubprocessError):
                    fault.heal()
            history += order(f"history {began_s}")["history"]
            print(f"{count:4} {fault.name}")
        now_s = time.monotonic()
        intervals = forbidden(guard_states(), now_s)
        if len(intervals) < drove:
            failures.append(f"only {len(intervals)} times of standing still for {drove} drives: the log lacks states")
        for from_s, to_s in intervals:
            driven = drives_within(history, from_s, to_s)
            if driven:
                failures.append(f"driven {len(driven)} times up to {driven[-1] - from_s + GRACE_S:.2f} s after running")
    print("\n".join(failures))
    name = f"{minutes:.0f} minutes, {count} random faults of {SERVICE.lower()}, Bluetooth and camera"
    row = Row(SECTION, name, "never drives while the guard says it must not", None, (None,) * (drove), tuple(failures))
    service.leave("soak.json", to_json([row]))
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
