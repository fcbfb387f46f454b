"""The simulated train of a run: its world, camera and hub. Loaded only where the source is `sim`."""

from collections.abc import Iterator
from dataclasses import replace

import structlog

from edge_agent.config import Settings
from edge_agent.ports import Camera, Hub
from edge_agent.report import Mission, MissionSign
from edge_agent.simulation.camera import SimCamera
from edge_agent.simulation.hub import SimHub
from edge_agent.simulation.invent import default_layout
from edge_agent.simulation.layout_file import load_layout
from edge_agent.simulation.world import World

_log = structlog.get_logger(__name__)


class SimulatedTrain:
    """A world as the settings describe it.

    `hub` is the simulated hub, None where the settings ask for one over Bluetooth. `emulated`: in that case there is an
    emulated hub on the system bus, and it moves the world.
    """

    def __init__(self, settings: Settings) -> None:
        sim = settings.sim
        if sim.layout is None:
            layout = replace(default_layout(sim.seed), time_limit_s=sim.time_limit_s)
        else:
            layout = load_layout(sim.layout)
        self._world = World(layout, sim.seed, sim.battery_percent)
        self.camera: Camera = SimCamera(self._world)
        self.hub: Hub | None = SimHub(self._world) if settings.hub.kind == "mock" else None
        self.emulated = self.hub is None and self._connect_emulated_hub()

    def mission(self) -> Mission:
        """Return the outcome so far."""
        world = self._world
        has_outcome = world.outcome.value != "ended"
        margin_mm = round(world.margin_mm, 1) if has_outcome else None
        return Mission(world.outcome.value, margin_mm, world.overruns, tuple(self._signs()))

    def _signs(self) -> Iterator[MissionSign]:
        """Yield the signs that face the train, in the order in which it comes to them."""
        referee, signs = self._world.referee, self._world.layout.signs
        for index in sorted(range(len(signs)), key=lambda index: signs[index].s_mm):
            sign, passed_s = signs[index], referee.passed_s.get(index)
            if not sign.back:
                at_s = None if passed_s is None else round(passed_s, 3)
                yield MissionSign(sign.label, round(sign.s_mm, 1), sign.counts, at_s, referee.disobeyed(index))

    def speed_mm_s(self) -> float:
        """Return the train's speed."""
        return self._world.speed_mm_s

    def _connect_emulated_hub(self) -> bool:
        from edge_agent.agent.emulated_train import connect_emulated_hub  # noqa: PLC0415 - needs D-Bus

        camera = connect_emulated_hub(self.camera, self._world)
        if camera is None:
            _log.warning(
                "simulated_train_stands", reason="the hub is not an emulated one: it does not move the simulated world"
            )
            return False
        self.camera = camera
        return True
