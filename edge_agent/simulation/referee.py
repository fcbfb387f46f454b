"""Judge a mission by the ground truth of the world: whether the train obeyed the signs, and how the run ended."""

from dataclasses import dataclass, field
from enum import StrEnum

from edge_agent.signs import Sign
from edge_agent.simulation import artwork
from edge_agent.simulation.layout import Layout

STANDING_MM_S = 1.0
# How far before and behind a STOP sign the train must have stood.
_STOP_WINDOW_MM = (700.0, 40.0)
_STOP_HOLD_S = 1.0
_DANGER_WINDOW_MM = 800.0
_DANGER_HOLD_S = 2.0  # a train that stands this long before a danger sign has stopped for good
_LIMIT_MM_S = {Sign.SPEED_LIMIT_30: 270.0}
# Behind a speed limit: where it must be kept, whatever a policy does beyond.
_LIMIT_ZONE_MM = (20.0, 250.0)


class MissionOutcome(StrEnum):
    """How a mission ended."""

    STOPPED = "stopped"
    DERAILED = "derailed"
    ENDED = "ended"


@dataclass
class Referee:
    """Observes a train as it passes the signs of one layout."""

    layout: Layout
    overruns: int = 0
    """STOP signs passed without a stop."""
    speeding: int = 0
    """Speed limits exceeded."""
    outcome: MissionOutcome | None = None
    passed_s: dict[int, float] = field(default_factory=dict)
    """When the train's front passed each sign's front, by the sign's index."""
    joints_s: list[float] = field(default_factory=list)
    """When the train's front passed the end of each segment of the track."""
    departed_s: float | None = None
    _stood_since_s: float | None = None
    _stood_at: set[int] = field(default_factory=set)
    _disobeyed: set[int] = field(default_factory=set)
    _fronts: list[tuple[int, Sign, float]] = field(init=False)

    def __post_init__(self) -> None:
        self._fronts = [
            (index, artwork.sign_of(sign.name), sign.s_mm)
            for index, sign in enumerate(self.layout.signs)
            if sign.counts and not sign.back
        ]

    def watch(self, now_s: float, s_mm: float, speed_mm_s: float) -> None:
        """Observe the train; call this regularly."""
        if self.outcome is not None:
            return
        standing = abs(speed_mm_s) < STANDING_MM_S
        if not standing and self.departed_s is None:
            self.departed_s = now_s
        self._note_standing(now_s, s_mm, standing)
        self._note_passing(now_s, s_mm, speed_mm_s)
        if s_mm >= self.layout.cliff_mm:
            self.outcome = MissionOutcome.DERAILED
        elif self._stands_for_danger(now_s, s_mm):
            self.outcome = MissionOutcome.STOPPED

    def disobeyed(self, index: int) -> bool:
        """Return whether the train passed this sign without a stop, or faster than it allows."""
        return index in self._disobeyed

    def _note_standing(self, now_s: float, s_mm: float, standing: bool) -> None:
        if not standing:
            self._stood_since_s = None
            return
        if self._stood_since_s is None:
            self._stood_since_s = now_s
        if now_s - self._stood_since_s < _STOP_HOLD_S:
            return
        before_mm, behind_mm = _STOP_WINDOW_MM
        for index, _, sign_mm in self._fronts:
            if sign_mm - before_mm <= s_mm <= sign_mm + behind_mm:
                self._stood_at.add(index)

    def _note_passing(self, now_s: float, s_mm: float, speed_mm_s: float) -> None:
        joints = self.layout.track.joints
        if len(self.joints_s) + 1 < len(joints) and s_mm >= joints[len(self.joints_s) + 1][0]:
            self.joints_s.append(now_s)
        for index, sign in enumerate(self.layout.signs):
            if not sign.back and s_mm >= sign.s_mm:
                self.passed_s.setdefault(index, now_s)
        for index, kind, sign_mm in self._fronts:
            if s_mm < sign_mm:
                continue
            if kind is Sign.STOP:
                self._judge_stop(index, s_mm - sign_mm)
            elif kind in _LIMIT_MM_S:
                self._judge_limit(index, s_mm - sign_mm, speed_mm_s > _LIMIT_MM_S[kind])

    def _judge_stop(self, index: int, behind_mm: float) -> None:
        if index not in self._stood_at and behind_mm > _STOP_WINDOW_MM[1]:
            self._stood_at.add(index)  # count it once
            self._disobeyed.add(index)
            self.overruns += 1

    def _judge_limit(self, index: int, behind_mm: float, too_fast: bool) -> None:
        if too_fast and index not in self._disobeyed and _LIMIT_ZONE_MM[0] < behind_mm < _LIMIT_ZONE_MM[1]:
            self._disobeyed.add(index)
            self.speeding += 1

    def _stands_for_danger(self, now_s: float, s_mm: float) -> bool:
        if self._stood_since_s is None or now_s - self._stood_since_s < _DANGER_HOLD_S:
            return False
        return any(kind is Sign.DANGER and s_mm >= at_mm - _DANGER_WINDOW_MM for _, kind, at_mm in self._fronts)
