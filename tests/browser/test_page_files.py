"""The page's files: their size, and their texts in two languages. Needs no browser."""

import re
from pathlib import Path

import pytest

from edge_agent.config import load
from edge_agent.control.commands import Verb
from edge_agent.events import Action, CommandKind, GuardState

PAGE = Path(__file__).parents[2] / "edge_agent" / "console" / "page"
FILES = sorted(PAGE.iterdir())
MAX_BYTES = 150_000
TRAIN_TEXTS = "fr-train.js"
"""Loaded by a French page only, see test_train_texts.py."""
MAX_TRAIN_TEXTS_BYTES = 30_000
_ENTRY = re.compile(r'^  "([^"]+)": "((?:[^"\\]|\\.)+)",$', re.MULTILINE)

CLOSED = {
    "guard": tuple(GuardState),
    "hint": tuple(GuardState),
    "action": tuple(Action),
    "command": tuple(CommandKind),
    "verb": tuple(Verb),
}
"""Families of keys whose ends come from the train."""

OPEN = {
    "connection": ("connecting", "open", "waiting"),
    "theme": ("auto", "light", "dark"),
    "mode": ("live", "stale"),
    "stale": ("offline", "silent", "ended", "paused", "blind", "never"),
    "outcome": ("sent", "late", "accepted", "refused", "silent", "locked", "failed", "unreachable"),
    "link": ("hub", "mqtt", "kafka"),
    "kind": ("sign", "decision", "command", "fault", "answer"),
    "empty": ("fleet", "train", "fleet.lead", "train.lead"),
}
"""Families of keys whose ends the page itself makes."""


def texts(language: str) -> dict[str, str]:
    found = _ENTRY.findall((PAGE / f"{language}.js").read_text(encoding="utf-8"))
    assert len(found) == len(dict(found)), "a key stands twice"
    return dict(found)


def sources() -> str:
    names = [path for path in FILES if path.suffix in (".js", ".html") and path.stem not in ("en", "fr", "fr-train")]
    return "".join(path.read_text(encoding="utf-8") for path in names)


def named_keys() -> set[str]:
    """Return each key that the page names as a whole, or by its family and a known end."""
    words = set(re.findall(r'"([a-z_0-9]+(?:\.[a-z_0-9]+)*)"', sources()))
    families = {name: tuple(str(end) for end in ends) for name, ends in (CLOSED | OPEN).items()}
    for family in families:
        assert f"`{family}.${{" in sources(), f"nothing makes keys of the family {family}"
    return words | {f"{family}.{end}" for family, ends in families.items() for end in ends}


def test_languages_have_the_same_keys():
    assert texts("en").keys() == texts("fr").keys()


def test_texts_of_both_languages_take_the_same_values():
    english, french = texts("en"), texts("fr")
    for key, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", french[key])), key


def test_each_text_is_used():
    assert texts("en").keys() - named_keys() == set()


def test_each_text_that_is_asked_for_is_there():
    asked = set(re.findall(r'\bt\("([^"]+)"', sources())) | set(
        re.findall(r'data-i18n(?:-label)?="([^"]+)"', sources())
    )
    asked |= {f"{family}.{end}" for family, ends in (CLOSED | OPEN).items() for end in ends}
    assert asked - texts("en").keys() == set()


def test_page_weighs_less_than_150_kb():
    sizes = {path.name: path.stat().st_size for path in FILES}
    assert sizes.pop(TRAIN_TEXTS) < MAX_TRAIN_TEXTS_BYTES
    assert sum(sizes.values()) < MAX_BYTES


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.suffix in (".html", ".js", ".css")], ids=lambda path: path.name
)
def test_file_asks_nothing_of_another_host_and_holds_no_inline_code(path: Path):
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|@import|url\(", text)
    assert not re.search(r"\son\w+=|\sstyle=|<style|innerHTML|insertAdjacentHTML|document\.write|eval\(", text)
    assert len(text.splitlines()) <= 300


def test_settings_that_the_empty_page_advises_are_valid(tmp_path: Path):
    found = re.search(r'"(kafka:.*?)"', (PAGE / "empty.js").read_text(encoding="utf-8"))
    assert found
    file = tmp_path / "agent.yaml"
    file.write_text(found[1].replace("\\n", "\n"))
    settings = load(file, environ={}).settings
    assert settings.kafka.enabled
    assert settings.kafka.bootstrap_servers == ("broker.example:9093",)
