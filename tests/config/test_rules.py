"""The sign rules: their form, contradictions, and signs that the model does not know."""

from pathlib import Path

import pytest

from edge_agent.config import AfterHold, check_labels, load_rules
from edge_agent.errors import ConfigError
from edge_agent.events import Action
from edge_agent.signs import LABELS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str) -> Path:
    Path("signs.yaml").write_text(text, encoding="utf-8")
    return Path("signs.yaml")


def complaints(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_rules(write(text))
    assert caught.value.exit_code == 78
    return str(caught.value).splitlines()


def test_default_rules_obey_the_six_signs_and_fit_the_shipped_labels() -> None:
    rules = load_rules()
    check_labels(rules, LABELS)
    found = {label: (rule.action, rule.then) for label, rule in rules.signs.items()}
    assert found == {
        "speed_limit_30": (Action.SLOW, AfterHold.STAY),
        "speed_limit_50": (Action.CRUISE, AfterHold.STAY),
        "stop": (Action.STOP, AfterHold.RESUME),
        "no_entry": (Action.STOP, AfterHold.STAY),
        "danger": (Action.STOP, AfterHold.STAY),
        "pedestrian_crossing": (Action.SLOW, AfterHold.RESUME),
    }


def test_sign_without_a_rule_has_none() -> None:
    assert load_rules().get("other_sign") is None


def test_rule_with_every_part_is_read(folder: Path) -> None:
    text = (
        "signs:\n  stop: {action: stop, hold_s: 2.5, then: cruise, confirm: {agree: 2, of: 3}, "
        "near_height_px: 30, cooldown_s: 1}\n"
    )
    rule = load_rules(write(text)).signs["stop"]
    assert (rule.action, rule.hold_s, rule.then) == (Action.STOP, 2.5, AfterHold.CRUISE)
    assert (rule.confirm.agree, rule.confirm.of, rule.near_height_px, rule.cooldown_s) == (2, 3, 30.0, 1.0)


def test_rules_cannot_change_after_loading() -> None:
    with pytest.raises(TypeError):
        load_rules().signs["stop"] = None  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "signs: is missing; add it"),
        ("signs:\n", "signs.yaml:1:1: signs: must be a section of `key: value` lines (got null)"),
        ("sings: {}\nsigns: {}\n", "signs.yaml:1:1: sings: unknown key; did you mean 'signs'?"),
        ("signs:\n  stop: {}\n", "signs.yaml:2:9: signs.stop.action: is missing; add it"),
        (
            "signs:\n  stop:\n    action: halt\n",
            "signs.yaml:3:13: signs.stop.action: must be one of: 'stop', 'slow', 'cruise', 'lights' or",
        ),
        (
            "signs:\n  stop:\n    action: stop\n    hold: 3\n",
            "signs.yaml:4:5: signs.stop.hold: unknown key; did you mean 'hold_s'?",
        ),
        (
            "signs:\n  stop: {action: stop, confirm: {agree: 4, of: 3}}\n",
            "signs.yaml:2:33: signs.stop.confirm: agree must not be more than of (4 of 3)",
        ),
        (
            "signs:\n  stop: {action: slow, confirm: {off: 3}, power_percent: 3}\n",
            "signs.yaml:2:34: signs.stop.confirm.off: unknown key; did you mean 'of'?",
        ),
        (
            "signs:\n  stop: {action: slow}\n",
            "signs.yaml:2:9: signs.stop: power_percent is missing; action slow needs it",
        ),
        (
            "signs:\n  stop: {action: stop, power_percent: 5}\n",
            "signs.yaml:2:9: signs.stop: power_percent has no meaning with action stop; remove it",
        ),
        (
            "signs:\n  stop: {action: stop, hold_s: 3}\n",
            "signs.yaml:2:9: signs.stop: hold_s ends, but then: stay does not; remove hold_s or say what follows",
        ),
        (
            "signs:\n  stop: {action: stop, then: resume}\n",
            "signs.yaml:2:9: signs.stop: hold_s is missing; then: resume needs it",
        ),
        (
            "signs:\n  stop: {action: slow, power_percent: 0}\n",
            "signs.yaml:2:39: signs.stop.power_percent: must be at least 1 (got 0)",
        ),
        ("signs: {stop: {action: stop}, stop: {action: none}}\n", "signs.yaml:1:31: signs.stop: is a duplicate"),
        ("signs: [", "signs.yaml:1:9: is not valid YAML: "),
    ],
)
def test_bad_rule_is_reported_with_line_and_column(folder: Path, text: str, line: str) -> None:
    found = complaints(text)
    assert len(found) == 1
    assert found[0].startswith(line)


def test_rules_file_that_is_missing_is_reported(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"^none.yaml: cannot be read \(No such file or directory\)"):
        load_rules(Path("none.yaml"))


def test_rule_for_a_sign_that_the_model_does_not_know_is_reported_for_each(folder: Path) -> None:
    rules = load_rules(write("signs:\n  stpo: {action: stop}\n  stop: {action: stop}\n  zebra: {action: stop}\n"))
    with pytest.raises(ConfigError) as caught:
        check_labels(rules, ("stop", "danger"))
    assert str(caught.value).splitlines() == [
        "signs.yaml:2:3: signs.stpo: the model does not know this sign; did you mean 'stop'?",
        "signs.yaml:4:3: signs.zebra: the model does not know this sign; it knows: stop, danger",
    ]
    assert caught.value.exit_code == 78
