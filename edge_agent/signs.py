"""The labels of the signs and their class ids, for training, inference, policy and console.

The order is part of every trained model: append, never reorder.
"""

from enum import StrEnum


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


LABELS: tuple[str, ...] = tuple(sign.value for sign in Sign)
"""Label of each class id, by position."""

CLASS_IDS: dict[str, int] = {label: class_id for class_id, label in enumerate(LABELS)}
"""Class id of each label."""
