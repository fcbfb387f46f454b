"""The page of a fleet's console, in Chromium."""

import pytest

from edge_agent.console.schemas import Trouble
from edge_agent.events import CommandResult, GuardState
from tests.browser.conftest import Gather, Open
from tests.console.rig import result

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(300),
]


COMMANDS_SENT = """(wanted) => {
    const sent = performance.getEntriesByType("resource").filter((one) => one.name.endsWith("/commands"));
    return sent.length === wanted;
}"""


async def test_overview_shows_each_train_and_opens_one(gather: Gather, show: Open):
    trains = await gather(anna=GuardState.RUNNING, berta=GuardState.FAULT_LATCHED)
    viewer = await show(trains.url)
    await viewer.sees(".tile:nth-child(1)", "anna")
    await viewer.has(".tile:nth-child(1)[data-state=running][data-fresh=fresh]")
    await viewer.has(".tile:nth-child(2)[data-state=fault_latched]")
    await viewer.moves(".tile:nth-child(1) canvas")
    await viewer.page.click(".tile:nth-child(2) .tile-open")
    await viewer.has("body[data-view=train] .guard[data-state=fault_latched]")
    await viewer.moves(".picture-view .frame")
    await viewer.has(".tick")
    await viewer.page.go_back()
    await viewer.has("body[data-view=overview]")


async def test_train_whose_clock_is_behind_has_its_events_within_the_strip(gather: Gather, show: Open):
    trains = await gather(anna=GuardState.RUNNING)
    trains.behind_s = 3600
    viewer = await show(trains.url)
    await viewer.until(
        """() => {
            const strip = document.querySelector(".scrub").getBoundingClientRect();
            const places = [...document.querySelectorAll(".tick")].map((tick) => tick.getBoundingClientRect().left);
            return places.some((place) => place > strip.left && place < strip.right);
        }"""
    )


async def test_text_from_the_network_is_shown_as_text(gather: Gather, show: Open):
    trains = await gather(anna=GuardState.FAULT_LATCHED)
    viewer = await show(trains.url)
    await viewer.sees(".fault-remedy", "<img src=x onerror=alert(1)> look at the cable")
    assert await viewer.page.locator(".fault img").count() == 0


async def test_train_that_falls_silent_is_marked_stale_while_the_others_go_on(gather: Gather, show: Open):
    trains = await gather(anna=GuardState.RUNNING, berta=GuardState.RUNNING)
    viewer = await show(trains.url)
    await viewer.has(".tile:nth-child(2)[data-fresh=fresh]")
    kept = trains.guards.pop("berta")
    await viewer.has(".tile:nth-child(2)[data-fresh=silent]")
    await viewer.has(".tile:nth-child(1)[data-fresh=fresh]")
    trains.guards["berta"] = kept
    await viewer.has(".tile:nth-child(2)[data-fresh=fresh]")


async def test_emergency_stop_in_the_overview_is_for_every_train(gather: Gather, show: Open):
    trains = await gather(anna=GuardState.RUNNING, berta=GuardState.RUNNING)
    viewer = await show(trains.url)
    await viewer.has(".tile:nth-child(2)")
    await viewer.page.keyboard.press("Escape")
    await viewer.has(".outcome-all[data-status=accepted]")
    await viewer.page.click(".tile:nth-child(1) .tile-stop")
    await viewer.until(COMMANDS_SENT, 2)  # one request for all trains: a browser has few connections
    assert sorted(train_id for train_id, _ in trains.trains.commands) == ["anna", "anna", "berta"]
    assert {command.verb for _, command in trains.trains.commands} == {"emergency_stop"}


@pytest.mark.parametrize(
    ("reply", "status"),
    [(None, "silent"), (result(False, None, "the train is busy"), "refused")],
    ids=["silence", "no"],
)
async def test_command_without_a_yes_says_so(gather: Gather, show: Open, reply: CommandResult | None, status: str):
    trains = await gather(anna=GuardState.RUNNING)
    trains.trains.result = reply
    viewer = await show(trains.url, expected=("504",))
    await viewer.page.click("[data-verb=stop]")
    await viewer.has(f".outcome-one[data-status={status}]")
    await viewer.sees(".outcome-one", "NOT ACKNOWLEDGED within 2 s" if reply is None else "refused: the train is busy")


async def test_read_only_console_offers_no_command(gather: Gather, show: Open):
    trains = await gather(anna=GuardState.RUNNING)
    trains.app.accepts_commands = False
    viewer = await show(trains.url)
    await viewer.has("body[data-commands=none]")
    assert await viewer.page.locator(".estop:visible, .command:visible, .token-button:visible").count() == 0
    await viewer.page.keyboard.press("Escape")
    await viewer.sees("#urgent", "This console is read-only")
    assert trains.trains.commands == []


async def test_console_that_hears_no_train_says_how_to_connect_one(gather: Gather, show: Open):
    trains = await gather()
    viewer = await show(trains.url)
    await viewer.has("body[data-view=empty]")
    await viewer.sees(".steps", "bootstrap_servers")
    trains.app.publish_trouble(Trouble("Kafka does not answer", "check kafka.bootstrap_servers"))
    await viewer.sees(".trouble", "Kafka does not answer")
    trains.app.publish_trouble(None)
    await viewer.page.wait_for_selector(".trouble", state="hidden")
    trains.guards["anna"] = GuardState.RUNNING
    await viewer.has("body[data-view=train]")
