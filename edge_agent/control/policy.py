"""From what the detector saw to what the signs ask for: (memory, prediction) -> memory, and (memory, now) -> wish.

Pure: the clock is an argument, nothing is written, the same predictions give the same wishes. Knows the sign rules.
Knows nothing of health, hub or power limits: whether the train may do what the signs ask is the guard's business.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from edge_agent.config.rules import AfterHold, SignRule
from edge_agent.events import Action, Detection, Prediction
from edge_agent.perception.tracking import Track, TrackerParameters, update_tracks

REFERENCE_HEIGHT_PX = 400
"""Height of the frame in which a rule's `near_height_px` is meant; other frames are measured in proportion."""

_EDGE_PX = 1.0  # a box that comes this close to the frame's edge is cut by it
_NARROWEST = 0.55  # width to height: a sign's face is about as wide as high, and turned away by 57 degrees at most
_SAME_SIGN_HEIGHT = 0.7  # a sign seen again is at least this tall against its last sight: the train only comes nearer


@dataclass(frozen=True, slots=True)
class Tuning:
    """What the policy works by: the power where no sign asks for anything, rules by label, and box association.

    Boxes whose middle lies in the upper `ignore_above` of the frame (a fraction of its height) are no signs.
    """

    cruise_power_percent: int
    rules: Mapping[str, SignRule]
    tracking: TrackerParameters = field(default_factory=TrackerParameters)
    ignore_above: float = 0.0


@dataclass(frozen=True, slots=True)
class PolicyOutput:
    """What the signs ask of the train; a `power_percent` of None is a stop.

    `frame_id` and `taken_s` are of the sighting. Two wishes are equal when they come from the same sighting.
    """

    action: Action
    power_percent: int | None
    reason: str
    sign: str | None = None
    frame_id: str | None = None
    taken_s: float | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A wish with an end (`until_s`; None: until released), and whether the train cruises or resumes after it."""

    wish: PolicyOutput
    until_s: float | None
    then_cruise: bool


@dataclass(frozen=True, slots=True)
class PolicyMemory:
    """What the policy remembers: signs in the view, signs that just left it, the lasting wish and the one that holds.

    `unknown` counts sightings of labels without a rule, by label.
    """

    tracks: tuple[Track, ...] = ()
    ghosts: tuple[Track, ...] = ()
    lasting: PolicyOutput | None = None
    hold: Hold | None = None
    unknown: Mapping[str, int] = field(default_factory=dict)


def evaluate(memory: PolicyMemory, now_s: float, tuning: Tuning) -> PolicyOutput:
    """Tell what the signs ask for at `now_s`: the hold while it lasts, else the lasting wish, else cruise."""
    lasting = memory.lasting or PolicyOutput(
        Action.CRUISE, tuning.cruise_power_percent, "no sign asks for anything else"
    )
    if memory.hold is None:
        return lasting
    if memory.hold.until_s is None or now_s < memory.hold.until_s:
        return _slower(memory.hold.wish, lasting)
    return lasting if not memory.hold.then_cruise else _cruise_after(memory.hold.wish, tuning)


def release(memory: PolicyMemory) -> PolicyMemory:
    """End a hold that waits for a person (a stop that stays); the operator ordered the train to drive on."""
    return replace(memory, hold=None) if memory.hold is not None and memory.hold.until_s is None else memory


def observe(
    memory: PolicyMemory, prediction: Prediction, now_s: float, tuning: Tuning
) -> tuple[PolicyMemory, tuple[PolicyOutput, ...]]:
    """Fold one prediction into the memory; return it with what the signs that acted in this frame ask for.

    A sign acts once, when it is confirmed and near. Where several act in one frame, the most restrictive prevails.
    """
    memory = _follow(_settle(memory, now_s, tuning), prediction, now_s, tuning)
    acting = sorted(_ready(memory, prediction, tuning), key=lambda sighting: _rank(sighting.rule), reverse=True)
    for sighting in acting:
        memory = _act(memory, sighting, now_s)
    numbers = {sighting.track.number for sighting in acting}
    tracks = tuple(replace(t, acted=True) if t.number in numbers else t for t in memory.tracks)
    return replace(memory, tracks=tracks), tuple(sighting.wish for sighting in acting)


def _settle(memory: PolicyMemory, now_s: float, tuning: Tuning) -> PolicyMemory:
    """Make the end of a hold lasting."""
    hold = memory.hold
    if hold is None or hold.until_s is None or now_s < hold.until_s:
        return memory
    return replace(memory, hold=None, lasting=_cruise_after(hold.wish, tuning) if hold.then_cruise else memory.lasting)


def _follow(memory: PolicyMemory, prediction: Prediction, now_s: float, tuning: Tuning) -> PolicyMemory:
    """Track the frame's boxes; a sign that left the view and is seen again does not act a second time."""
    known = [d for d in prediction.detections if d.label in tuning.rules and _counts(d, prediction, tuning)]
    unknown = dict(memory.unknown)
    for detection in prediction.detections:
        if detection.label not in tuning.rules:
            unknown[detection.label] = unknown.get(detection.label, 0) + 1
    before = {track.number for track in memory.tracks}
    living, gone = update_tracks(memory.tracks, known, now_s, tuning.tracking)
    ghosts = tuple(g for g in (*memory.ghosts, *gone) if g.acted and now_s - g.last_seen_s <= _cooldown_s(g, tuning))
    living = tuple(t if t.number in before else _recognise(t, ghosts) for t in living)
    return replace(memory, tracks=living, ghosts=ghosts, unknown=unknown)


def _counts(detection: Detection, prediction: Prediction, tuning: Tuning) -> bool:
    """Tell whether a detection is a vote: sure enough, whole, turned to us, and where a sign can be.

    A sign that the frame's edge cuts was seen whole before, unless it is none.
    """
    box = detection.box
    whole = (
        box.x1 >= _EDGE_PX
        and box.y1 >= _EDGE_PX
        and box.x2 <= prediction.width - _EDGE_PX
        and box.y2 <= prediction.height - _EDGE_PX
    )
    turned_to_us = box.width >= _NARROWEST * box.height
    low_enough = (box.y1 + box.y2) / 2 >= tuning.ignore_above * prediction.height
    return whole and turned_to_us and low_enough and detection.score >= tuning.rules[detection.label].min_score


def _recognise(track: Track, ghosts: tuple[Track, ...]) -> Track:
    """Mark a new track as acted where it is a sign that acted and was lost from sight for less than its cool-down."""
    label = track.votes[-1]
    again = any(label in ghost.votes and track.box.height >= _SAME_SIGN_HEIGHT * ghost.box.height for ghost in ghosts)
    return replace(track, acted=True) if again else track


def _cooldown_s(track: Track, tuning: Tuning) -> float:
    return max((tuning.rules[label].cooldown_s for label in track.votes if label is not None), default=0.0)


@dataclass(frozen=True, slots=True)
class _ActingSign:
    """A sign that acts in this frame."""

    track: Track
    rule: SignRule
    wish: PolicyOutput


def _ready(memory: PolicyMemory, prediction: Prediction, tuning: Tuning) -> Iterator[_ActingSign]:
    """Yield the signs that are in this frame, confirmed by their votes, near, and have not acted."""
    scale = prediction.height / REFERENCE_HEIGHT_PX
    for track in memory.tracks:
        label = track.votes[-1]
        if label is None or track.acted:
            continue
        rule = tuning.rules[label]
        confirmed = track.votes[-rule.confirm.of :].count(label) >= rule.confirm.agree
        if confirmed and track.box.height >= rule.near_height_px * scale and rule.action is not Action.NONE:
            yield _ActingSign(track, rule, _output_of(label, rule, prediction))


def _output_of(label: str, rule: SignRule, prediction: Prediction) -> PolicyOutput:
    power_percent = None if rule.action is Action.STOP else rule.power_percent
    reason = f"{label.replace('_', ' ').removesuffix(' sign')} sign"
    return PolicyOutput(rule.action, power_percent, reason, label, prediction.frame_id, prediction.taken_s)


def _rank(rule: SignRule) -> tuple[int, int]:
    """Order rules by how much they restrict the train: the smaller, the more."""
    if rule.action is Action.STOP:
        return (0 if rule.then is AfterHold.STAY else 1, 0)
    return (2 if rule.action in (Action.SLOW, Action.CRUISE) else 3, rule.power_percent or 0)


def _act(memory: PolicyMemory, sighting: _ActingSign, now_s: float) -> PolicyMemory:
    """Carry out one rule: one with an end, and a stop, becomes the hold; a power that stays the lasting wish."""
    rule, wished = sighting.rule, sighting.wish
    if rule.action is Action.LIGHTS:
        return memory
    if rule.action is not Action.STOP and rule.hold_s is None:
        return replace(memory, lasting=wished)
    until_s = None if rule.hold_s is None else now_s + rule.hold_s
    hold = Hold(wished, until_s, then_cruise=rule.then is AfterHold.CRUISE)
    return replace(memory, hold=hold) if memory.hold is None or _outranks(hold, memory.hold) else memory


def _outranks(new: Hold, old: Hold) -> bool:
    """Tell whether a new hold replaces the old one: one that stays before one that ends, a stop before a power."""

    def rank(hold: Hold) -> tuple[bool, int]:
        return (hold.until_s is not None, -1 if hold.wish.power_percent is None else hold.wish.power_percent)

    return rank(new) <= rank(old)


def _slower(a: PolicyOutput, b: PolicyOutput) -> PolicyOutput:
    """Return the wish with less power, `a` where they ask for the same."""
    if a.power_percent is None or b.power_percent is None:
        return a if a.power_percent is None else b
    return a if a.power_percent <= b.power_percent else b


def _cruise_after(ended: PolicyOutput, tuning: Tuning) -> PolicyOutput:
    return PolicyOutput(Action.CRUISE, tuning.cruise_power_percent, f"{ended.reason} obeyed")
