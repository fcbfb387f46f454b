"""Latency of a frame from the camera to the screen: `python -m tests.soak.pixels --seconds 30`.

Runs a dry run and Chromium on this machine and reads the page's performance measures (`frame-age`: from exposure until
the browser has submitted the pixels). Prints p50, p95 and p99 in ms; exit code 1 unless p95 is below the goal.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.async_api import async_playwright

from tests.browser.dry_run import DryRun
from tests.browser.viewer import Viewer, launch

GOAL_P95_MS = 120.0
WATCH = """() => {
    const seen = window.seenByScript = [];
    new PerformanceObserver((list) => seen.push(...list.getEntriesByName("frame-age").map((one) => one.duration)))
        .observe({ type: "measure" });
}"""


async def measure(seconds: float) -> list[float]:
    """Return the age in ms of each frame that was drawn within `seconds`."""
    with tempfile.TemporaryDirectory() as folder:
        run = await DryRun.start(Path(folder))
        try:
            async with async_playwright() as playwright:
                browser = await launch(playwright)
                viewer = await Viewer.open(browser, run.url)
                await viewer.has(".picture-view[data-mode=live]")
                await asyncio.sleep(2)  # skip the browser's start, which competes for the CPU
                await viewer.page.evaluate(WATCH)
                await asyncio.sleep(seconds)
                ages: list[float] = await viewer.page.evaluate("window.seenByScript")
                await browser.close()
                return ages
        finally:
            await run.end()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    ages = asyncio.run(measure(options.seconds))
    if not ages:
        print("no picture was drawn", file=sys.stderr)
        return 1
    p50, p95, p99 = (float(value) for value in np.percentile(ages, (50, 95, 99)))
    rate = len(ages) / options.seconds
    if options.json:
        print(json.dumps({"pictures": len(ages), "fps": rate, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99}))
    else:
        print(f"{len(ages)} pictures, {rate:.1f} a second: p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f} ms")
    return 0 if p95 < GOAL_P95_MS else 1


if __name__ == "__main__":
    sys.exit(main())
