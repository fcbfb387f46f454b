"""Accessibility of the page: axe-core finds nothing serious, in both themes and in every view."""

import pytest

from edge_agent.events import GuardState
from tests.browser.conftest import Gather, Open
from tests.browser.viewer import Viewer

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(300),
]


async def empty(viewer: Viewer) -> None:
    await viewer.has("body[data-view=empty]")


async def overview(viewer: Viewer) -> None:
    await viewer.has(".tile:nth-child(2)[data-fresh=fresh]")


async def one_train(viewer: Viewer) -> None:
    await viewer.page.evaluate("location.hash = '#/train/berta'")
    await viewer.has(".picture-view[data-mode=live]")
    await viewer.has(".list .event.tone-brake")
    await viewer.has(".fault")


async def past(viewer: Viewer) -> None:
    await viewer.page.click(".list .event.tone-decision >> nth=-1")
    await viewer.has(".picture-view[data-mode=past]")


async def rearm_dialog(viewer: Viewer) -> None:
    await viewer.page.click("[data-verb=rearm]:enabled")
    await viewer.has(".rearm-dialog[open]")
    assert await viewer.page.evaluate("document.activeElement.id") == "rearm-reason"


async def token_dialog(viewer: Viewer) -> None:
    await viewer.page.click(".rearm-dialog .cancel")
    await viewer.page.click(".token-button")
    await viewer.has(".token-dialog[open]")


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_page_has_no_accessibility_violations(gather: Gather, show: Open, theme: str):
    trains = await gather()
    viewer = await show(trains.url, color_scheme=theme, reduced_motion="reduce")
    for view in (empty, overview, one_train, past, rearm_dialog, token_dialog):
        if view is overview:
            trains.guards |= {"anna": GuardState.RUNNING, "berta": GuardState.FAULT_LATCHED}
        await view(viewer)
        assert await viewer.violations() == [], view.__name__


async def test_phone_shows_everything_without_scrolling_sideways(gather: Gather, show: Open):
    trains = await gather(anna=GuardState.RUNNING)
    viewer = await show(trains.url, viewport={"width": 390, "height": 844}, has_touch=True)
    await viewer.has(".picture-view[data-mode=live]")
    assert await viewer.page.evaluate("document.documentElement.scrollWidth") <= 390
    stop = await viewer.page.locator(".estop-one").bounding_box()
    assert stop is not None
    assert stop["y"] + stop["height"] <= 844
    assert stop["height"] >= 64


async def test_page_can_be_used_by_keyboard_alone(gather: Gather, show: Open):
    trains = await gather(anna=GuardState.FAULT_LATCHED)
    viewer = await show(trains.url)
    await viewer.has(".picture-view[data-mode=live]")
    await viewer.has(".thumb")
    reached = set()
    for _ in range(30):
        await viewer.page.keyboard.press("Tab")
        reached.add(await viewer.page.evaluate("document.activeElement.classList[0] ?? document.activeElement.id"))
    assert {
        "skip",
        "language",
        "tool",
        "switch",
        "small",
        "thumb",
        "scrub",
        "estop",
        "command",
        "power",
        "list",
    } <= reached
    await viewer.page.focus(".list")
    await viewer.page.keyboard.press("ArrowDown")
    await viewer.page.keyboard.press("Enter")
    await viewer.has(".picture-view[data-mode=past]")


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1366, 768), (390, 844)])
async def test_dialog_leaves_the_emergency_stop_free(gather: Gather, show: Open, width: int, height: int):
    trains = await gather(anna=GuardState.FAULT_LATCHED)
    viewer = await show(trains.url, viewport={"width": width, "height": height})
    await viewer.page.click("[data-verb=rearm]:enabled")
    await viewer.has(".rearm-dialog[open]")
    await viewer.page.click(".estop-one")  # waits until nothing covers it
    await viewer.has(".outcome-one[data-emergency][data-status=accepted]")


CHATTER = """() => {
    window.announcedToTest = [];
    const note = (list) => window.announcedToTest.push(...list.map((one) => one.target.textContent));
    const what = { childList: true, characterData: true, subtree: true };
    for (const region of document.querySelectorAll("[role=status], [role=alert], [aria-live]")) {
        new MutationObserver(note).observe(region, what);
    }
    window.drawnBefore = performance.getEntriesByName("frame-age").length;
}"""


async def test_live_regions_are_silent_while_nothing_changes_but_the_picture(gather: Gather, show: Open):
    trains = await gather(anna=GuardState.RUNNING)
    viewer = await show(trains.url)
    await viewer.has(".thumb")
    await viewer.page.evaluate(CHATTER)
    await viewer.until("() => performance.getEntriesByName('frame-age').length >= window.drawnBefore + 10")
    assert await viewer.page.evaluate("window.announcedToTest") == []
    trains.guards["anna"] = GuardState.FAULT_LATCHED
    await viewer.until("() => window.announcedToTest.includes('the camera is gone')")
    assert await viewer.page.evaluate("window.announcedToTest.length") <= 4


async def test_tests_that_share_a_browser_share_a_worker(request: pytest.FixtureRequest):
    if request.config.getoption("loadgroup", default=False):  # set in the workers of pytest-xdist
        assert request.node.nodeid.endswith("@browser")
