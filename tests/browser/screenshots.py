"""Takes the pictures of the console in docs/images: `python -m tests.browser.screenshots [FOLDER]`.

A dry run live, at a past stop and on a phone, and a fleet. Looks better with a font made for screens:
`apt-get install fonts-inter`.
"""

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.async_api import Browser, async_playwright

from edge_agent.config import Settings
from edge_agent.events import Detection, GuardState
from edge_agent.perception.detector import open_detector
from edge_agent.simulation.invent import default_layout
from edge_agent.simulation.render import Renderer
from edge_agent.simulation.world import World
from tests.browser.dry_run import TOKEN, DryRun
from tests.browser.fleet import Fleet, fleet
from tests.browser.viewer import Viewer, launch

Act = Callable[[Viewer], Awaitable[None]]
WIDE = {"viewport": {"width": 1920, "height": 1080}}
BRAKE = ".list .event.tone-brake:has-text('stop sign')"
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True}
SHOWN_WIDE = 1440


async def shoot(browser: Browser, url: str, path: Path, act: Act, **options: Any) -> None:
    """Open a page, run `act`, and write the picture, no wider than a web page shows it."""
    viewer = await Viewer.open(browser, f"{url}#token={TOKEN}", **options)
    await act(viewer)
    pixels = cv2.imdecode(np.frombuffer(await viewer.page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    if pixels.shape[1] > SHOWN_WIDE:
        pixels = cv2.resize(
            pixels, None, fx=SHOWN_WIDE / pixels.shape[1], fy=SHOWN_WIDE / pixels.shape[1], interpolation=cv2.INTER_AREA
        )
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 82])
    await viewer.close()


async def wait_for_sign(viewer: Viewer) -> None:
    await viewer.has(".picture-view[data-mode=live]")
    await viewer.has(BRAKE)
    await viewer.has(".boxes[data-count]:not([data-count='0'])")


async def wait_for_fault(viewer: Viewer) -> None:
    await viewer.has(".picture-view[data-mode=live]")
    await viewer.has(".fault")


async def open_past_stop(viewer: Viewer) -> None:
    await viewer.page.click(f"{BRAKE} >> nth=0")
    await viewer.until("() => document.querySelectorAll('.chain-steps[data-past] .chain-step').length >= 3")


async def wait_for_tiles(viewer: Viewer) -> None:
    await viewer.has(".tile:nth-child(6)[data-fresh=fresh]")
    await viewer.has(".tile[data-fresh=silent]")


async def shoot_train(browser: Browser, folder: Path) -> None:
    """Write the pictures of one train."""
    with tempfile.TemporaryDirectory() as state:
        run = await DryRun.start(Path(state))
        try:
            await run.drive()
            await shoot(browser, run.url, folder / "console-dark.jpg", wait_for_sign, color_scheme="dark", **WIDE)
            await shoot(browser, run.url, folder / "console-light.jpg", open_past_stop, color_scheme="light", **WIDE)
            await run.command("emergency_stop")
            await shoot(browser, run.url, folder / "console-phone.jpg", wait_for_fault, color_scheme="light", **PHONE)
        finally:
            await run.end()


async def shoot_fleet(browser: Browser, folder: Path) -> None:
    """Write the picture of a fleet."""
    guards = {
        "Anna": GuardState.RUNNING,
        "Berta": GuardState.ARMED_STOPPED,
        "Clara": GuardState.FAULT_LATCHED,
        "Dora": GuardState.RUNNING,
        "Emma": GuardState.STOPPING,
        "Frida": GuardState.DISARMED,
    }
    async with fleet(**guards) as trains:
        trains.views = dict(zip((*guards, "Gerda"), render(7), strict=True))
        add_silent_train(trains)
        await shoot(browser, trains.url, folder / "console-fleet.jpg", wait_for_tiles, color_scheme="dark", **WIDE)


def render(count: int) -> Iterator[tuple[NDArray[np.uint8], tuple[Detection, ...]]]:
    """Yield what the trains of so many layouts see, each in front of a sign."""
    detector = open_detector(Settings().detector)
    for seed in range(20, 20 + count):
        layout = default_layout(seed)
        world = World(layout, seed)
        renderer = Renderer(layout, world.optics)
        world.set_power(45)
        for step in range(120):
            world.advance(step * 0.1)
            image, seen = renderer.render(world.snapshot(), step) if step % 5 == 0 else (None, [])
            if image is not None and any(one.front and one.box.height > 30 for one in seen):
                break
        assert image is not None
        yield image, tuple(detector.infer(image))


def add_silent_train(trains: Fleet) -> None:
    """Add a train that has stopped sending events."""
    trains.guards["Gerda"] = GuardState.RUNNING
    trains.send_events("Gerda", 1)
    del trains.guards["Gerda"]


async def main() -> None:
    """Write all pictures."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images")
    folder.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        await shoot_train(browser, folder)
        await shoot_fleet(browser, folder)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
