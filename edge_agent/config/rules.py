"""The sign rules (signs.yaml): what each sign asks of the train."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Self

from pydantic import Field, ValidationError, model_validator

from edge_agent.config.base import PositivePercent, Section
from edge_agent.config.control import DetectorSettings
from edge_agent.config.diagnostics import SettingsProblem, ValueSource, close_match, problems_of, raise_if_any
from edge_agent.config.yaml_file import display_path, read_yaml
from edge_agent.errors import ConfigError
from edge_agent.events import Action
from edge_agent.runtime import resources


class AfterHold(StrEnum):
    """What the train does when a sign's hold time is over."""

    CRUISE = "cruise"
    RESUME = "resume"
    STAY = "stay"


class Confirm(Section):
    """How many of the last frames must show the sign."""

    agree: int = Field(3, ge=1, le=100, description="Frames that must show the sign.")
    of: int = Field(5, ge=1, le=100, description="Number of last frames that are considered.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.agree > self.of:
            raise ValueError(f"agree must not be more than of ({self.agree} of {self.of})")
        return self


class SignRule(Section):
    """What one sign asks for, when, and for how long."""

    action: Action = Field(description="What the train does.")
    power_percent: PositivePercent | None = Field(
        None, description="Motor power of `slow` and `cruise` (required there), brightness of `lights`."
    )
    hold_s: float | None = Field(
        None, gt=0, le=3600, description="How long the action lasts, in seconds; null lasts until another sign."
    )
    then: AfterHold = Field(
        AfterHold.STAY,
        description="After `hold_s`: `cruise` at the policy's power, or `resume` what went before; `stay` never ends.",
    )
    confirm: Confirm = Field(default_factory=Confirm, description="How many of the last frames must agree.")
    min_score: float = Field(
        0.6,
        ge=0,
        le=1,
        description="A frame shows the sign if its detection has at least this score: the one place that says so.",
    )
    near_height_px: float = Field(
        24.0,
        ge=0,
        le=4096,
        description="The sign is near if its box is at least this high, in px of a picture whose longer side is 600.",
    )
    cooldown_s: float = Field(
        2.0,
        ge=0,
        le=3600,
        description="A sign acts again only after it has been out of view for this long, in seconds.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.action in {Action.SLOW, Action.CRUISE} and self.power_percent is None:
            raise ValueError(f"power_percent is missing; action {self.action} needs it")
        if self.action in {Action.STOP, Action.NONE} and self.power_percent is not None:
            raise ValueError(f"power_percent has no meaning with action {self.action}; remove it")
        if self.hold_s is not None and self.then is AfterHold.STAY:
            raise ValueError("hold_s ends, but then: stay does not; remove hold_s or say what follows")
        if self.hold_s is None and self.then is not AfterHold.STAY:
            raise ValueError(f"hold_s is missing; then: {self.then} needs it")
        return self


class SignRulesFile(Section):
    """The content of signs.yaml."""

    signs: dict[str, SignRule] = Field(description="A rule for each sign, by its label.")


@dataclass(frozen=True, slots=True)
class SignRules:
    """The loaded rules by label; `source` is the file's path for messages."""

    signs: Mapping[str, SignRule]
    source: str = ""
    _places: Mapping[str, ValueSource] = field(default_factory=dict, repr=False, compare=False)

    def get(self, label: str) -> SignRule | None:
        """Return the rule for `label`; None for a sign without a rule."""
        return self.signs.get(label)


def load_rules(path: Path | None = None) -> SignRules:
    """Load the rules from `path`, or those shipped; raises one ConfigError with a line for each problem."""
    path = path or resources.config_dir() / "signs.yaml"
    tree = read_yaml(path)
    try:
        parsed = SignRulesFile.model_validate_json(json.dumps(tree.values))
    except ValidationError as error:
        found = [] if tree.problems and not tree.values else problems_of(error, tree, SignRulesFile)
        raise_if_any([*tree.problems, *found])
        raise  # unreachable: a ValidationError has at least one error
    raise_if_any(tree.problems)
    places = {label: place for label in parsed.signs if (place := tree.places.get(("signs", label)))}
    return SignRules(MappingProxyType(dict(parsed.signs)), display_path(path), MappingProxyType(places))


_LEAST_THRESHOLD = 0.01
"""A rule may count every score; the detector still leaves out what is next to nothing."""


def at_working_point(detector: DetectorSettings, rules: SignRules, suggested: float | None = None) -> DetectorSettings:
    """Return the detector's settings with the threshold that fits the rules: it reports all that they count.

    `suggested` is the threshold in the manifest of a model that is not the shipped one. Raises ConfigError where the
    settings' threshold is above a rule's `min_score`: the sign would count from another score than the rule says.
    """
    if detector.threshold is None:
        lowest = min((rule.min_score for rule in rules.signs.values()), default=suggested or _LEAST_THRESHOLD)
        reported = min(lowest, lowest if suggested is None else suggested)
        return detector.model_copy(update={"threshold": max(reported, _LEAST_THRESHOLD)})
    threshold, source = detector.threshold, rules.source or "the sign rules"
    hidden = [f"{label} {rule.min_score:g}" for label, rule in rules.signs.items() if rule.min_score < threshold]
    if hidden:
        raise ConfigError(
            f"detector.threshold is {threshold:g}, but {source} counts less (min_score: {', '.join(hidden)})",
            remedy="remove detector.threshold (or --threshold), or raise these scores: each sign's min_score decides",
        )
    return detector


def threshold_note(detector: DetectorSettings, rules: SignRules, suggested: float | None = None) -> str:
    """Return a line where a threshold of the settings or of a model's manifest does not change what signs do; or ""."""
    scores = sorted(rule.min_score for rule in rules.signs.values())
    if not scores:
        return ""
    counted = f"{rules.source or 'the sign rules'} counts signs from {scores[0]:g} to {scores[-1]:g} (min_score)"
    if detector.threshold is not None and detector.threshold < scores[0]:
        return f"detector.threshold {detector.threshold:g} only shows more boxes: {counted}"
    if suggested is not None and not scores[0] <= suggested <= scores[-1]:
        return f"the model's manifest has the threshold {suggested:g}, but {counted}"
    return ""


def check_labels(rules: SignRules, labels: Iterable[str]) -> None:
    """Raise one ConfigError naming each rule whose sign is not one of the model's `labels`."""
    known = tuple(labels)
    problems = []
    for label in rules.signs:
        if label not in known:
            place = rules._places.get(label)
            hint = close_match(label, known) or f"; it knows: {', '.join(known)}"
            where = place.exact(of_key=True) if place else rules.source
            problems.append(SettingsProblem(where, f"signs.{label}", f"the model does not know this sign{hint}"))
    raise_if_any(problems)
