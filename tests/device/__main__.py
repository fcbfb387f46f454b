"""Builds the bench, tries everything in it and writes docs/device.md: `make device`, or `python -m tests.device`."""

import argparse
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.runtime.files import write_atomic

from .build import CHECKOUT, CannotRunError, check_host, image, kernel, packaged_kernel
from .machine import run_job
from .table import Row, from_json, merged, replaced, section

PAGE = CHECKOUT / "docs/device.md"
PYTHON = "/usr/lib/edge-agent/bin/python"
UNIT_JOB = "python3 -m device.unit"
TURNS = 4
"""Turns of the faults in one machine."""


def main() -> int:
    """Run what the command line says; return 0, 1 if something was not held, 3 where the bench cannot run."""
    parser = argparse.ArgumentParser(prog="make device", description=__doc__)
    parser.add_argument("--unit", action="store_true", help="only the unit, with Debian's own kernel (no Bluetooth)")
    parser.add_argument("--runs", type=int, default=20, help="runs of each fault")
    parser.add_argument("--only", default="", help="only faults whose name or section contains this")
    parser.add_argument("--ways", type=int, default=10, help="runs of each way to end a link")
    parser.add_argument("--kills", type=int, default=100, help="how often the driving agent is killed")
    parser.add_argument("--minutes", type=float, default=30.0, help="minutes of random faults")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page whose sections are written anew")
    parser.add_argument("--job", help="run this shell command in the machine as root instead, and print what it prints")
    parser.add_argument("--limit", type=float, default=7200.0, help="seconds after which a machine is given up")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # end the machine too
    try:
        check_host()
        disk = image() / "disk"
        if options.job is not None:
            chosen = packaged_kernel() if options.unit else kernel()
            return run_job(chosen, disk, options.job, limit_s=options.limit).status
        return _try_all(options, disk)
    except CannotRunError as reason:
        print(f"device: cannot run here: {reason}", file=sys.stderr)
        return 3


def _try_all(options: argparse.Namespace, disk: Path) -> int:
    """Run the jobs that were asked for, each in a machine of its own, and write their sections after each."""
    status = 0
    rows: tuple[Row, ...] = ()
    for job in jobs_of(options):
        machine = packaged_kernel() if job == UNIT_JOB else kernel()
        result = run_job(machine, disk, job, limit_s=options.limit)
        rows = merged((*rows, *(row for content in result.files.values() for row in from_json(content.decode()))))
        _write(options.output, rows)
        status |= int(result.status != 0)
    return status


def jobs_of(options: argparse.Namespace) -> list[str]:
    """List the jobs; the turns of the faults are shared among several machines, one of which may crash."""
    trials = f"{PYTHON} -m device.trials"
    whole, rest = divmod(options.runs, TURNS)
    turns = [f"{trials} --runs {count}" for count in (*[TURNS] * whole, rest) if count]
    if options.only:
        return [f"{job} --only '{options.only}'" for job in turns]
    if options.unit:
        return [UNIT_JOB]
    jobs = [UNIT_JOB, f"{PYTHON} -m device.ways {options.ways}" if options.ways else "", *turns]
    if options.kills:
        jobs.append(f"{trials} --runs {options.kills} --only SIGKILL --title 'Killed while driving'")
    if options.minutes:
        jobs.append(f"{PYTHON} -m device.soak {options.minutes}")
    return [job for job in jobs if job]


def _write(page: Path, rows: tuple[Row, ...]) -> None:
    """Write a section for each that there are results of."""
    text = page.read_text()
    for title in dict.fromkeys(row.section for row in rows):
        load = f"load average {os.getloadavg()[0]:.0f} outside"
        measured = f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {load}.\n"
        own = [row for row in rows if row.section == title]
        text = replaced(text, title, section(title, own) + "\n" + measured)
    write_atomic(page, text.encode())


if __name__ == "__main__":
    sys.exit(main())
