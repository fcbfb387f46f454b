"""Tries faults on the real stack: `python -m device.trials --runs 5 --only hub` inside the machine."""

import argparse
import sys
import time
from dataclasses import replace
from subprocess import SubprocessError

from . import drive, faults, service
from .air_process import LOG, air
from .faults import FAULTS, Fault
from .service import NotHeldError
from .table import Row, merged, to_json

AFTERMATH_S = 3.0
"""What waited somewhere may still arrive once the fault is over."""


def try_once(fault: Fault) -> Row:
    """Drive, inject, wait, put right, wait; return a row of one run."""
    healed = True
    try:
        drive.set_off()
        healed = False
        at_s = fault.inject()
        time.sleep(max(0.0, at_s + fault.lasts_s - time.monotonic()))
        fault.heal()
        healed = True
        time.sleep(AFTERMATH_S)
        ms = drive.stopped_ms(at_s)
    except (NotHeldError, OSError, SubprocessError, KeyError) as error:
        if not healed:
            fault.heal()
        return Row(fault.section, fault.name, fault.train, fault.bound_ms, (), (f"{error}"[:200],))
    return Row(fault.section, fault.name, fault.train, fault.bound_ms, (ms,))


def main() -> int:
    """Try every fault so often, in turns; print and write the rows. Return 1 if a run was not held."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", default="", help="only faults whose name or section contains this")
    parser.add_argument("--seconds", type=float, default=7000.0, help="begin no turn after so long")
    parser.add_argument("--title", help="write the rows into a section of this name")
    options = parser.parse_args()
    chosen = [fault for fault in FAULTS if options.only in f"{fault.section}: {fault.name}"]
    rows: tuple[Row, ...] = ()
    began_s = time.monotonic()
    faults.controls()  # asked for once, before anything is timed
    with air():
        drive.start()
        for turn in range(options.runs):
            if time.monotonic() - began_s > options.seconds:
                break
            for fault in chosen:
                row = try_once(fault)
                row = replace(row, section=options.title or row.section)
                rows = merged((*rows, row))
                text = ", ".join((*(f"{ms:.0f} ms" for ms in row.times_ms if ms is not None), *row.failures))
                print(f"{turn + 1:3} {time.monotonic() - began_s:5.0f} s  {fault.name}: {text}")
                service.leave("trials.json", to_json(rows))
        service.run("systemctl", "stop", service.UNIT)
    print(LOG.read_text()[-500:])
    return int(any(row.held < row.runs for row in rows))


if __name__ == "__main__":
    sys.exit(main())
