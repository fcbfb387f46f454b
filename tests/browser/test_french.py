"""Every fault with its reason and remedy on the page, in both languages: nothing is cut, nothing stays English."""

import re
import time
from dataclasses import replace

import pytest

from edge_agent import faults
from edge_agent.events import Fault, GuardState, Severity
from edge_agent.faults import FaultKind
from tests.browser.conftest import Gather, Open
from tests.browser.fleet import Fleet
from tests.browser.test_train_texts import constants, modules, pairs, reported
from tests.console.rig import envelope
from tests.support import events as make

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(300),
]

PHONE, DESKTOP = (360, 780), (1600, 900)
KINDS = {name: kind for name, kind in vars(faults).items() if isinstance(kind, FaultKind)}


_KAFKA, _MQTT = "Kafka at broker.example:9093", "the MQTT broker broker.example:8883"
_UPLINK = "check the uplink and kafka.bootstrap_servers; events wait in the outbox meanwhile"
PASSED_ON = {
    "EMERGENCY_STOP": ("emergency stop",),
    "INTEGRITY": ("the detector failed on 10 frames in a row: the network failed (out of memory)",),
    "LINK_LOST": ("The link to the hub failed; move closer or replace the batteries; the agent keeps trying",),
    "LOOP_STALLED": ("the event loop stalled",),
    "BLIND": ("no fresh picture was understood for 300 ms",),
    "HUB_SILENT": ("the hub has not answered for 300 ms",),
    "HUB_REFUSED": ("the hub has discarded a command to the motor",),
    "HUB_SHARED": ("the motor was driven by somebody else",),
    "HUB_TROUBLE": ("the battery is at 6.43 V, below the critical 6.50 V",),
    "CAMERA_LAG_UNKNOWN": ("the stream has no time stamps: how late its pictures are cannot be known",),
    "INFERENCE_FAILED": ("the network failed (out of memory)", "rebuild the engine"),
    "BATTERY_LOW": ("6.91 V",),
    "GPU_UNAVAILABLE": ("the NVIDIA driver finds no GPU; the train drives on ONNX Runtime", "check nvidia-smi"),
    "GPU_MEMORY": ("the GPU has not enough memory (4 GB); the train drives on ONNX Runtime", "update the driver"),
    "MQTT_UNREACHABLE": (f"{_MQTT} cannot be reached", "start the broker or check mqtt.host and mqtt.port"),
    "MQTT_REFUSED": (f"the TLS handshake with {_MQTT} failed", "check mqtt.tls and the broker's certificate"),
    "KAFKA_UNREACHABLE": (f"{_KAFKA} cannot be reached", _UPLINK),
    "KAFKA_REFUSED": (f"{_KAFKA} requires a client certificate", "set kafka.certificate_file and kafka.key_file"),
    "KAFKA_TOPIC_MISSING": (f"{_KAFKA} has no topic train-events and does not create one", "create the topic"),
    "KAFKA_COMMANDS_AWAY": (f"{_KAFKA} does not answer: no commands are received from orders", "check the uplink"),
}
"""What is reported of kinds whose words come from elsewhere: the message, and the remedy where the kind has none."""


def reports() -> list[Fault]:
    """Return what is reported of each kind, with values filled in; else the longest sentence of all, twice."""
    words: dict[str, list[str]] = {name: list(PASSED_ON.get(name, ())) for name in KINDS}
    for _, tree in modules():
        for _, kind, template in reported(tree, constants(tree)):
            words.get(kind, []).append(template.replace("{}", "7.25"))
    longest = max((english for english, _ in pairs()), key=len)
    found = {name: [*words[name], longest] for name in KINDS}
    return [
        Fault(
            kind.code, found[name][0], kind.remedy or found[name][1 if len(found[name]) > 1 else 0], Severity.STOP, 0.0
        )
        for name, kind in KINDS.items()
    ]


def send(fleet: Fleet, *found: Fault) -> None:
    at_s = time.time() - make.UNIX_S + 0.25
    state = replace(make.state(GuardState.FAULT_LATCHED, at_s=at_s), reason="the hub has not answered for 300 ms")
    for number, event in enumerate((state, *(replace(fault, at_s=at_s) for fault in found)), 1):
        fleet.app.receive(envelope(event, "hall", number))


CUT = """() => {
    const cut = [];
    for (const element of document.querySelectorAll(".faults, .fault, .fault *, .guard-reason")) {
        const { left, right } = element.getBoundingClientRect();
        const wide = element.clientWidth && element.scrollWidth > element.clientWidth;
        const high = element.clientHeight && element.scrollHeight > element.clientHeight + 1;
        const hides = getComputedStyle(element).textOverflow === "ellipsis";
        if (wide || high || hides || left < 0 || right > innerWidth) cut.push(element.outerHTML);
    }
    return cut;
}"""


@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
@pytest.mark.parametrize(("width", "height"), [DESKTOP, PHONE])
async def test_each_fault_is_shown_whole_with_its_reason_and_remedy(
    gather: Gather, show: Open, locale: str, width: int, height: int
) -> None:
    fleet = await gather()
    found = reports()
    send(fleet, *found)
    viewer = await show(fleet.url, locale=locale, viewport={"width": width, "height": height})
    await viewer.until("(n) => document.querySelectorAll('.fault').length === n", len(found))
    assert await viewer.page.evaluate(CUT) == []
    cards = await viewer.page.eval_on_selector_all(".fault", "(all) => all.map((card) => card.textContent)")
    if locale == "en-GB":
        for fault in found:
            assert any(fault.message in card and fault.remedy in card for card in cards), fault.code
    else:
        english = ".fault [lang=en], .guard-reason[lang=en], .event-detail[lang=en], .link-detail[lang=en]"
        assert await viewer.page.eval_on_selector_all(english, "(all) => all.map((one) => one.textContent)") == []


def plain(found: dict[str, str]) -> tuple[str, str]:
    """Return text and language, with the typist's spaces and apostrophes."""
    return found["text"].translate({0x202F: " ", 0x2019: "'"}), found["lang"]


IN_LANGUAGE = """async (texts) => {
    const { inLanguage } = await import("/page/traintext.js");
    return texts.map((text) => inLanguage(text));
}"""


def _filled(value: str, side: int) -> list[str]:
    return [re.sub(r"\{\w+\}", value, pair[side].replace("{sign}", "danger")) for pair in pairs()]


async def test_each_sentence_of_the_train_is_french_on_a_french_page(gather: Gather, show: Open) -> None:
    fleet = await gather()
    viewer = await show(fleet.url, locale="fr-FR")
    filled = dict(zip(_filled("4.5", 0), _filled("4,5", 1), strict=True))
    shown = await viewer.page.evaluate(IN_LANGUAGE, list(filled))
    wanted = [plain({"text": french, "lang": "fr"}) for french in filled.values()]
    assert [pair for pair in zip(map(plain, shown), wanted, strict=True) if pair[0] != pair[1]] == []


CASES = (
    ("no entry sign obeyed", "panneau sens interdit respecté"),
    (
        "the MQTT broker hall:1883 does not answer, again and again",
        "le courtier MQTT hall:1883 ne répond pas, encore et encore",
    ),
    ("re-arm the train first: emergency stop", "réarmez d'abord le train : arrêt d'urgence"),
    (
        "the battery is at 6.43 V, below the critical 6.50 V",
        "la batterie est à 6,43 V, sous le seuil critique de 6,50 V",
    ),
    (
        "cannot be armed: the outbox is slow: the disk is full",
        "ne peut pas être armé : la file d'envoi est lente : le disque est plein",
    ),
    (
        "No hub in range; plug the train motor into port A until it clicks",
        "aucun hub à portée ; enfoncez le moteur du train dans le port A jusqu'au déclic",
    ),
)
UNKNOWN = ("ZeroDivisionError: by zero", "; ".join(["emergency stop"] * 500))


async def test_sentences_within_sentences_are_french_too_and_unknown_ones_stay_english(
    gather: Gather, show: Open
) -> None:
    fleet = await gather()
    viewer = await show(fleet.url, locale="fr-FR")
    shown = await viewer.page.evaluate(IN_LANGUAGE, [*(english for english, _ in CASES), *UNKNOWN])
    assert [plain(one) for one in shown] == [
        *((french, "fr") for _, french in CASES),
        *((text, "en") for text in UNKNOWN),
    ]
