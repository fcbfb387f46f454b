"""A train for the guard's tests: steps it through time, brings it into each state."""

from dataclasses import dataclass, field

from edge_agent.control.guard import GuardMemory, Health, Inputs, Limits, Order, Permit, PowerRequest, refusal, step
from edge_agent.events import GuardState

LIMITS = Limits(lease_s=0.3, latch_s=2.0, stop_time_s=0.7)
CRUISE = PowerRequest(60, "cruise")
SIGN_STOP = PowerRequest(None, "stop sign")


@dataclass
class Train:
    """Steps a guard through time; inputs stay until changed, and everything is healthy by default."""

    memory: GuardMemory = field(default_factory=GuardMemory)
    now_s: float = 100.0
    request: PowerRequest = CRUISE
    link_trouble: str = ""
    integrity: str = ""
    hub_trouble: str = ""
    loop_stalled: bool = False
    evidence_age_s: float | None = 0.0
    arm_trouble: str = ""
    capture_stopped: bool = False
    unanswered_age_s: float | None = None
    answer_s: float = 0.0

    def step(self, *orders: Order, after_s: float = 0.05) -> Permit:
        self.now_s += after_s
        self.memory, permit = step(self.memory, self._inputs(orders), LIMITS)
        return permit

    def refusal(self, order: Order) -> str:
        return refusal(self.memory, order, self._inputs(()), LIMITS)

    def _inputs(self, orders: tuple[Order, ...]) -> Inputs:
        evidence_s = None if self.evidence_age_s is None else self.now_s - self.evidence_age_s
        health = Health(
            evidence_s,
            self.link_trouble,
            self.integrity,
            self.hub_trouble,
            self.loop_stalled,
            self.arm_trouble,
            capture_stopped=self.capture_stopped,
            unanswered_s=None if self.unanswered_age_s is None else self.now_s - self.unanswered_age_s,
            answer_s=self.answer_s,
        )
        return Inputs(self.now_s, self.request, health, orders)


def train_in(state: GuardState) -> Train:
    """Bring a train into `state` by ordinary orders."""
    train = Train()
    if state is GuardState.INIT:
        return train
    train.step()
    if state is GuardState.DISARMED:
        return train
    if state is GuardState.LINK_LOST:
        train.link_trouble = "out of range"
        train.step()
        return train
    train.request = SIGN_STOP
    train.step(Order.ARM, Order.DRIVE)
    if state is GuardState.ARMED_STOPPED:
        return train
    train.request = CRUISE
    train.step()
    if state is GuardState.STOPPING:
        train.request = SIGN_STOP
        train.step()
    if state is GuardState.FAULT_LATCHED:
        train.step(Order.EMERGENCY_STOP)
    return train
