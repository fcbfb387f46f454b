"""What became of each sign of a simulated world: obeyed in time, late, never or twice, and what acted wrongly.

An action belongs to the nearest sign of its kind that is ahead, provided that one is in the action's picture; an action
for a kind that is not there is wrong. Signs that do not count take their actions, and appear in no count.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from edge_agent.events import Event, Frame
from edge_agent.ports import EventSource

KEPT_FRAMES = 3000


class Verdict(StrEnum):
    """What became of a sign that counts."""

    IN_TIME = "in time"
    LATE = "late"
    NEVER = "never"
    TWICE = "twice"


@dataclass(frozen=True)
class Obedience:
    """A mission's signs that count, in their order, each with its verdict; and the actions for what was not there."""

    signs: tuple[tuple[str, float, Verdict], ...]
    wrong: tuple[str, ...]


@dataclass
class Witness:
    """An observer that remembers which signs were in which picture."""

    name = "witness"
    labels: dict[str, frozenset[str]] = field(default_factory=dict)

    async def run(self, events: EventSource) -> None:
        while True:
            self.feed(await events.get())

    def feed(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, Frame):
            self.labels[event.frame_id] = frozenset(sign.label for sign in event.truth or ())
            if len(self.labels) > KEPT_FRAMES:
                self.labels.pop(next(iter(self.labels)))


def judge(
    signs: Sequence[Mapping[str, Any]], actions: Iterable[Mapping[str, Any]], in_picture: Mapping[str, frozenset[str]]
) -> Obedience:
    """Give each sign of a report's mission its verdict, from the report's actions and the labels in each picture.

    A sign that acted is late where the train has passed it against its rule all the same; a sign the train never came
    near is left out.
    """
    acts: Counter[int] = Counter()
    wrong = []
    for action in actions:
        label, ahead = action["sign"], None
        if label in in_picture.get(action["frame_id"], frozenset()):
            ahead = next((n for n, sign in enumerate(signs) if sign["sign"] == label and _is_ahead(sign, action)), None)
        if ahead is None:
            wrong.append(label)
        else:
            acts[ahead] += 1
    reached = max((n for n, sign in enumerate(signs) if sign["passed_s"] is not None or acts[n]), default=-1)
    verdicts = tuple(
        (sign["sign"], sign["at_mm"], _verdict(acts[n], disobeyed=sign["disobeyed"]))
        for n, sign in enumerate(signs)
        if sign["counts"] and n <= reached
    )
    return Obedience(verdicts, tuple(wrong))


def _is_ahead(sign: Mapping[str, Any], action: Mapping[str, Any]) -> bool:
    passed_s: float | None = sign["passed_s"]
    return passed_s is None or passed_s > action["t_s"]


def _verdict(acts: int, *, disobeyed: bool) -> Verdict:
    if acts == 0:
        return Verdict.NEVER
    if acts > 1:
        return Verdict.TWICE
    return Verdict.LATE if disobeyed else Verdict.IN_TIME
