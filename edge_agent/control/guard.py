"""The fail-safe guard: (what is asked, health, now) -> what the train may do.

A pure state machine. Motion is a lease that fresh evidence renews: absence of news means brake. Every rule is
evaluated at every step and the most restrictive wins. Knows nothing of pictures, radio or tasks; the clock is an
argument.

    INIT -> DISARMED -> ARMED_STOPPED -> RUNNING -> STOPPING -> ARMED_STOPPED
    any state -> LINK_LOST -> DISARMED        (a reconnect never resumes motion)
    any state -> FAULT_LATCHED -> DISARMED    (cause gone, train stopped and an explicit re-arm)
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from edge_agent.events import GuardState


class Order(StrEnum):
    """What an operator (a person, a program with a token, the hub's green button) can order."""

    ARM = "arm"
    DISARM = "disarm"
    DRIVE = "drive"
    STOP = "stop"
    EMERGENCY_STOP = "emergency_stop"
    REARM = "rearm"


class Priority(IntEnum):
    """Why the train is held back, most restrictive first (the lower the number, the higher the priority)."""

    EMERGENCY_STOP = 0
    INTEGRITY = 1
    LINK = 2
    LIVENESS = 3
    FRESHNESS = 4
    HUB_HEALTH = 5
    SIGN = 6
    OPERATOR = 7


@dataclass(frozen=True, slots=True)
class Limits:
    """The guard's bounds, all in seconds.

    `lease_s`: age of the newest understood picture above which the train brakes. `latch_s`: the age above which it
    stays braked until re-armed. `stop_time_s`: how long a braked train is taken to be still rolling (the train motor
    has no speed feedback).
    """

    lease_s: float = 0.3
    latch_s: float = 2.0
    stop_time_s: float = 0.7


@dataclass(frozen=True, slots=True)
class Health:
    """What the guard is told at each step.

    `evidence_s` is when the newest picture that the detector understood was taken (None: none yet). `link_trouble`
    tells why the hub is not connected, `integrity` what is wrong with model or configuration, `hub_trouble` what the
    hub reports against driving (critical voltage, an alert); empty means well. `loop_stalled` is whether the watchdog
    tripped since the last step. `arm_trouble` is no reason to brake, but to arm nothing anew: a full disk, say.
    """

    evidence_s: float | None
    link_trouble: str = ""
    integrity: str = ""
    hub_trouble: str = ""
    loop_stalled: bool = False
    arm_trouble: str = ""


@dataclass(frozen=True, slots=True)
class PowerRequest:
    """What the signs ask for: a power, or (None) a stop; with the reason in words."""

    power_percent: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything one step looks at, besides the memory and the limits."""

    now_s: float
    ask: PowerRequest
    health: Health
    orders: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True)
class GuardMemory:
    """What the guard remembers between two steps. `latched` holds the fault in words while in FAULT_LATCHED.

    `operator_stop` is true until somebody orders DRIVE, and again after each return to DISARMED.
    """

    state: GuardState = GuardState.INIT
    since_s: float = 0.0
    latched: str = ""
    latched_by: Priority | None = None
    operator_stop: bool = True
    brake_since_s: float | None = None


@dataclass(frozen=True, slots=True)
class Permit:
    """What the train may do now: a power to drive at, or (None) brake.

    `reason` is in words, `by` is the rule that holds the train back.
    """

    state: GuardState
    power_percent: int | None
    reason: str
    by: Priority | None = None


_ARMED = frozenset({GuardState.ARMED_STOPPED, GuardState.RUNNING, GuardState.STOPPING})
_LATCHING = frozenset({Priority.EMERGENCY_STOP, Priority.INTEGRITY, Priority.LIVENESS, Priority.HUB_HEALTH})


def step(memory: GuardMemory, inputs: Inputs, limits: Limits) -> tuple[GuardMemory, Permit]:
    """Take one step: fold orders and health into the memory, and say what the train may do until the next step."""
    memory = _obey(memory, inputs, limits)
    objections = sorted(_objections(memory, inputs, limits))
    memory = _transition(memory, objections, inputs, limits)
    permit = _permit(memory, inputs, objections)
    return _note_braking(memory, permit, inputs.now_s), permit


def _obey(memory: GuardMemory, inputs: Inputs, limits: Limits) -> GuardMemory:
    now_s = inputs.now_s
    for order in inputs.orders:
        match order:
            case Order.DRIVE if memory.state is not GuardState.STOPPING:  # a stop is carried out before a new start
                memory = replace(memory, operator_stop=False)
            case Order.ARM if memory.state is GuardState.DISARMED and not inputs.health.arm_trouble:
                memory = _enter(memory, GuardState.ARMED_STOPPED, now_s)
            case Order.REARM if memory.state is GuardState.FAULT_LATCHED and _standing(memory, now_s, limits):
                memory = _enter(replace(memory, latched="", latched_by=None), GuardState.DISARMED, now_s)
            case _:
                pass  # an order that does not fit the state changes nothing; the others follow
    # Whatever came with them, in whatever order: disarming and a stop win.
    if Order.DISARM in inputs.orders and memory.state in _ARMED:
        memory = _enter(memory, GuardState.DISARMED, now_s)
    stops = Order.STOP in inputs.orders or Order.DISARM in inputs.orders
    return replace(memory, operator_stop=True) if stops else memory


def _objections(memory: GuardMemory, inputs: Inputs, limits: Limits) -> Iterator[tuple[Priority, str]]:
    """Yield every reason to hold the train back."""
    health, ask = inputs.health, inputs.ask
    if Order.EMERGENCY_STOP in inputs.orders:
        yield Priority.EMERGENCY_STOP, "emergency stop"
    if health.integrity:
        yield Priority.INTEGRITY, health.integrity
    if health.link_trouble:
        yield Priority.LINK, health.link_trouble
    if health.loop_stalled:
        yield Priority.LIVENESS, "the event loop stalled"
    if health.evidence_s is None:
        yield Priority.FRESHNESS, "no picture has been understood yet"
    elif inputs.now_s - health.evidence_s > limits.lease_s:
        yield Priority.FRESHNESS, f"no fresh picture was understood for {limits.lease_s * 1000:.0f} ms"
    if health.hub_trouble:
        yield Priority.HUB_HEALTH, health.hub_trouble
    if ask.power_percent is None:
        yield Priority.SIGN, ask.reason
    if memory.operator_stop:
        yield Priority.OPERATOR, "waits for the order to drive"


def _transition(
    memory: GuardMemory, objections: list[tuple[Priority, str]], inputs: Inputs, limits: Limits
) -> GuardMemory:
    """Move to the state that the objections demand, or along the ordinary course."""
    for by, reason in objections:
        latches = by in _LATCHING or (by is Priority.FRESHNESS and _blind_too_long(memory, inputs, limits))
        if latches and (memory.latched_by is None or by < memory.latched_by):
            latched = replace(memory, latched=reason, latched_by=by)
            return _enter(latched, GuardState.FAULT_LATCHED, inputs.now_s)
    if memory.state is GuardState.FAULT_LATCHED:
        return memory
    return _enter(memory, _course(memory, objections, inputs, limits), inputs.now_s)


def _course(memory: GuardMemory, objections: list[tuple[Priority, str]], inputs: Inputs, limits: Limits) -> GuardState:
    """Name the next state on the ordinary course, where nothing latches."""
    state = memory.state
    if inputs.health.link_trouble:
        return GuardState.INIT if state is GuardState.INIT else GuardState.LINK_LOST
    healthy = all(by >= Priority.SIGN for by, _ in objections)
    if (state is GuardState.INIT and healthy) or state is GuardState.LINK_LOST:
        return GuardState.DISARMED
    if state in _ARMED and not objections:
        return GuardState.RUNNING
    if state is GuardState.RUNNING:
        return GuardState.STOPPING
    if state is GuardState.STOPPING and _standing(memory, inputs.now_s, limits):
        return GuardState.ARMED_STOPPED
    return state


def _blind_too_long(memory: GuardMemory, inputs: Inputs, limits: Limits) -> bool:
    """Tell whether an armed or disarmed train has been without an understood picture for longer than `latch_s`."""
    evidence_s = inputs.health.evidence_s
    starting = memory.state in (GuardState.INIT, GuardState.LINK_LOST)
    return not starting and evidence_s is not None and inputs.now_s - evidence_s > limits.latch_s


def _permit(memory: GuardMemory, inputs: Inputs, objections: list[tuple[Priority, str]]) -> Permit:
    """Put the state into words. At the end only DISARMED is left: the others have a power, a latch or an objection."""
    if memory.state is GuardState.RUNNING:
        return Permit(memory.state, inputs.ask.power_percent, inputs.ask.reason)
    if memory.state is GuardState.FAULT_LATCHED:
        return Permit(memory.state, None, memory.latched, memory.latched_by)
    if objections and (objections[0][0] < Priority.SIGN or memory.state in _ARMED):
        return Permit(memory.state, None, objections[0][1], objections[0][0])
    trouble = inputs.health.arm_trouble
    return Permit(memory.state, None, f"cannot be armed: {trouble}" if trouble else "waits to be armed")


def _note_braking(memory: GuardMemory, permit: Permit, now_s: float) -> GuardMemory:
    if permit.power_percent is not None:
        return replace(memory, brake_since_s=None)
    return memory if memory.brake_since_s is not None else replace(memory, brake_since_s=now_s)


def _standing(memory: GuardMemory, now_s: float, limits: Limits) -> bool:
    return memory.brake_since_s is not None and now_s - memory.brake_since_s >= limits.stop_time_s


def _enter(memory: GuardMemory, state: GuardState, now_s: float) -> GuardMemory:
    if memory.state is state:
        return memory
    operator_stop = memory.operator_stop or state is GuardState.DISARMED
    return replace(memory, state=state, since_s=now_s, operator_stop=operator_stop)
