"""What a history of motor and link says. Pure."""

from collections.abc import Sequence

GRACE_S = 0.8
"""Bound from a fault to the last drive, which the guard cannot shorten: the radio has its own delays."""


def last_drive_s(history: Sequence[Sequence[float | str]], since_s: float) -> float:
    """Return when the motor last ceased to drive, at or after `since_s`.

    `history` is [seconds, word, power], in order of time; a word other than drive, brake and coast is no change of the
    motor. A motor that stood already gives `since_s`, one that still drives infinity.
    """
    driving, ceased_s = False, since_s
    for at_s, word, _power in history:
        if word not in {"drive", "brake", "coast"}:
            continue
        if driving and word != "drive":
            ceased_s = max(since_s, float(at_s))
        driving = word == "drive"
    return float("inf") if driving else ceased_s


def drives_within(history: Sequence[Sequence[float | str]], from_s: float, to_s: float) -> list[float]:
    """Return the times of powers that reached the motor in an interval, and `from_s` if it was driving then."""
    driving = False
    for at_s, word, _power in history:
        if float(at_s) < from_s and word in {"drive", "brake", "coast"}:
            driving = word == "drive"
    found = [float(at_s) for at_s, word, _power in history if from_s <= float(at_s) <= to_s and word == "drive"]
    return ([from_s] if driving else []) + found


def forbidden(states: list[tuple[float, str]], end_s: float) -> list[tuple[float, float]]:
    """Return the intervals in which the train must not drive. `states` are [seconds, state of the guard] in order."""
    found: list[tuple[float, float]] = []
    since_s: float | None = None
    for at_s, state in states:
        if state == "running":
            if since_s is not None and at_s > since_s + GRACE_S:
                found.append((since_s + GRACE_S, at_s))
            since_s = None
        elif since_s is None:
            since_s = at_s
    if since_s is not None and end_s > since_s + GRACE_S:
        found.append((since_s + GRACE_S, end_s))
    return found
