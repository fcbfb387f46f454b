"""Figures of decisions: which signs of films were obeyed in time, late, never, wrongly or twice, and what was false.

Pure: films and what happened in them in, counts with intervals and a comparison of two detectors out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.mlops.evaluate.playback import FilmAction, Played
from edge_agent.mlops.films import Film

LATE_S = 1.0
"""An action within this time after its sign's last picture is its own, and late; a later one is false."""

OUTCOMES = ("obeyed", "late", "never", "wrong")
_ALL = "all"


@dataclass(frozen=True, slots=True)
class SignOutcome:
    """What became of one sign: one of OUTCOMES, and whether it acted `twice`.

    `wrong`: another sign's action in its place, whatever else. `wait_s` is the time from the first picture in which it
    can be read to the decision, None where there was none; negative where the train was sooner.
    """

    film: str
    scene: str
    label: str
    outcome: str
    twice: bool
    wait_s: float | None
    acted_as: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FalseAction:
    """An action where the film has no sign: label, film, picture, and whether the film has no sign at all."""

    film: str
    label: str
    picture: int
    signless: bool


@dataclass(frozen=True, slots=True)
class DecisionReport:
    """The outcome of each sign and each false action; hours of all films, and of those without signs."""

    signs: tuple[SignOutcome, ...]
    false: tuple[FalseAction, ...]
    hours: float
    signless_hours: float
    films: int

    def rows(self) -> dict[str, dict[str, float | int | None]]:
        """Return the figures of each label, and of `all` signs first."""
        labels = sorted({sign.label for sign in self.signs})
        groups = {_ALL: self.signs} | {label: tuple(s for s in self.signs if s.label == label) for label in labels}
        return {name: _figures(signs) for name, signs in groups.items() if signs}

    def false_an_hour(self) -> float | None:
        """Return false actions an hour of all films; None without any."""
        return len(self.false) / self.hours if self.hours else None

    def signless_false_an_hour(self) -> float | None:
        """Return false actions an hour of films without signs; None where there are no such films."""
        count = sum(one.signless for one in self.false)
        return count / self.signless_hours if self.signless_hours else None

    def obeyed_interval(self) -> tuple[float, float] | None:
        """Return the 95% interval of the share obeyed, by bootstrap over scenes; None without signs."""
        if not self.signs:
            return None
        low, high = np.percentile(_bootstrap(self.signs, {"obeyed": 1}), [2.5, 97.5]).tolist()
        return round(low, 3), round(high, 3)

    def as_json(self) -> dict[str, Any]:
        """Return all figures as JSON values."""
        return {
            "films": self.films,
            "hours": round(self.hours, 4),
            "signless_hours": round(self.signless_hours, 4),
            "signs": self.rows(),
            "obeyed_interval": self.obeyed_interval(),
            "false": [
                {"film": one.film, "sign": one.label, "picture": one.picture, "signless": one.signless}
                for one in self.false
            ],
            "false_an_hour": _rounded(self.false_an_hour()),
            "signless_false_an_hour": _rounded(self.signless_false_an_hour()),
            "not_obeyed": [
                {"film": one.film, "sign": one.label, "outcome": one.outcome, "acted_as": list(one.acted_as)}
                for one in self.signs
                if one.outcome != "obeyed" or one.twice
            ],
        }


def judge(films: Sequence[Film], played: Sequence[Played]) -> DecisionReport:
    """Compare what happened with the films' truth."""
    signs: list[SignOutcome] = []
    false: list[FalseAction] = []
    hours = signless = 0.0
    for film, what in zip(films, played, strict=True):
        outcomes, unexplained = _judge_film(film, what)
        signs += outcomes
        false += [FalseAction(film.path.name, one.label, one.picture, not film.signs) for one in unexplained]
        hours += what.length_s / 3600
        signless += 0.0 if film.signs else what.length_s / 3600
    return DecisionReport(tuple(signs), tuple(false), hours, signless, len(films))


def _judge_film(film: Film, played: Played) -> tuple[list[SignOutcome], list[FilmAction]]:
    """Return the outcome of each counted sign, and the actions that no sign explains."""
    own: list[list[FilmAction]] = [[] for _ in film.signs]
    unexplained = []
    for action in played.actions:
        index = action.sign if action.sign is not None else _by_time(film, played, action)
        if index is None:
            unexplained.append(action)
        else:
            own[index].append(action)
    outcomes = [
        _outcome(film, index, actions, played) for index, actions in enumerate(own) if film.signs[index].counted
    ]
    return outcomes, unexplained


def _by_time(film: Film, played: Played, action: FilmAction) -> int | None:
    """Return the sign that an action outside every box belongs to: one whose place is not known, or has just gone."""
    for index, sign in enumerate(film.signs):
        late_s = action.at_s - _time(played, sign.last)
        if sign.label == action.label and 0 < late_s <= LATE_S:
            return index
    without = [(index, sign) for index, sign in enumerate(film.signs) if not sign.boxes]
    fitting = [index for index, sign in without if sign.label == action.label and action.picture <= sign.last]
    return next(iter(fitting), next((i for i, s in without if s.first <= action.picture <= s.last), None))


def _outcome(film: Film, index: int, actions: Sequence[FilmAction], played: Played) -> SignOutcome:
    sign = film.signs[index]
    right = [action for action in actions if action.label == sign.label]
    if len(right) < len(actions):
        outcome = "wrong"
    elif not right:
        outcome = "never"
    else:
        outcome = "obeyed" if right[0].picture <= sign.last else "late"
    wait_s = right[0].at_s - _time(played, sign.first) if right else None
    acted_as = tuple(action.label for action in actions)
    return SignOutcome(film.path.name, film.scene, sign.label, outcome, len(right) > 1, wait_s, acted_as)


def _time(played: Played, picture: int) -> float:
    """Return when a picture was taken, or the first one after it where it was left out."""
    return min((s for number, s in played.taken_s.items() if number >= picture), default=played.length_s)


def _figures(signs: Sequence[SignOutcome]) -> dict[str, float | int | None]:
    waits_s = [sign.wait_s for sign in signs if sign.wait_s is not None]
    middle, slow = np.percentile(waits_s, [50, 95]).tolist() if waits_s else (None, None)
    counts = {name: sum(sign.outcome == name for sign in signs) for name in OUTCOMES}
    return {
        "signs": len(signs),
        **counts,
        "twice": sum(sign.twice for sign in signs),
        "obeyed_share": _rounded(counts["obeyed"] / len(signs)),
        "wait_p50_s": _rounded(middle),
        "wait_p95_s": _rounded(slow),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


# What a sign is worth in a comparison: a wrong action does as much harm as a right one does good.
_WORTH = {"obeyed": 1, "wrong": -1}
_DRAWS = 1000
_SIGMAS = 1.96


@dataclass(frozen=True, slots=True)
class DecisionComparison:
    """Two detectors on the same films, and a verdict.

    `gain` is that of the share of signs obeyed less the share acted on wrongly, with its 95% interval by bootstrap over
    scenes. The verdict is `worse` where that interval is below zero, or there are more false actions than chance
    explains; else `better` where it is above zero, or there are fewer; else `undecided`.
    """

    old: DecisionReport
    new: DecisionReport
    gain: float
    interval: tuple[float, float]
    verdict: str

    def sentence(self) -> str:
        """Return the comparison as one sentence."""
        conclusion = {
            "better": "the new detector decides better",
            "worse": "the new detector decides worse",
            "undecided": "too few films to tell them apart",
        }[self.verdict]
        (was, now), (low, high) = (_counts(self.old), _counts(self.new)), self.interval
        return f"{conclusion}: {was} -> {now} ({self.gain:+.3f}, 95% interval {low:+.3f} to {high:+.3f})"

    def as_json(self) -> dict[str, Any]:
        """Return both reports and the verdict as JSON values."""
        facts = {"verdict": self.verdict, "gain": round(self.gain, 4), "interval": [round(v, 4) for v in self.interval]}
        return {**facts, "old": self.old.as_json(), "new": self.new.as_json()}


def compare_decisions(old: DecisionReport, new: DecisionReport) -> DecisionComparison:
    """Compare two reports of the same films; equal scenes are drawn for both."""
    gains = _bootstrap(new.signs, _WORTH) - _bootstrap(old.signs, _WORTH)
    low, high = np.percentile(gains, [2.5, 97.5]).tolist()
    more = len(new.false) - len(old.false)
    # The difference of two counts varies by the root of their sum.
    chance = _SIGMAS * math.sqrt(len(new.false) + len(old.false))
    verdict = "undecided"
    if high < 0 or more > chance:
        verdict = "worse"
    elif low > 0 or -more > chance:
        verdict = "better"
    gain = _worth(new.signs, _WORTH) - _worth(old.signs, _WORTH)
    return DecisionComparison(old, new, gain, (low, high), verdict)


def _counts(report: DecisionReport) -> str:
    obeyed, wrong = (sum(sign.outcome == name for sign in report.signs) for name in ("obeyed", "wrong"))
    return f"{obeyed} of {len(report.signs)} obeyed, {wrong} wrong, {len(report.false)} false"


def _worth(signs: Sequence[SignOutcome], worth: Mapping[str, int]) -> float:
    return sum(worth.get(sign.outcome, 0) for sign in signs) / max(len(signs), 1)


def _bootstrap(signs: Sequence[SignOutcome], worth: Mapping[str, int]) -> NDArray[np.float64]:
    """Return the mean worth of a sign over scenes drawn with replacement; equal scenes draw equal numbers."""
    scenes = sorted({sign.scene for sign in signs})
    if not scenes:
        return np.zeros(_DRAWS)
    groups = [[worth.get(sign.outcome, 0) for sign in signs if sign.scene == scene] for scene in scenes]
    sums, counts = np.array([sum(group) for group in groups]), np.array([len(group) for group in groups])
    drawn = np.random.default_rng(0).integers(len(scenes), size=(_DRAWS, len(scenes)))
    return np.asarray(sums[drawn].sum(1) / counts[drawn].sum(1), np.float64)
