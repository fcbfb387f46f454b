"""The road signs: their labels and class ids, and what each room knows of each sign.

A label and its row of facts are the one place in which a sign is described; docs/extend.md tells how to add one. The
order is part of every trained model: append, never reorder.
"""

import math
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class SignFacts:
    """What is known of a sign.

    Args:
        share: its share of the signs in a drawn data set; those of all signs add up to 1.
        english: its name on the console's page.
        french: the same in French.
        colour: of its boxes, `#rrggbb`.
        original_class: what the original demo's consumers take it for: 0 SpeedLimit (slower), 1 DangerAhead (brake),
            None nothing.
    """

    share: float
    english: str
    french: str
    colour: str
    original_class: int | None = None


class Sign(StrEnum):
    """The classes of road signs of the shipped detector, in the order of their class ids."""

    SPEED_LIMIT_30 = "speed_limit_30"
    SPEED_LIMIT_50 = "speed_limit_50"
    SPEED_LIMIT_OTHER = "speed_limit_other"
    STOP = "stop"
    NO_ENTRY = "no_entry"
    DANGER = "danger"  # any warning triangle
    PEDESTRIAN_CROSSING = "pedestrian_crossing"
    TRAFFIC_LIGHT = "traffic_light"
    OTHER_SIGN = "other_sign"

    @property
    def facts(self) -> SignFacts:
        """What is known of this sign."""
        return _FACTS[self]


_FACTS = {
    Sign.SPEED_LIMIT_30: SignFacts(0.14, "limit 30", "limite 30", "#ffb454", 0),
    Sign.SPEED_LIMIT_50: SignFacts(0.14, "limit 50", "limite 50", "#59c2ff", 0),
    Sign.SPEED_LIMIT_OTHER: SignFacts(0.09, "limit", "limite", "#d2a6ff", 0),
    Sign.STOP: SignFacts(0.1, "STOP", "STOP", "#ff6b6b", 1),
    Sign.NO_ENTRY: SignFacts(0.1, "no entry", "sens interdit", "#ff8f40", 1),
    Sign.DANGER: SignFacts(0.27, "danger", "danger", "#ffd94a", 1),
    Sign.PEDESTRIAN_CROSSING: SignFacts(0.04, "crossing", "passage piéton", "#7fd962", 0),
    Sign.TRAFFIC_LIGHT: SignFacts(0.06, "traffic light", "feu tricolore", "#5ee0c8"),
    Sign.OTHER_SIGN: SignFacts(0.06, "other sign", "autre panneau", "#d0d7de"),
}

LABELS: tuple[str, ...] = tuple(sign.value for sign in Sign)
"""Label of each class id, by position."""

CLASS_IDS: dict[str, int] = {label: class_id for class_id, label in enumerate(LABELS)}
"""Class id of each label."""

if _unknown := set(Sign) - set(_FACTS):
    raise ValueError(f"nothing is said of {', '.join(sorted(_unknown))}: add a row of SignFacts")
if not math.isclose(_total := sum(sign.facts.share for sign in Sign), 1.0):
    raise ValueError(f"the shares of the signs add up to {_total:g} instead of 1: lower others when a sign is added")
