"""The page of a real dry run in Chromium."""

from pathlib import Path

import pytest

from tests.browser.conftest import Open
from tests.browser.dry_run import DryRun
from tests.support.proxy import Proxy

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(300),
]

LIVE = ".picture-view[data-mode=live]"


async def test_page_of_a_dry_run_shows_moving_pictures_with_boxes(run: DryRun, show: Open):
    await run.drive()
    viewer = await show(run.url)
    await viewer.has(LIVE)
    await viewer.moves(".picture-view .frame")
    await viewer.has(".boxes[data-count]:not([data-count='0'])")
    painted = """(wanted) => {
        const boxes = document.querySelector(".boxes");
        const data = boxes.getContext("2d").getImageData(0, 0, boxes.width, boxes.height).data;
        return Number(boxes.dataset.count) > 0 && data.some((value) => value > 0) === wanted;
    }"""
    await viewer.until(painted, True)
    await viewer.page.click(".overlay")
    await viewer.until(painted, False)
    await viewer.until("() => /\\d/.test(document.querySelector('.age').textContent)")
    await viewer.until("() => performance.getEntriesByName('frame-age').length > 2")


CLOCKS = """async () => {
    const { Clock } = await import("/page/clock.js");
    const clock = new Clock();
    const ahead = (ms) => Clock.own() + ms;
    clock.observe(ahead(4900));
    const first = clock.now() - Clock.own();
    clock.observeReply(Clock.own() - 400, ahead(4900)); // a slow answer: between 4900 and 5300
    clock.observe(ahead(5090));
    const narrowed = clock.now() - Clock.own();
    clock.observe(ahead(9000)); // the server's clock was set
    return [first, narrowed, clock.now() - Clock.own()];
}"""


async def test_age_rests_on_the_servers_clock_within_what_its_words_allow(run: DryRun, show: Open):
    viewer = await show(run.url)
    first, narrowed, stepped = await viewer.page.evaluate(CLOCKS)
    assert first == pytest.approx(4900, abs=50)
    assert narrowed == pytest.approx((5090 + 5300) / 2, abs=50)
    assert stepped == pytest.approx(9000, abs=50)


async def test_timeline_fills_and_a_stop_opens_its_picture_and_chain(run: DryRun, show: Open):
    await run.drive()
    viewer = await show(run.url)
    for tone in ("sign", "decision", "command", "brake"):
        await viewer.has(f".list .event.tone-{tone}")
    await viewer.until("() => [...document.querySelectorAll('.thumb img')].some((image) => image.naturalWidth > 0)")

    await viewer.page.click(".list .event.tone-decision >> nth=-1")
    await viewer.has(".picture-view[data-mode=past]")
    await viewer.until("() => document.querySelectorAll('.chain-steps[data-past] .chain-step').length >= 3")
    await viewer.sees(".chain-total", "ms")
    await viewer.has(".row[data-selected]")

    await viewer.page.focus(".scrub")
    there = await viewer.page.get_attribute(".scrub", "aria-valuetext")
    await viewer.page.keyboard.press("Home")
    await viewer.until("(there) => document.querySelector('.scrub').ariaValueText !== there", there)
    await viewer.page.keyboard.press("End")
    await viewer.has(LIVE)


async def test_buttons_of_the_timeline_go_from_stop_to_stop(run: DryRun, show: Open):
    await run.stop_and_hold()
    viewer = await show(run.url)
    await viewer.until("() => document.querySelectorAll('.thumb').length > 0")
    await viewer.page.click(".timeline .previous:enabled")
    await viewer.has(".picture-view[data-mode=past]")
    # The command came after its picture, yet the stop that is shown is not the next one.
    await viewer.has(".timeline .next:disabled")


async def test_waits_are_not_shown_as_latency(run: DryRun, show: Open):
    viewer = await show(run.url)
    shown = await viewer.page.evaluate("""async () => {
        const { CausalChain } = await import("/page/causalchain.js");
        const [taken, waited] = [1_700_000_000_000, 1_700_000_006_527];
        const data = { action: "cruise", power_percent: 60 };
        const decision = { id: "d", kind: "decision", at_ms: waited, latency_ms: 6527, data };
        const command = { id: "c", kind: "command", at_ms: waited + 3, data: { kind: "drive" } };
        new CausalChain().show([decision, command], taken, { past: true, language: "test" });
        return document.querySelector(".chain-steps").textContent;
    }""")
    assert "6.5\u202fs later" in shown
    assert "6,527" not in shown
    assert "from picture to command" not in shown


async def test_power_slider_starts_at_the_trains_driving_power_and_follows_it(run: DryRun, show: Open):
    viewer = await show(run.url)
    await viewer.until("() => document.querySelector('#power').value === '40'")  # as dry_run.py sets it
    await viewer.sees("output[for=power]", "40")
    await viewer.page.fill("#power", "45")
    await viewer.has(".outcome-one[data-status=accepted]")
    train = await run.until(lambda train: train["state"]["cruise_power_percent"] == 45)
    assert train["state"]["capture_stopped"] is False
    await viewer.page.fill("#power", "40")
    await run.until(lambda train: train["state"]["cruise_power_percent"] == 40)


async def test_camera_that_an_operator_stopped_says_so(run: DryRun, show: Open):
    viewer = await show(run.url)
    await viewer.has(LIVE)
    await viewer.page.click("[data-verb=capture_stop]")
    try:
        await viewer.sees(".stale-title", "The camera was stopped by command")
    finally:
        await viewer.page.click("[data-verb=capture_start]")
    await viewer.has(LIVE)


async def test_page_tells_how_the_run_ended(tmp_path: Path, show: Open):
    run = await DryRun.start(tmp_path)
    try:
        viewer = await show(run.url, expected=("WebSocket", "ERR_CONNECTION_REFUSED"))
        await viewer.has(LIVE)
    finally:
        await run.end()
    await viewer.sees(".stale-title", "The run has ended")
    await viewer.sees(".stale-text", "ended (SIGTERM)")


async def test_emergency_stop_by_key_and_by_button_stops_the_train(run: DryRun, show: Open):
    viewer = await show(run.url)
    for press in (lambda: viewer.page.keyboard.press("Escape"), lambda: viewer.page.click(".estop-one")):
        await run.drive()
        await viewer.until("() => ['running', 'stopping'].includes(document.querySelector('.guard').dataset.state)")
        await press()
        await viewer.has(".guard[data-state=fault_latched]")
        await viewer.has(".outcome-one[data-status=accepted]")
        train = await run.until(lambda train: train["speed_mm_s"] == 0 and train["state"]["power_percent"] == 0)
        assert train["state"]["guard"] == "fault_latched"


async def test_stopped_train_is_rearmed_with_a_reason_and_driven_again(run: DryRun, show: Open):
    await run.stop_and_hold()
    viewer = await show(run.url)
    await viewer.has(".guard[data-state=fault_latched]")
    await viewer.page.click("[data-verb=rearm]:enabled")
    await viewer.page.fill("#rearm-reason", "the track is clear")
    await viewer.page.keyboard.press("Enter")
    await viewer.page.click("[data-verb=arm]:enabled")
    await viewer.page.click("[data-verb=drive]:enabled")
    await run.until_guard("running", "stopping")
    await viewer.sees(".list", "Re-arm: accepted")


async def test_page_without_a_token_looks_and_commands_nothing(run: DryRun, show: Open):
    await run.drive()
    viewer = await show(run.url, token=None, expected=("401",))
    await viewer.moves(".picture-view .frame")
    await viewer.page.keyboard.press("Escape")
    await viewer.has(".token-dialog[open]")
    await viewer.has(".outcome-one[data-status=locked]")

    await viewer.page.fill("#token", "a wrong one")
    await viewer.page.keyboard.press("Enter")
    await viewer.page.click(".estop-one")
    await viewer.has(".outcome-one[data-status=locked]")
    train = await run.state()
    assert train is not None
    assert train["state"]["guard"] in ("running", "stopping")


async def test_token_in_the_address_is_taken_out_of_it(run: DryRun, show: Open):
    viewer = await show(run.url)
    await viewer.has("body[data-commands=open]")
    assert await viewer.page.evaluate("location.href") == run.url
    assert await viewer.page.evaluate("history.length") <= 2
    assert await viewer.page.evaluate("document.cookie + JSON.stringify(localStorage)") == "{}"


async def test_stale_train_is_marked_and_is_fresh_again_when_it_comes_back(run: DryRun, show: Open):
    viewer = await show(run.url)
    await viewer.has(LIVE)
    run.freeze()
    try:
        await viewer.has(".picture-view[data-mode=stale]")
        await viewer.page.wait_for_selector(".stale-notice", state="visible")
    finally:
        run.thaw()
    await viewer.has(LIVE)


async def test_dropped_connection_is_told_and_comes_back(run: DryRun, show: Open):
    with Proxy(run.port) as proxy:
        viewer = await show(f"http://127.0.0.1:{proxy.port}/", expected=("WebSocket", "net::ERR_"))
        await viewer.has(LIVE)
        proxy.refuse()
        await viewer.has(".link[data-state=waiting]")
        await viewer.has(".picture-view[data-mode=stale]")
        proxy.mend()
        await viewer.has(".link[data-state=open]")
        await viewer.moves(".picture-view .frame")


FROM_ELSEWHERE = """async (place) => {
    const socket = new WebSocket(`ws://${place}/api/live`);
    const opened = await new Promise((done) => {
        socket.onopen = () => done(true);
        socket.onerror = () => done(false);
    });
    const headers = { "Content-Type": "application/json" };
    const call = { method: "POST", headers, body: JSON.stringify({ verb: "emergency_stop" }) };
    const sent = await fetch(`http://${place}/api/trains/train-1/commands`, call).then(() => true, () => false);
    return [opened, sent];
}"""


async def test_page_of_another_origin_sees_nothing_and_commands_nothing(run: DryRun, show: Open):
    viewer = await show(run.url, expected=("WebSocket", "CORS", "ERR_FAILED", "403", "Cross-Origin"))
    elsewhere = "http://elsewhere.example/"
    await viewer.page.route(elsewhere, lambda route: route.fulfill(body="<p>", content_type="text/html"))
    await viewer.page.goto(elsewhere)
    assert await viewer.page.evaluate(FROM_ELSEWHERE, f"127.0.0.1:{run.port}") == [False, False]


async def test_page_speaks_french_to_a_french_browser(run: DryRun, show: Open):
    viewer = await show(run.url, locale="fr-FR")
    await viewer.sees(".estop-one", "ARRÊT D\N{RIGHT SINGLE QUOTATION MARK}URGENCE")
    await viewer.sees(".mode-text", "DIRECT")
    assert await viewer.page.get_attribute("html", "lang") == "fr"
    await viewer.page.select_option(".language", "en")
    await viewer.sees(".estop-one", "EMERGENCY STOP")
    await viewer.sees(".mode-text", "LIVE")
