"""Builds the bench, tries everything in it and writes docs/device.md: `make device`, or `python -m tests.device`."""

import argparse
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.runtime.files import write_atomic

from .build import CHECKOUT, CannotRunError, check_host, image, kernel, packaged_kernel
from .machine import JobResult, run_job
from .table import Row, from_json, replaced, section

PAGE = CHECKOUT / "docs/device.md"
PYTHON = "/usr/lib/edge-agent/bin/python"
UNIT_JOB = "python3 -m device.unit"


def main() -> int:
    """Run what the command line says; return 0, 1 if something was not held, 3 where the bench cannot run."""
    parser = argparse.ArgumentParser(prog="make device", description=__doc__)
    parser.add_argument("--unit", action="store_true", help="only the unit, with Debian's own kernel (no Bluetooth)")
    parser.add_argument("--runs", type=int, default=20, help="runs of each fault")
    parser.add_argument("--only", default="", help="only faults whose name or section contains this")
    parser.add_argument(
        "--seconds", type=float, default=4500.0, help="begin no further turn of the faults after so long"
    )
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
    """Run the jobs that were asked for, each in a machine of its own, and write their sections."""
    status = 0
    if not options.only:
        result = run_job(packaged_kernel(), disk, UNIT_JOB, limit_s=options.limit)
        status |= _write(options.output, result, "Debian's own user-mode Linux")
    if options.unit:
        return status
    trials = f"{PYTHON} -m device.trials --seconds {options.seconds}"
    if options.only:
        jobs = [f"{trials} --runs {options.runs} --only '{options.only}'"]
    else:
        kills = f"{trials} --runs {options.kills} --only SIGKILL --title 'Killed while driving'"
        times = (options.ways, options.runs, options.kills, options.minutes)
        every = (f"{PYTHON} -m device.ways {options.ways}", f"{trials} --runs {options.runs}", kills)
        every = (*every, f"{PYTHON} -m device.soak {options.minutes}")
        jobs = [job for job, count in zip(every, times, strict=True) if count]
    for job in jobs:
        status |= _write(options.output, run_job(kernel(), disk, job, limit_s=options.limit), "our own kernel")
    return status


def _write(page: Path, result: JobResult, kernel_name: str) -> int:
    """Write a section for each that a job has results of."""
    for content in result.files.values():
        by_section: dict[str, list[Row]] = {}
        for row in from_json(content.decode()):
            by_section.setdefault(row.section, []).append(row)
        for title, rows in by_section.items():
            measured = f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC with {kernel_name}.\n"
            text = section(title, rows) + "\n" + measured
            write_atomic(page, replaced(page.read_text(), title, text).encode())
    return result.status


if __name__ == "__main__":
    sys.exit(main())
