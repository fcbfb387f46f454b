"""From predictions to motion: policy, then guard, then driver, at each prediction and at each tick of the guard.

The rules themselves are pure functions in control/policy.py and control/guard.py.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import structlog
import uuid_utils

from edge_agent.config import SignRule
from edge_agent.control import guard, policy
from edge_agent.control.driver import Driver, MotorTarget
from edge_agent.control.guard import Order, Permit, Priority
from edge_agent.control.power import weak_since
from edge_agent.events import Decision, Event, GuardState, HubStatus, Prediction, TrainState
from edge_agent.faults import (
    BATTERY_LOW,
    BLIND,
    EMERGENCY_STOP,
    HUB_REFUSED,
    HUB_SHARED,
    HUB_SILENT,
    HUB_TROUBLE,
    INTEGRITY,
    LINK_LOST,
    LOOP_STALLED,
    FaultKind,
    FaultReporter,
)
from edge_agent.ports import Hub, HubEvent
from edge_agent.report import ActionTaken, RunStats
from edge_agent.runtime.queues import Fanout

_log = structlog.get_logger(__name__)

STATE_PERIOD_S = 1.0
"""The train's state is published at each change and at least this often."""

TOLD_S = 5.0
"""How long a single event of the hub is reported as a fault."""

CRITICAL_S = 0.5
"""A critical voltage stops the train when it has lasted this long: a starting motor pulls it down for a moment."""

STARTING_S = 1.0
"""For this long after the motor got power the train may still be standing: it has a dead band, and the power a ramp."""

LOW_VOLTAGE_BAND_MV = 200
"""A low battery is reported as over only this far above the limit: the voltage sags and recovers with the load."""

# asyncio's timers may fire some nanoseconds too early, and on a simulated clock those never pass.
_EARLY_S = 1e-6
_TOLD = {"refused": HUB_REFUSED, "shared": HUB_SHARED}
_STOPS = frozenset({Order.STOP, Order.DISARM, Order.EMERGENCY_STOP})
_FAULTS = {
    Priority.EMERGENCY_STOP: EMERGENCY_STOP,
    Priority.INTEGRITY: INTEGRITY,
    Priority.LINK: LINK_LOST,
    Priority.LIVENESS: LOOP_STALLED,
    Priority.FRESHNESS: BLIND,
    Priority.HUB_SILENT: HUB_SILENT,
    Priority.HUB_HEALTH: HUB_TROUBLE,
}


@dataclass(frozen=True, slots=True)
class ControlParameters:
    """The parameters of policy, guard and battery.

    `critical_voltage_mv` stops the train, `low_voltage_mv` warns. `auto_arm` arms it once, as soon as all is well.
    Before `start_timeout_s` have passed, what is not healthy yet is still starting, which is no fault.
    """

    train_id: str
    tuning: policy.Tuning
    limits: guard.Limits
    tick_s: float = 0.05
    critical_voltage_mv: int = 6000
    low_voltage_mv: int = 6800
    start_timeout_s: float = 30.0
    auto_arm: bool = False


class Control:
    """The third task of the pipeline, and the one place where orders from people come in.

    Args:
        integrity: returns what is wrong with detector or configuration; empty while all is well.
        storage: returns why the train may not be armed; empty while it may.
        stalls: returns how often the watchdog had to brake.
        faults: by the event loop's clock.
        clock: the event loop's clock.
    """

    def __init__(
        self,
        hub: Hub,
        driver: Driver,
        parameters: ControlParameters,
        *,
        integrity: Callable[[], str],
        storage: Callable[[], str],
        stalls: Callable[[], int],
        observers: Fanout[Event],
        stats: RunStats,
        faults: FaultReporter,
        clock: Callable[[], float],
    ) -> None:
        self._hub, self._driver, self._parameters = hub, driver, parameters
        self._integrity, self._storage, self._stalls = integrity, storage, stalls
        self._observers, self._stats, self._faults, self._clock = observers, stats, faults, clock
        self._signs = policy.PolicyMemory()
        self._guard = guard.GuardMemory()
        self._inputs: guard.Inputs
        self._capture_stopped = False
        self._ended = ""
        self._prediction: Prediction | None = None
        self._stood_s = -math.inf
        self._output: policy.PolicyOutput | None = None
        self._decision: Decision | None = None
        self._permit = Permit(GuardState.INIT, None, "starting")
        self._stalls_seen = 0
        self._critical_since_s: float | None = None
        self._auto_armed = not parameters.auto_arm
        self._published_s = -STATE_PERIOD_S
        self._stepped_s = -parameters.tick_s
        self._closed = False
        self._link_trouble = "the hub is not connected"
        # What the hub has told lately: its text, and when.
        self._told: dict[FaultKind, tuple[str, float]] = {}
        hub.subscribe(self._on_hub)

    @property
    def permit(self) -> Permit:
        """What the train may do now."""
        return self._permit

    def set_cruise_power(self, power_percent: int) -> None:
        """Set the cruise power, 1..100 percent."""
        self.set_tuning(replace(self._parameters.tuning, cruise_power_percent=power_percent))

    def set_signs(self, signs: Mapping[str, SignRule]) -> None:
        """Set the sign rules, by label."""
        self.set_tuning(replace(self._parameters.tuning, rules=signs))

    def set_tuning(self, tuning: policy.Tuning) -> None:
        """Replace the policy's tuning between two steps."""
        self._parameters = replace(self._parameters, tuning=tuning)

    def set_capture_stopped(self, stopped: bool) -> None:
        """Note at once that capturing was stopped by command, or goes on: until it does the train is braked."""
        self._capture_stopped = stopped
        self.step()

    def order(self, order: Order) -> str:
        """Carry out an order at once; return why the guard refuses it, empty where it does not. A stop never is."""
        if order in _STOPS:
            self._auto_armed = True  # what starts by itself does not start after a stop
        else:
            self.step()  # the guard answers by what is known now
            if self._closed:
                return "the run has ended"
            if why := guard.refusal(self._guard, order, self._inputs, self._parameters.limits):
                _log.info("order_refused", order=order.value, reason=why)
                return why
        _log.info("order", order=order.value)
        # Only now: a refused order to drive must not end the stop that a sign asked for.
        if order is Order.DRIVE:
            self._signs = policy.release(self._signs)
        self.step(order)
        return ""

    def on_prediction(self, prediction: Prediction) -> None:
        """Feed a prediction to the policy and step."""
        self._prediction = prediction
        now_s = self._clock()
        if self._driver.power_percent == 0:
            self._stood_s = now_s
        self._signs, acted = policy.observe(
            self._signs, prediction, now_s, self._parameters.tuning, standing=now_s - self._stood_s < STARTING_S
        )
        self._stats.unknown_signs = sum(self._signs.unknown.values())
        for output in acted:
            self._stats.action(
                ActionTaken(
                    round(now_s - self._stats.started_s, 3),
                    output.frame_id,
                    output.sign,
                    output.action,
                    output.power_percent,
                )
            )
            _log.info("sign", sign=output.sign, action=output.action.value, power_percent=output.power_percent)
        self.step()

    def close(self) -> None:
        """Aim and publish nothing more: the run has ended, and what the hub does from now on is no fault."""
        self._closed = True

    async def run(self) -> None:
        """Step whenever nothing else has for a tick, until cancelled."""
        while True:
            # Counted from the last step: a tick at the camera's pace would delay the frame that comes with it.
            wait_s = self._stepped_s + self._parameters.tick_s - self._clock()
            if wait_s > _EARLY_S:
                await asyncio.sleep(wait_s)
            else:
                self.step()

    def step(self, *orders: Order) -> None:
        """Evaluate policy and guard, aim the driver, publish what has changed."""
        now_s = self._stepped_s = self._clock()
        if self._closed:
            return
        output = policy.evaluate(self._signs, now_s, self._parameters.tuning)
        if output != self._output:
            self._decide(output, now_s)
        ask = guard.PowerRequest(output.power_percent, output.reason)
        self._inputs = guard.Inputs(now_s, ask, self._health(), orders)
        before = self._permit
        self._guard, self._permit = guard.step(self._guard, self._inputs, self._parameters.limits)
        self._aim()
        self._publish_faults(now_s)
        if self._permit != before or now_s - self._published_s >= STATE_PERIOD_S:
            self._publish_state(now_s)
        if self._permit.state is not before.state:
            _log.info("guard", state=self._permit.state.value, reason=self._permit.reason)
        self._arm_automatically()

    def _arm_automatically(self) -> None:
        """Arm once, as soon as all is well, unless a person has stopped the train or has to look at it first."""
        self._auto_armed = self._auto_armed or self._guard.state is GuardState.FAULT_LATCHED
        if not self._auto_armed and self._guard.state is GuardState.DISARMED and not self._storage():
            self._auto_armed = True
            self.step(Order.ARM, Order.DRIVE)  # waiting for the next tick would bring nothing new

    def _health(self) -> guard.Health:
        status, stalls, now_s = self._hub.status(), self._stalls(), self._clock()
        limit_mv = self._parameters.critical_voltage_mv
        since_s = self._critical_since_s = weak_since(self._critical_since_s, status.voltage_mv, limit_mv, now_s)
        critical = since_s is not None and now_s - since_s >= CRITICAL_S
        stalled, self._stalls_seen = stalls > self._stalls_seen, stalls
        return guard.Health(
            evidence_s=None if self._prediction is None else self._prediction.taken_s,
            link_trouble="" if status.connected else self._link_trouble,
            integrity=self._integrity(),
            hub_trouble=_hub_trouble(status, limit_mv if critical else None),
            loop_stalled=stalled,
            arm_trouble=self._storage(),
            capture_stopped=self._capture_stopped,
            unanswered_s=status.unanswered_s if status.connected else None,
            answer_s=status.answer_s,
        )

    def _aim(self) -> None:
        permit, decision = self._permit, self._decision
        # A driving train renews its lease with each new picture; a braked one stands on the sighting that stopped it.
        cause: Prediction | Decision | None = self._prediction if permit.power_percent is not None else None
        if cause is None and permit.by is Priority.SIGN:
            cause = decision
        self._driver.set_target(
            MotorTarget(
                permit.power_percent,
                permit.reason,
                decision_id=decision.decision_id if decision else None,
                frame_id=cause.frame_id if cause else None,
                taken_s=cause.taken_s if cause else None,
                hub_silent=guard.hub_is_silent(self._inputs, self._parameters.limits),
            )
        )

    def _on_hub(self, event: HubEvent) -> None:
        if event.kind == "disconnected" and event.detail:
            self._link_trouble = event.detail
            if not self._closed:
                _log.warning("no_hub", reason=event.detail)
        elif event.kind == "connected":
            _log.info("hub_connected", name=event.detail)
        if event.kind in _TOLD:
            self._told[_TOLD[event.kind]] = (event.detail, self._clock())
        if event.kind == "button_pressed":
            self.order(Order.EMERGENCY_STOP)
        else:
            self.step()

    def _decide(self, output: policy.PolicyOutput, now_s: float) -> None:
        self._output = output
        self._decision = Decision(
            decision_id=str(uuid_utils.uuid7()),
            frame_id=output.frame_id,
            decided_s=now_s,
            taken_s=output.taken_s,
            action=output.action,
            power_percent=output.power_percent or 0,
            sign=output.sign,
            reason=output.reason,
        )
        self._observers.publish(self._decision)

    def _publish_faults(self, now_s: float) -> None:
        present = dict(self._current_faults(now_s))
        for kind in (*_FAULTS.values(), *_TOLD.values(), BATTERY_LOW):
            if kind not in present:
                self._faults.clear(kind)
        for kind, message in present.items():
            self._faults.report(kind, message)

    def _current_faults(self, now_s: float) -> Iterator[tuple[FaultKind, str]]:
        by, parameters = self._permit.by, self._parameters
        starting = self._permit.state is GuardState.INIT and now_s - self._stats.started_s < parameters.start_timeout_s
        if by in _FAULTS and (not starting or by is Priority.INTEGRITY):
            yield _FAULTS[by], self._permit.reason
        yield from ((kind, text) for kind, (text, told_s) in self._told.items() if now_s - told_s < TOLD_S)
        voltage_mv = self._hub.status().voltage_mv
        is_low = self._faults.since_s(BATTERY_LOW) is not None
        if voltage_mv is not None and voltage_mv < parameters.low_voltage_mv + (LOW_VOLTAGE_BAND_MV if is_low else 0):
            yield BATTERY_LOW, f"{voltage_mv / 1000:.2f} V"

    def publish_end(self, how: str) -> None:
        """Publish the last state of the run, which tells how it ended."""
        self._ended = how
        self._publish_state(self._clock())

    def _publish_state(self, now_s: float) -> None:
        self._published_s = now_s
        self._observers.publish(
            TrainState(
                train_id=self._parameters.train_id,
                guard=self._permit.state,
                reason=self._permit.reason,
                power_percent=self._driver.power_percent,
                hub=self._hub.status(),
                at_s=now_s,
                at_unix_s=time.time(),
                cruise_power_percent=self._parameters.tuning.cruise_power_percent,
                capture_stopped=self._capture_stopped,
                ended=self._ended,
            )
        )


def _hub_trouble(status: HubStatus, critical_mv: int | None) -> str:
    """Return what forbids driving, in words, or "". `critical_mv` is the limit that the voltage is below, if it is."""
    if status.alerts:
        return f"the hub reports {', '.join(sorted(status.alerts)).replace('_', ' ')}"
    if critical_mv is not None and status.voltage_mv is not None:
        return f"the battery is at {status.voltage_mv / 1000:.2f} V, below the critical {critical_mv / 1000:.2f} V"
    return ""
