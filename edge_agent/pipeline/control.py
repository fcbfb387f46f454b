"""From predictions to motion: asks the policy what the signs want, the guard what is allowed, and aims the driver.

Runs at each prediction and at each tick of the guard, whichever comes first. Knows the order policy -> guard -> driver
and how both are told to observers. The rules themselves are pure functions in policy/ and guard.py.
"""

import asyncio
import time
from collections import deque
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
"""The train's state is told to observers at each change and at least this often."""

CRITICAL_S = 0.5
"""A critical voltage stops the train when it has lasted for so long: a motor that starts pulls it down for a moment."""

LOW_VOLTAGE_BAND_MV = 200
"""A low battery is told as over only this far above the limit: the voltage sags and recovers with the load."""

_EARLY_S = 1e-6  # asyncio's timers may come some nanoseconds too soon, which on a simulated clock never pass
_FAULTS = {
    Priority.EMERGENCY_STOP: EMERGENCY_STOP,
    Priority.INTEGRITY: INTEGRITY,
    Priority.LINK: LINK_LOST,
    Priority.LIVENESS: LOOP_STALLED,
    Priority.FRESHNESS: BLIND,
    Priority.HUB_HEALTH: HUB_TROUBLE,
}


@dataclass(frozen=True, slots=True)
class ControlParameters:
    """What the control works by.

    `critical_voltage_mv` stops the train, `low_voltage_mv` warns. `auto_arm` arms it once, when all is well. Until
    `start_timeout_s` have passed, what is not healthy yet is still starting and no fault.
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
        integrity: tells what is wrong with detector or configuration; empty while all is well.
        storage: tells why nothing may be armed anew; empty while all is well.
        stalls: counts how often the watchdog had to brake.
        clock: the event loop's clock.
    """

    def __init__(
        self,
        hub: Hub,
        driver: Driver,
        rules: ControlParameters,
        *,
        integrity: Callable[[], str],
        storage: Callable[[], str],
        stalls: Callable[[], int],
        observers: Fanout[Event],
        tally: RunStats,
        faults: FaultReporter,
        clock: Callable[[], float],
    ) -> None:
        self._hub, self._driver, self._rules = hub, driver, rules
        self._integrity, self._storage, self._stalls = integrity, storage, stalls
        self._observers, self._tally, self._faults, self._clock = observers, tally, faults, clock
        self._signs = policy.PolicyMemory()
        self._guard = guard.GuardMemory()
        self._orders: deque[Order] = deque()
        self._prediction: Prediction | None = None
        self._wish: policy.PolicyOutput | None = None
        self._decision: Decision | None = None
        self._permit = Permit(GuardState.INIT, None, "starting")
        self._stalls_seen = 0
        self._critical_since_s: float | None = None
        self._auto_armed = not rules.auto_arm
        self._told_s = -STATE_PERIOD_S
        self._stepped_s = -rules.tick_s
        self._closed = False
        self._link_trouble = "the hub is not connected"
        hub.subscribe(self._on_hub)

    @property
    def permit(self) -> Permit:
        """What the train may do now."""
        return self._permit

    def set_cruise_power(self, power_percent: int) -> None:
        """Cruise at another power from now on, 1..100 percent."""
        self.swap_rules(replace(self._rules.tuning, cruise_power_percent=power_percent))

    def set_signs(self, signs: Mapping[str, SignRule]) -> None:
        """Go by other sign rules from now on, by label."""
        self.swap_rules(replace(self._rules.tuning, rules=signs))

    def swap_rules(self, tuning: policy.Tuning) -> None:
        """Work by other sign rules from now on, without a pause."""
        self._rules = replace(self._rules, tuning=tuning)

    def order(self, order: Order) -> None:
        """Obey an order of a person or a program, at once. A stop given while others wait wins over them."""
        _log.info("order", order=order.value)
        self._orders.append(order)
        if order in (Order.DRIVE, Order.REARM):
            self._signs = policy.release(self._signs)
        self.step()

    def on_prediction(self, prediction: Prediction) -> None:
        """Fold in what the detector saw; signs that act are told to observers."""
        self._prediction = prediction
        now_s = self._clock()
        self._signs, acted = policy.observe(self._signs, prediction, now_s, self._rules.tuning)
        self._tally.unknown_signs = sum(self._signs.unknown.values())
        for wish in acted:
            self._tally.action(
                ActionTaken(
                    round(now_s - self._tally.started_s, 3), wish.frame_id, wish.sign, wish.action, wish.power_percent
                )
            )
            _log.info("sign", sign=wish.sign, action=wish.action.value, power_percent=wish.power_percent)
        self.step()

    def close(self) -> None:
        """Aim and tell nothing more: the run has ended, and what the hub does from now on is no fault."""
        self._closed = True

    async def run(self) -> None:
        """Step when nothing else has for a tick, until cancelled: a tick on the camera's beat would delay the frame."""
        while True:
            wait_s = self._stepped_s + self._rules.tick_s - self._clock()
            if wait_s > _EARLY_S:
                await asyncio.sleep(wait_s)
            else:
                self.step()

    def step(self) -> None:
        """Ask the policy, ask the guard, aim the driver, tell the observers."""
        now_s = self._stepped_s = self._clock()
        if self._closed:
            return
        wish = policy.evaluate(self._signs, now_s, self._rules.tuning)
        if wish != self._wish:
            self._decide(wish, now_s)
        orders = self._take_orders()
        ask = guard.PowerRequest(wish.power_percent, wish.reason)
        inputs = guard.Inputs(now_s, ask, self._health(), orders)
        before = self._permit
        self._guard, self._permit = guard.step(self._guard, inputs, self._rules.limits)
        self._aim()
        self._publish_faults(now_s)
        if self._permit != before or now_s - self._told_s >= STATE_PERIOD_S:
            self._tell_state(now_s)
        if self._permit.state is not before.state:
            _log.info("guard", state=self._permit.state.value, reason=self._permit.reason)
        if self._arms_itself():  # a tick later nothing more would be known
            self.step()

    def _arms_itself(self) -> bool:
        return not self._auto_armed and self._guard.state is GuardState.DISARMED and not self._storage()

    def _take_orders(self) -> tuple[Order, ...]:
        if self._arms_itself():
            self._auto_armed = True
            self._orders.extend((Order.ARM, Order.DRIVE))
        orders, self._orders = tuple(self._orders), deque()
        return orders

    def _health(self) -> guard.Health:
        status, stalls, now_s = self._hub.status(), self._stalls(), self._clock()
        limit_mv = self._rules.critical_voltage_mv
        since_s = self._critical_since_s = weak_since(self._critical_since_s, status.voltage_mv, limit_mv, now_s)
        critical = since_s is not None and now_s - since_s >= CRITICAL_S
        stalled, self._stalls_seen = stalls > self._stalls_seen, stalls
        return guard.Health(
            evidence_s=None if self._prediction is None else self._prediction.taken_s,
            link_trouble="" if status.connected else self._link_trouble,
            integrity=self._integrity(),
            hub_trouble=_trouble(status, limit_mv if critical else None),
            loop_stalled=stalled,
            arm_trouble=self._storage(),
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
            )
        )

    def _on_hub(self, event: HubEvent) -> None:
        if event.kind == "disconnected" and event.detail:
            self._link_trouble = event.detail
            if not self._closed:
                _log.warning("no_hub", reason=event.detail)
        elif event.kind == "connected":
            _log.info("hub_connected", name=event.detail)
        if event.kind == "button_pressed":
            self.order(Order.EMERGENCY_STOP)
        else:
            self.step()

    def _decide(self, wish: policy.PolicyOutput, now_s: float) -> None:
        self._wish = wish
        self._decision = Decision(
            decision_id=str(uuid_utils.uuid7()),
            frame_id=wish.frame_id,
            decided_s=now_s,
            taken_s=wish.taken_s,
            action=wish.action,
            power_percent=wish.power_percent or 0,
            sign=wish.sign,
            reason=wish.reason,
        )
        self._observers.publish(self._decision)

    def _publish_faults(self, now_s: float) -> None:
        present = dict(self._current_faults(now_s))
        for kind in (*_FAULTS.values(), BATTERY_LOW):
            if kind not in present:
                self._faults.clear(kind)
        for kind, message in present.items():
            self._faults.report(kind, message)

    def _current_faults(self, now_s: float) -> Iterator[tuple[FaultKind, str]]:
        by, rules = self._permit.by, self._rules
        starting = self._permit.state is GuardState.INIT and now_s - self._tally.started_s < rules.start_timeout_s
        if by in _FAULTS and (not starting or by is Priority.INTEGRITY):
            yield _FAULTS[by], self._permit.reason
        voltage_mv = self._hub.status().voltage_mv
        is_low = self._faults.since_s(BATTERY_LOW) is not None
        if voltage_mv is not None and voltage_mv < rules.low_voltage_mv + (LOW_VOLTAGE_BAND_MV if is_low else 0):
            yield BATTERY_LOW, f"{voltage_mv / 1000:.2f} V"

    def _tell_state(self, now_s: float) -> None:
        self._told_s = now_s
        self._observers.publish(
            TrainState(
                train_id=self._rules.train_id,
                guard=self._permit.state,
                reason=self._permit.reason,
                power_percent=self._driver.power_percent,
                hub=self._hub.status(),
                at_s=now_s,
                at_unix_s=time.time(),
            )
        )


def _trouble(status: HubStatus, critical_mv: int | None) -> str:
    """Name what the hub reports against driving; empty where nothing does. `critical_mv` is the limit it is below."""
    if status.alerts:
        return f"the hub reports {', '.join(sorted(status.alerts)).replace('_', ' ')}"
    if critical_mv is not None and status.voltage_mv is not None:
        return f"the battery is at {status.voltage_mv / 1000:.2f} V, below the critical {critical_mv / 1000:.2f} V"
    return ""
