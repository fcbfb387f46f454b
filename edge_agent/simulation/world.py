"""The simulated world: one train on one layout, driven by motor commands and judged by a referee.

Time comes from the caller: `advance(to_s)` moves the world in fixed steps, so the same commands at the same times give
the same run, however often the state is read.
"""

from dataclasses import dataclass, replace

from edge_agent.events import Detection
from edge_agent.simulation.layout import Layout
from edge_agent.simulation.referee import MissionOutcome, Referee
from edge_agent.simulation.track import Pose
from edge_agent.simulation.train import STEP_S, MotorMode, TrainModel, TrainMotion, step, terminal_v, varied
from edge_agent.simulation.view import CameraView, Optics, SeenSign, see, truth


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state that the renderer needs."""

    at_s: float
    s_mm: float
    speed_mm_s: float
    pose: Pose
    fallen_s: float


class World:
    """A train on a layout.

    Args:
        seed: of the train's variation; pictures depend on the seed of the layout's style.
        battery_percent: initial charge.
        optics: the train's camera, instead of the layout's.
        model: the train's constants, instead of those derived from the seed.
    """

    def __init__(
        self,
        layout: Layout,
        seed: int = 0,
        battery_percent: float = 100.0,
        *,
        optics: Optics | None = None,
        model: TrainModel | None = None,
    ) -> None:
        self.layout = layout
        self.seed = seed
        self.optics = optics or Optics(mount=layout.mount)
        self.model = model or varied(TrainModel(), seed)
        self.referee = Referee(layout)
        self._motion = TrainMotion(s_mm=layout.start_mm, battery_percent=battery_percent)
        self._origin_s: float | None = None
        self._steps = 0
        self._derailed_s: float | None = None

    def set_power(self, percent: float) -> None:
        """Drive the motor with -100..100 percent of the battery's voltage; 0 coasts. Raises ValueError outside that."""
        if not -100 <= percent <= 100:
            raise ValueError(f"power must be -100..100 percent, not {percent}")
        motor = MotorMode.DRIVE if percent else MotorMode.COAST
        self._motion = replace(self._motion, motor=motor, power_percent=float(percent))

    def brake(self) -> None:
        """Brake: short-circuit the motor."""
        self._motion = replace(self._motion, motor=MotorMode.BRAKE, power_percent=0.0)

    def coast(self) -> None:
        """Coast: disconnect the motor, so that only friction slows the train."""
        self.set_power(0)

    def set_battery(self, percent: float) -> None:
        """Set the charge of the batteries."""
        self._motion = replace(self._motion, battery_percent=min(100.0, max(0.0, percent)))

    def advance(self, to_s: float) -> None:
        """Advance to `to_s` on any monotonic clock; the first call sets the origin of the world's time."""
        if self._origin_s is None:
            self._origin_s = to_s
        target = int((to_s - self._origin_s) / STEP_S + 1e-6)
        while self._steps < target:
            self._steps += 1
            self._step()

    def _step(self) -> None:
        if self._derailed_s is not None:
            return
        motion = self._motion
        self._motion = motion = step(self.model, motion, self.layout.track.curved(motion.s_mm))
        if self._steps % 5 == 0:  # the referee watches every 10 ms
            self.referee.watch(self.elapsed_s, motion.s_mm, motion.speed_mm_s)
        if motion.s_mm >= self.layout.cliff_mm:
            self.referee.watch(self.elapsed_s, motion.s_mm, motion.speed_mm_s)
            self._derailed_s = self.elapsed_s
            self._motion = replace(motion, speed_mm_s=0.0)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the world's time began."""
        return self._steps * STEP_S

    @property
    def s_mm(self) -> float:
        """Arc length of the train's front along the track."""
        return self._motion.s_mm

    @property
    def speed_mm_s(self) -> float:
        """Speed along the track."""
        return self._motion.speed_mm_s

    @property
    def stopped(self) -> bool:
        """Whether the train stands still."""
        return self._motion.speed_mm_s == 0.0

    @property
    def derailed(self) -> bool:
        """Whether the train fell off the end of the rails."""
        return self._derailed_s is not None

    @property
    def motor(self) -> MotorMode:
        """State of the motor."""
        return self._motion.motor

    @property
    def power_percent(self) -> float:
        """Power in percent as last set."""
        return self._motion.power_percent

    @property
    def battery_percent(self) -> float:
        """Remaining charge."""
        return self._motion.battery_percent

    @property
    def voltage_v(self) -> float:
        """Voltage at the hub."""
        return terminal_v(self.model, self._motion)

    @property
    def current_a(self) -> float:
        """Current of hub and motor."""
        return self._motion.current_a

    @property
    def margin_mm(self) -> float:
        """Distance of the train's front from the end of the rails; negative beyond it."""
        return self.layout.cliff_mm - self._motion.s_mm

    @property
    def outcome(self) -> MissionOutcome:
        """Outcome of the mission: `ended` unless `stopped` or `derailed`."""
        return self.referee.outcome or MissionOutcome.ENDED

    @property
    def over(self) -> bool:
        """Whether the mission has ended or its time has run out."""
        return self.referee.outcome is not None or self.elapsed_s >= self.layout.time_limit_s

    @property
    def overruns(self) -> int:
        """STOP signs passed without a stop."""
        return self.referee.overruns

    @property
    def lap_s(self) -> float | None:
        """Time from the first motion to the end of the last completed segment; None before the first."""
        if self.referee.departed_s is None or not self.referee.joints_s:
            return None
        return self.referee.joints_s[-1] - self.referee.departed_s

    def snapshot(self) -> Snapshot:
        """Return the current state for a renderer in another thread."""
        fallen_s = 0.0 if self._derailed_s is None else self.elapsed_s - self._derailed_s
        motion = self._motion
        return Snapshot(self.elapsed_s, motion.s_mm, motion.speed_mm_s, self.layout.track.pose(motion.s_mm), fallen_s)

    def view(self) -> CameraView:
        """Return the camera at its current pose."""
        return view_of(self.optics, self.snapshot())

    def see(self) -> list[SeenSign]:
        """List the signs in the picture with their exact boxes and distances, farthest first."""
        return see(self.layout, self.view())

    def truth(self) -> tuple[Detection, ...]:
        """Return what a perfect detector would detect now."""
        return truth(self.see())


def view_of(optics: Optics, moment: Snapshot) -> CameraView:
    """Return the camera's view at a moment; after derailing it tilts towards the floor."""
    fall = min(1.0, moment.fallen_s / 0.6)
    return CameraView.at(optics, moment.pose, extra_pitch_rad=1.1 * fall, drop_mm=400 * fall * fall)
