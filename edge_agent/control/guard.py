"""Fail-safe guard: a pure state machine that decides whether the train may move, and at what power.

Motion is a lease that each fresh prediction renews; docs/decisions/0004 says why. The time is an argument.

    INIT -> DISARMED -> ARMED_STOPPED -> RUNNING -> STOPPING -> ARMED_STOPPED
    any state -> LINK_LOST -> DISARMED        (a reconnect never resumes motion)
    any state -> FAULT_LATCHED -> DISARMED    (cause gone, train stopped and an explicit re-arm)
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from edge_agent.events import GuardState


class Order(StrEnum):
    """What an operator (a person, a program with a token, the hub's green button) can ask for."""

    ARM = "arm"
    DISARM = "disarm"
    DRIVE = "drive"
    STOP = "stop"
    EMERGENCY_STOP = "emergency_stop"
    REARM = "rearm"


class Priority(IntEnum):
    """Why the train is held back; the lower the number, the higher the priority."""

    EMERGENCY_STOP = 0
    INTEGRITY = 1
    LINK = 2
    LIVENESS = 3
    FRESHNESS = 4
    HUB_SILENT = 5
    HUB_HEALTH = 6
    CAPTURE = 7
    SIGN = 8
    OPERATOR = 9


@dataclass(frozen=True, slots=True)
class Limits:
    """The guard's bounds, all in seconds.

    `lease_s`: maximum age of the newest frame with a prediction; beyond it the train brakes. `hub_lease_s`: the same
    for how long the hub may owe an answer, or HUB_INTERVALS connection intervals where that is longer.
    `latch_s`: the age of either beyond which it stays braked until re-armed.
    `stop_time_s`: how long after a brake the train is assumed to be rolling. `order_age_s`: an order to drive that
    could not be carried out for this long is forgotten.
    """

    lease_s: float = 0.3
    latch_s: float = 2.0
    # A train motor has no speed feedback, so a standstill can only be assumed after a time.
    stop_time_s: float = 0.7
    order_age_s: float = 10.0
    hub_lease_s: float = 0.3


@dataclass(frozen=True, slots=True)
class Health:
    """The state of the rest of the system at one step; an empty text means healthy.

    `evidence_s` is when the newest frame with a prediction was taken (None: none yet; NaN or a time in the future:
    infinitely long ago). `link_trouble` is why the hub is not connected, `integrity` what is wrong with model or
    configuration, `hub_trouble` what the hub reports against driving (critical voltage, an alert). `loop_stalled` is
    whether the watchdog has tripped since the last step. `arm_trouble` (a full disk, say) is no reason to brake, but
    forbids arming. `capture_stopped` is whether capturing was stopped by command: the missing pictures are no fault
    then. `unanswered_s` is since when the connected hub has owed an answer to a motor write; None where it owes none.
    `answer_s` is the shortest time in which it has answered lately: one connection interval, up to two.
    """

    evidence_s: float | None
    link_trouble: str = ""
    integrity: str = ""
    hub_trouble: str = ""
    loop_stalled: bool = False
    arm_trouble: str = ""
    capture_stopped: bool = False
    unanswered_s: float | None = None
    answer_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PowerRequest:
    """What the signs ask for: a power in percent, or None for a stop; with the reason as text."""

    power_percent: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """Input of one step, besides the memory and the limits."""

    now_s: float
    request: PowerRequest
    health: Health
    orders: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True)
class GuardMemory:
    """State between two steps. `latched` is the fault as text while in FAULT_LATCHED.

    `operator_stop` is true until an operator orders DRIVE, and again after each return to DISARMED. `drive_s` is when a
    DRIVE was accepted that has not moved the train yet. `capture_stopped_s` is when capturing was last stopped.
    `has_run` is whether the train has ever been permitted to move.
    """

    state: GuardState = GuardState.INIT
    since_s: float = 0.0
    latched: str = ""
    latched_by: Priority | None = None
    operator_stop: bool = True
    brake_since_s: float | None = None
    drive_s: float | None = None
    capture_stopped_s: float = -math.inf
    has_run: bool = False


@dataclass(frozen=True, slots=True)
class Permit:
    """What the train may do now: drive at a power in percent, or (None) brake.

    `reason` is text for people; `by` is the rule that holds the train back.
    """

    state: GuardState
    power_percent: int | None
    reason: str
    by: Priority | None = None


HUB_INTERVALS = 5
"""A hub whose packets are lost this often in a row is silent."""

_ARMED = frozenset({GuardState.ARMED_STOPPED, GuardState.RUNNING, GuardState.STOPPING})
_CAPTURE_STOPPED = "capturing was stopped by command"
# Faults that a person has to check before the train may move again; the others only brake until they are over.
_LATCHING = frozenset({Priority.EMERGENCY_STOP, Priority.INTEGRITY, Priority.HUB_HEALTH})


_UNFIT_TO_ARM = {
    GuardState.INIT: "the train is still starting",
    GuardState.LINK_LOST: "the hub is not connected",
    GuardState.FAULT_LATCHED: "re-arm the train first",
}
_UNFIT: dict[Order, dict[GuardState, str]] = {
    Order.ARM: _UNFIT_TO_ARM,
    Order.DRIVE: {
        **_UNFIT_TO_ARM,
        GuardState.DISARMED: "the train is not armed",
        # A stop is completed before the train starts again.
        GuardState.STOPPING: "the train is still stopping",
    },
}


def step(memory: GuardMemory, inputs: Inputs, limits: Limits) -> tuple[GuardMemory, Permit]:
    """Advance by one step; return the new memory and what the train may do until the next step."""
    memory = _update(memory, inputs, limits)
    # Orders first, so that a stop takes effect in the step in which it arrives.
    memory = _apply_orders(memory, inputs, limits)
    objections = sorted(_objections(memory, inputs, limits))
    memory = _transition(memory, objections, inputs, limits)
    permit = _permit(memory, inputs, objections)
    return _note_braking(memory, permit, inputs.now_s), permit


def refusal(memory: GuardMemory, order: Order, inputs: Inputs, limits: Limits) -> str:
    """Return why the guard does not carry out an order now, as text; empty where it does. No stop is ever refused."""
    return next(_refusals(memory, order, inputs, limits), "")


def _refusals(memory: GuardMemory, order: Order, inputs: Inputs, limits: Limits) -> Iterator[str]:
    state, health = memory.state, inputs.health
    if state in _UNFIT.get(order, {}):
        yield _UNFIT[order][state] + (f": {memory.latched}" if memory.latched else "")
    if order is Order.ARM and state is GuardState.DISARMED and health.arm_trouble:
        yield f"cannot be armed: {health.arm_trouble}"
    if order is Order.DRIVE and health.capture_stopped:
        yield _CAPTURE_STOPPED
    if order is Order.REARM:
        if state is not GuardState.FAULT_LATCHED:
            yield "no fault is latched"
        if not _is_stationary(memory, inputs.now_s, limits):
            yield "the train may still be rolling"
        for by, reason in sorted(_objections(memory, inputs, limits)):
            if _latches(by, memory, inputs, limits):
                yield reason


def _update(memory: GuardMemory, inputs: Inputs, limits: Limits) -> GuardMemory:
    """Note that capturing is stopped, and forget an order to drive that has become too old."""
    if inputs.health.capture_stopped:
        memory = replace(memory, capture_stopped_s=inputs.now_s)
    if memory.drive_s is not None and inputs.now_s - memory.drive_s > limits.order_age_s:
        memory = replace(memory, operator_stop=True, drive_s=None)
    return memory


def _apply_orders(memory: GuardMemory, inputs: Inputs, limits: Limits) -> GuardMemory:
    now_s = inputs.now_s
    for order in inputs.orders:
        if refusal(memory, order, inputs, limits):
            continue
        match order:
            case Order.DRIVE:
                waits = memory.operator_stop or memory.drive_s is not None
                drive_s = now_s if waits else None
                memory = replace(memory, operator_stop=False, drive_s=drive_s)
            case Order.ARM if memory.state is GuardState.DISARMED:
                memory = _enter(memory, GuardState.ARMED_STOPPED, now_s)
            case Order.REARM:
                memory = _enter(replace(memory, latched="", latched_by=None), GuardState.DISARMED, now_s)
            case _:
                pass  # stops follow, and arming an armed train changes nothing
    # Disarming and a stop win over whatever came with them, in any sequence.
    if Order.DISARM in inputs.orders and memory.state in _ARMED:
        memory = _enter(memory, GuardState.DISARMED, now_s)
    stops = Order.STOP in inputs.orders or Order.DISARM in inputs.orders
    return replace(memory, operator_stop=True, drive_s=None) if stops else memory


def _objections(memory: GuardMemory, inputs: Inputs, limits: Limits) -> Iterator[tuple[Priority, str]]:
    """Yield every reason to hold the train back; all rules are evaluated, so none can hide another."""
    health, request = inputs.health, inputs.request
    if Order.EMERGENCY_STOP in inputs.orders:
        yield Priority.EMERGENCY_STOP, "emergency stop"
    if health.integrity:
        yield Priority.INTEGRITY, health.integrity
    if health.link_trouble:
        yield Priority.LINK, health.link_trouble
    if health.loop_stalled:
        yield Priority.LIVENESS, "the event loop stalled"
    yield from _missing_evidence(memory, inputs, limits)
    if health.hub_trouble:
        yield Priority.HUB_HEALTH, health.hub_trouble
    if request.power_percent is None:
        yield Priority.SIGN, request.reason
    if memory.operator_stop:
        yield Priority.OPERATOR, "waits for the order to drive"


def _missing_evidence(memory: GuardMemory, inputs: Inputs, limits: Limits) -> Iterator[tuple[Priority, str]]:
    """Yield what is too old: the newest picture that was understood, the hub's answer."""
    health = inputs.health
    if health.capture_stopped:
        yield Priority.CAPTURE, _CAPTURE_STOPPED
    elif health.evidence_s is None:
        yield Priority.FRESHNESS, "no picture has been understood yet"
    elif _age_s(inputs.now_s, health.evidence_s) > limits.lease_s:
        # The first picture after capturing was stopped takes as long as any other.
        if inputs.now_s - memory.capture_stopped_s <= limits.lease_s:
            yield Priority.CAPTURE, "capturing starts again"
        else:
            yield Priority.FRESHNESS, f"no fresh picture was understood for {limits.lease_s * 1000:.0f} ms"
    if hub_is_silent(inputs, limits):
        yield Priority.HUB_SILENT, f"the hub has not answered for {_hub_lease_s(inputs, limits) * 1000:.0f} ms"


def hub_is_silent(inputs: Inputs, limits: Limits) -> bool:
    """Return whether the hub has owed an answer for too long."""
    since_s = inputs.health.unanswered_s
    return since_s is not None and _age_s(inputs.now_s, since_s) > _hub_lease_s(inputs, limits)


def _hub_lease_s(inputs: Inputs, limits: Limits) -> float:
    # However slow the hub has been, an answer that would latch is late.
    return min(limits.latch_s, max(limits.hub_lease_s, HUB_INTERVALS * inputs.health.answer_s))


def _transition(
    memory: GuardMemory, objections: list[tuple[Priority, str]], inputs: Inputs, limits: Limits
) -> GuardMemory:
    """Enter the state that the objections require."""
    for by, reason in objections:
        # A worse fault replaces the one that is latched, so that the reason shown is the most serious.
        if _latches(by, memory, inputs, limits) and (memory.latched_by is None or by < memory.latched_by):
            latched = replace(memory, latched=reason, latched_by=by)
            return _enter(latched, GuardState.FAULT_LATCHED, inputs.now_s)
    if memory.state is GuardState.FAULT_LATCHED:
        return memory
    return _enter(memory, _next_state(memory, objections, inputs, limits), inputs.now_s)


def _next_state(
    memory: GuardMemory, objections: list[tuple[Priority, str]], inputs: Inputs, limits: Limits
) -> GuardState:
    """Return the next state where nothing latches."""
    state = memory.state
    if inputs.health.link_trouble:
        return GuardState.INIT if state is GuardState.INIT else GuardState.LINK_LOST
    # A stop sign or a missing order to drive is no fault: the guard may leave INIT.
    healthy = all(by >= Priority.SIGN for by, _ in objections)
    # A reconnect never resumes motion: somebody has to arm again.
    if (state is GuardState.INIT and healthy) or state is GuardState.LINK_LOST:
        return GuardState.DISARMED
    if state in _ARMED and not objections:
        return GuardState.RUNNING
    if state is GuardState.RUNNING:
        return GuardState.STOPPING
    if state is GuardState.STOPPING and _is_stationary(memory, inputs.now_s, limits):
        return GuardState.ARMED_STOPPED
    return state


def _latches(by: Priority, memory: GuardMemory, inputs: Inputs, limits: Limits) -> bool:
    """Return whether a reason to brake needs a person; missing evidence does once it is older than `latch_s`."""
    # A train that has never moved needs nobody who looks at it because its program was slow to start.
    if by is Priority.LIVENESS:
        return memory.has_run
    if by not in (Priority.FRESHNESS, Priority.HUB_SILENT):
        return by in _LATCHING
    evidence_s = inputs.health.evidence_s if by is Priority.FRESHNESS else inputs.health.unanswered_s
    # While starting or reconnecting, frames may be missing for a while: there is nothing to latch yet.
    starting = memory.state in (GuardState.INIT, GuardState.LINK_LOST)
    if starting or evidence_s is None:
        return False
    if by is Priority.HUB_SILENT:
        return _age_s(inputs.now_s, evidence_s) > limits.latch_s
    return min(_age_s(inputs.now_s, evidence_s), inputs.now_s - memory.capture_stopped_s) > limits.latch_s


def _age_s(now_s: float, then_s: float) -> float:
    """Return the age of evidence; infinite where its time is not a number or lies in the future."""
    age_s = now_s - then_s
    # Written so that NaN, which compares as False with everything, never passes for fresh.
    return age_s if age_s >= 0 else math.inf


def _permit(memory: GuardMemory, inputs: Inputs, objections: list[tuple[Priority, str]]) -> Permit:
    """Derive the permit from the state."""
    if memory.state is GuardState.RUNNING:
        return Permit(memory.state, inputs.request.power_percent, inputs.request.reason)
    if memory.state is GuardState.FAULT_LATCHED:
        return Permit(memory.state, None, memory.latched, memory.latched_by)
    if objections and (objections[0][0] < Priority.SIGN or memory.state in _ARMED):
        return Permit(memory.state, None, objections[0][1], objections[0][0])
    # Only DISARMED is left here: every other state has a power, a latch or an objection.
    trouble = inputs.health.arm_trouble
    return Permit(memory.state, None, f"cannot be armed: {trouble}" if trouble else "waits to be armed")


def _note_braking(memory: GuardMemory, permit: Permit, now_s: float) -> GuardMemory:
    if permit.power_percent is not None:
        return replace(memory, brake_since_s=None)
    # The time to standstill counts from the first of consecutive brakes.
    return memory if memory.brake_since_s is not None else replace(memory, brake_since_s=now_s)


def _is_stationary(memory: GuardMemory, now_s: float, limits: Limits) -> bool:
    return memory.brake_since_s is not None and now_s - memory.brake_since_s >= limits.stop_time_s


def _enter(memory: GuardMemory, state: GuardState, now_s: float) -> GuardMemory:
    if memory.state is state:
        return memory
    # Arming alone never starts the train: after DISARMED, DRIVE has to be ordered again.
    operator_stop = memory.operator_stop or state is GuardState.DISARMED
    # An order to drive waits in ARMED_STOPPED only: it is carried out, or void, with the next state.
    has_run = memory.has_run or state is GuardState.RUNNING
    return replace(memory, state=state, since_s=now_s, operator_stop=operator_stop, drive_s=None, has_run=has_run)
