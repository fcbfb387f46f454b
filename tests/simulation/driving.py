"""A driver that uses the ground truth, and a small layout that is quick to drive and to render."""

from dataclasses import dataclass, field

from edge_agent.simulation.layout import Layout, PlacedSign, RenderStyle
from edge_agent.simulation.track import RailTrack, curve, straight
from edge_agent.simulation.world import World


def short_layout() -> Layout:
    """Return 5 m of track: a straight, a curve and a straight with a 30, a STOP and a danger sign."""
    track = RailTrack((straight(14), curve(3), straight(20)))
    signs = (
        PlacedSign("speed_limit_30", 700, 70),
        PlacedSign("stop", 1500, -75, -0.1),
        PlacedSign("other_sign/no_horn", 1560, 80),
        PlacedSign("danger/exclamation", 4000, -70),
    )
    return Layout(track, signs, RenderStyle(seed=5), side_mm=150)


@dataclass
class Driver:
    """Obeys the true signs that count, each once: slow at 30, cruise at 50, three seconds at STOP, brake at danger."""

    world: World
    cruise: int = 60
    slow: int = 38
    near_px: float = 22
    obeyed: set[int] = field(default_factory=set)
    speeds: list[float] = field(default_factory=list)
    _go_s: float | None = None
    _power: int = 0

    def drive(self, until_s: float = 120, period_s: float = 0.1) -> World:
        """Drive until the mission is over."""
        world, now_s = self.world, 0.0
        world.advance(0)
        self._set(self.cruise)
        while not world.over and now_s < until_s:
            now_s = round(now_s + period_s, 6)
            world.advance(now_s)
            self.speeds.append(world.speed_mm_s)
            if self._go_s is not None and now_s >= self._go_s:
                self._go_s = None
                world.set_power(self._power)
            for one in world.see():
                near = one.front and one.sign.counts and one.box.height >= self.near_px
                if near and one.index not in self.obeyed:
                    self.obeyed.add(one.index)
                    self._obey(one.sign.label, now_s)
        return world

    def _obey(self, label: str, now_s: float) -> None:
        if label == "speed_limit_30":
            self._set(self.slow)
        elif label == "speed_limit_50":
            self._set(self.cruise)
        elif label == "stop":
            self.world.brake()
            self._go_s = now_s + 3.5
        elif label == "danger":
            self.world.brake()
            self._go_s = None

    def _set(self, power: int) -> None:
        self._power = power
        self.world.set_power(power)
