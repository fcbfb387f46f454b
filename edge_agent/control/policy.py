"""Sign policy: what the detected signs ask of the train. Pure functions of memory, prediction and time.

`observe` folds a prediction into the memory: boxes become tracks, votes confirm a label, and a sign that is confirmed
and near acts once, by its rule. `evaluate` returns what the signs ask for now. The guard decides whether the train may
do it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from edge_agent.config.rules import AfterHold, SignRule
from edge_agent.events import Action, Box, Detection, Prediction
from edge_agent.perception.tracking import Track, TrackerParameters, turn_px_s, update_tracks

REFERENCE_SIDE_PX = 600
"""Longer side of the picture that `near_height_px` refers to. A camera's modes and the two ways to hold it mostly share
the angle along the longer side, so that in pixels of this scale a sign at one distance has one height in all of them.
"""

# A box this close to the frame's edge is truncated by it; in pixels of the reference.
_EDGE_PX = 1.0
# Least width to height. A sign's face is about as wide as high; at 0.55 it is turned away by 57 degrees.
_NARROWEST = 0.55
# A sign has grown by a fifth when the train has come nearer by a sixth of the distance: 70 mm of 400, two pictures at
# 400 mm/s. Fabric, lamps and leaves that are taken for signs are mostly large and further back, and hardly grow.
_NEARER = 1.2
# So sure a detection counts at once: a train that is armed in front of a sign has not seen it grow.
_SURE = 0.9
# A train is at most so fast on fresh batteries, whatever pulls it: 780 mm/s at full power.
_MM_S_PER_PERCENT = 7.8
# A sign that is detected again is at least this tall compared with its last box: the train only comes nearer.
_SAME_SIGN_HEIGHT = 0.7


@dataclass(frozen=True, slots=True)
class Tuning:
    """Parameters of the policy: cruise power in percent, rules by label, and box association.

    Boxes whose centre lies in the upper `ignore_above` of the frame (a fraction of its height) are ignored.
    """

    cruise_power_percent: int
    rules: Mapping[str, SignRule]
    tracking: TrackerParameters = field(default_factory=TrackerParameters)
    ignore_above: float = 0.0


@dataclass(frozen=True, slots=True)
class PolicyOutput:
    """What the signs ask of the train; a `power_percent` of None is a stop.

    `frame_id` and `taken_s` are those of the frame in which the sign acted, `box` is where in it.
    """

    action: Action
    power_percent: int | None
    reason: str
    sign: str | None = None
    frame_id: str | None = None
    taken_s: float | None = None
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """An output with an end (`until_s`; None: until released), and whether the train cruises or resumes afterwards."""

    output: PolicyOutput
    until_s: float | None
    then_cruise: bool


@dataclass(frozen=True, slots=True)
class PolicyMemory:
    """State of the policy: visible signs, signs that acted and were lost recently, standing output, current hold.

    `unknown` counts detections of labels without a rule, by label.
    """

    tracks: tuple[Track, ...] = ()
    recent: tuple[Track, ...] = ()
    standing: PolicyOutput | None = None
    hold: Hold | None = None
    unknown: Mapping[str, int] = field(default_factory=dict)


def evaluate(memory: PolicyMemory, now_s: float, tuning: Tuning) -> PolicyOutput:
    """Return what the signs ask for at `now_s`: the hold while it lasts, else the standing output, else cruise."""
    standing = memory.standing or PolicyOutput(
        Action.CRUISE, tuning.cruise_power_percent, "no sign asks for anything else"
    )
    if memory.hold is None:
        return standing
    if memory.hold.until_s is None or now_s < memory.hold.until_s:
        # A hold never makes the train faster than a limit that still stands.
        return _slower(memory.hold.output, standing)
    return standing if not memory.hold.then_cruise else _cruise_after(memory.hold.output, tuning)


def release(memory: PolicyMemory) -> PolicyMemory:
    """End a hold without an end of its own (a stop that stays): the operator has ordered the train to drive on."""
    return replace(memory, hold=None) if memory.hold is not None and memory.hold.until_s is None else memory


def observe(
    memory: PolicyMemory, prediction: Prediction, now_s: float, tuning: Tuning, *, standing: bool = False
) -> tuple[PolicyMemory, tuple[PolicyOutput, ...]]:
    """Fold one prediction into the memory; return the new memory and the outputs of the signs that acted in this frame.

    A sign acts once, when it is confirmed and near. While the train is `standing`, a detection whose pixels have not
    changed is no vote: the detector would only be asked the same question again.
    """
    if not standing:
        found = tuple(replace(one, still=False) if one.still else one for one in prediction.detections)
        prediction = replace(prediction, detections=found)
    memory = _update_tracks(_end_hold(memory, now_s, tuning), prediction, now_s, tuning)
    acting = sorted(_acting_signs(memory, prediction, tuning), key=lambda sign: _rank(sign.rule), reverse=True)
    # The most restrictive comes last, and so prevails.
    for sign in acting:
        memory = _apply(memory, sign, now_s)
    numbers = {sign.track.number for sign in acting}
    tracks = tuple(replace(t, acted=True) if t.number in numbers else t for t in memory.tracks)
    return replace(memory, tracks=tracks), tuple(sign.output for sign in acting)


def _end_hold(memory: PolicyMemory, now_s: float, tuning: Tuning) -> PolicyMemory:
    """End a hold whose time is over; the cruise that follows it becomes the standing output."""
    hold = memory.hold
    if hold is None or hold.until_s is None or now_s < hold.until_s:
        return memory
    return replace(
        memory, hold=None, standing=_cruise_after(hold.output, tuning) if hold.then_cruise else memory.standing
    )


def _update_tracks(memory: PolicyMemory, prediction: Prediction, now_s: float, tuning: Tuning) -> PolicyMemory:
    """Track the frame's boxes; a sign that was lost and is detected again does not act a second time."""
    known = [d for d in prediction.detections if d.label in tuning.rules and _is_readable(d, prediction, tuning)]
    sure = [d for d in known if d.score >= tuning.rules[d.label].min_score]
    unknown = dict(memory.unknown)
    for detection in prediction.detections:
        if detection.label not in tuning.rules:
            unknown[detection.label] = unknown.get(detection.label, 0) + 1
    before = {track.number for track in memory.tracks}
    living, gone = update_tracks(
        memory.tracks,
        sure,
        prediction.taken_s,
        tuning.tracking,
        faint=[d for d in known if d not in sure],
        turn_px_s=_turn_px_s(memory, prediction, now_s, tuning),
    )
    # A sign that flickers must not act twice, so its track is remembered for the rule's cool-down.
    recent = tuple(g for g in (*memory.recent, *gone) if g.acted and now_s - g.last_seen_s <= _cooldown_s(g, tuning))
    lost = tuple(t for t in living if t.acted and t.last_seen_s < prediction.taken_s)
    living = tuple(t if t.number in before else _mark_if_seen_before(t, (*recent, *lost)) for t in living)
    return replace(memory, tracks=living, recent=recent, unknown=unknown)


def _turn_px_s(memory: PolicyMemory, prediction: Prediction, now_s: float, tuning: Tuning) -> float:
    """Return how fast the picture moves sideways in a curve at the power that the train has, or had a moment ago."""
    asked = evaluate(memory, now_s, tuning).power_percent or 0
    power_percent = max(asked, tuning.cruise_power_percent)
    return turn_px_s(_MM_S_PER_PERCENT * power_percent, max(prediction.width, prediction.height))


def _is_readable(detection: Detection, prediction: Prediction, tuning: Tuning) -> bool:
    """Return whether a detection may be a sign at the track: not truncated, facing the camera, not too high."""
    box, edge = detection.box, _EDGE_PX * _scale(prediction)
    # A real sign that the frame's edge truncates has been detected whole before.
    whole = (
        box.x1 >= edge and box.y1 >= edge and box.x2 <= prediction.width - edge and box.y2 <= prediction.height - edge
    )
    facing = box.width >= _NARROWEST * box.height
    low_enough = (box.y1 + box.y2) / 2 >= tuning.ignore_above * prediction.height
    return whole and facing and low_enough


def _scale(prediction: Prediction) -> float:
    """Return how many of the picture's pixels make one of the reference."""
    return max(prediction.width, prediction.height) / REFERENCE_SIDE_PX


def _mark_if_seen_before(track: Track, recent: tuple[Track, ...]) -> Track:
    """Mark a new track as acted if it is a sign that acted and was lost for less than its cool-down."""
    label = track.votes[-1]
    again = any(label in old.votes and track.box.height >= _SAME_SIGN_HEIGHT * old.box.height for old in recent)
    return replace(track, acted=True) if again else track


def _cooldown_s(track: Track, tuning: Tuning) -> float:
    return max((tuning.rules[label].cooldown_s for label in track.votes if label is not None), default=0.0)


@dataclass(frozen=True, slots=True)
class _ActingSign:
    """A sign that acts in this frame."""

    track: Track
    rule: SignRule
    output: PolicyOutput


def _acting_signs(memory: PolicyMemory, prediction: Prediction, tuning: Tuning) -> Iterator[_ActingSign]:
    """Yield the signs in this frame that are confirmed by their votes, near, and have not acted yet."""
    scale = _scale(prediction)
    for track in memory.tracks:
        label = track.votes[-1]
        if label is None or track.acted:
            continue
        rule = tuning.rules[label]
        confirmed = track.votes[-rule.confirm.of :].count(label) >= rule.confirm.agree
        if not (confirmed and _comes_nearer(track, prediction)):
            continue
        if track.box.height >= rule.near_height_px * scale and rule.action is not Action.NONE:
            yield _ActingSign(track, rule, _output_of(label, track.box, rule, prediction))


def _comes_nearer(track: Track, prediction: Prediction) -> bool:
    """Return whether a sign has grown since it was seen first, or is detected so surely that it need not have."""
    grown = track.box.height >= _NEARER * track.least_height_px
    return grown or any(d.box == track.box and d.score >= _SURE for d in prediction.detections)


def _output_of(label: str, box: Box, rule: SignRule, prediction: Prediction) -> PolicyOutput:
    power_percent = None if rule.action is Action.STOP else rule.power_percent
    reason = f"{label.replace('_', ' ').removesuffix(' sign')} sign"
    return PolicyOutput(rule.action, power_percent, reason, label, prediction.frame_id, prediction.taken_s, box)


def _rank(rule: SignRule) -> tuple[int, int]:
    """Return a sort key: the smaller, the more restrictive the rule."""
    if rule.action is Action.STOP:
        return (0 if rule.then is AfterHold.STAY else 1, 0)
    return (2 if rule.action in (Action.SLOW, Action.CRUISE) else 3, rule.power_percent or 0)


def _apply(memory: PolicyMemory, sign: _ActingSign, now_s: float) -> PolicyMemory:
    """Apply one rule: a stop, or a rule with an end, becomes the hold; a power without an end the standing output."""
    rule, output = sign.rule, sign.output
    if rule.action is Action.LIGHTS:
        return memory
    if rule.action is not Action.STOP and rule.hold_s is None:
        return replace(memory, standing=output)
    until_s = None if rule.hold_s is None else now_s + rule.hold_s
    hold = Hold(output, until_s, then_cruise=rule.then is AfterHold.CRUISE)
    return replace(memory, hold=hold) if memory.hold is None or _outranks(hold, memory.hold) else memory


def _outranks(new: Hold, old: Hold) -> bool:
    """Return whether a new hold replaces the old: one that stays outranks one that ends, a stop outranks a power."""

    def rank(hold: Hold) -> tuple[bool, int]:
        return (hold.until_s is not None, -1 if hold.output.power_percent is None else hold.output.power_percent)

    return rank(new) <= rank(old)


def _slower(a: PolicyOutput, b: PolicyOutput) -> PolicyOutput:
    """Return the output with less power; `a` if they are equal."""
    if a.power_percent is None or b.power_percent is None:
        return a if a.power_percent is None else b
    return a if a.power_percent <= b.power_percent else b


def _cruise_after(ended: PolicyOutput, tuning: Tuning) -> PolicyOutput:
    return PolicyOutput(Action.CRUISE, tuning.cruise_power_percent, f"{ended.reason} obeyed")
