"""One row of the table of faults: what is done to the train, what it does, within which time."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .stage import AFTERMATH_S, Adjust, Scene, as_they_are, perform

Inject = Callable[[Scene], Awaitable[None]]
Moment = Callable[[Scene], float | None]

PHASE_S = 0.1
"""A fault comes at any phase of camera, guard and keep-alive, whose longest period this is."""


@dataclass(frozen=True)
class Trial:
    """A row. `try_once(slack)` returns the measured ms, or None where the row has no figure.

    It raises AssertionError where the train did something else. `slack` stretches the agent's limits of time, for
    machines that are busy with other things; the bound holds for a slack of 1 only.
    """

    fault: str
    train: str
    bound_ms: float | None
    try_once: Callable[[float], float | None]


async def no_more(_scene: Scene) -> None:
    """Do nothing after the fault."""


def staged(
    fault: str,
    train: str,
    bound_ms: float | None,
    inject: Inject,
    *,
    measured: Moment = Scene.braked_s,
    because: str = "",
    then: Inject = no_more,
    dies_of: type[Exception] | None = None,
) -> Trial:
    """Make a row that is played on the stage.

    `inject` marks the moment of the fault; `measured` tells when the train did what it must. From its first stop on
    nothing may drive. `because` must be part of a reason that the guard gave. `then` is what follows.
    """

    async def story(scene: Scene) -> None:
        await asyncio.sleep(random.uniform(0, PHASE_S))  # noqa: S311 - no secret
        await inject(scene)
        await scene.until(lambda: measured(scene), fault)
        await asyncio.sleep(AFTERMATH_S)
        await then(scene)

    def try_once(slack: float) -> float:
        scene = perform(story, slack, dies_of=dies_of)
        at_s, stopped_s = measured(scene), scene.stopped_s()
        assert at_s is not None, fault
        assert stopped_s is not None, fault
        assert scene.drives_after(stopped_s) == [], "driven on after the stop"
        assert any(because in reason for reason in scene.reasons()) or not because, scene.reasons()
        return (at_s - scene.fault_s) * 1000

    return Trial(fault, train, bound_ms, try_once)


def undisturbed(
    fault: str, train: str, inject: Inject, *, then: Inject = no_more, adjust: Adjust = as_they_are
) -> Trial:
    """Make a row that must not stop the train: it is driving before and all the while. `then` is what follows."""

    async def story(scene: Scene) -> None:
        await inject(scene)
        assert scene.stopped_s() is None, f"stopped: {scene.reasons()}"
        await then(scene)

    def try_once(slack: float) -> None:
        perform(story, slack, adjust=adjust)

    return Trial(fault, train, None, try_once)
