"""The guard over every state, every fault and every pair of faults: the most restrictive always wins."""

import itertools
import math

import pytest
from hypothesis import given, strategies as st

from edge_agent.control.guard import Order, Permit, PowerRequest, Priority
from edge_agent.events import GuardState
from tests.support.guarded import CRUISE, SIGN_STOP, Train, train_in

FAULTS = {
    Priority.EMERGENCY_STOP: lambda train: None,  # an order, given with the step
    Priority.INTEGRITY: lambda train: setattr(train, "integrity", "the model was changed"),
    Priority.LINK: lambda train: setattr(train, "link_trouble", "out of range"),
    Priority.LIVENESS: lambda train: setattr(train, "loop_stalled", True),
    Priority.FRESHNESS: lambda train: setattr(train, "evidence_age_s", 0.31),
    Priority.HUB_SILENT: lambda train: setattr(train, "unanswered_age_s", 0.31),
    Priority.HUB_HEALTH: lambda train: setattr(train, "hub_trouble", "low voltage"),
    Priority.SIGN: lambda train: setattr(train, "request", SIGN_STOP),
    Priority.OPERATOR: lambda train: None,  # an order, given with the step
}
LATCHING = {Priority.EMERGENCY_STOP, Priority.INTEGRITY, Priority.LIVENESS, Priority.HUB_HEALTH}


def state_asks_stop(state: GuardState) -> bool:
    """Return whether `train_in(state)` leaves the train at a stop sign."""
    return state in (GuardState.ARMED_STOPPED, GuardState.STOPPING)


def inject(train: Train, faults: tuple[Priority, ...]) -> Permit:
    """Inject the faults in one step."""
    orders = []
    for fault in faults:
        FAULTS[fault](train)
        if fault is Priority.EMERGENCY_STOP:
            orders.append(Order.EMERGENCY_STOP)
        if fault is Priority.OPERATOR:
            orders.append(Order.STOP)
    return train.step(*orders)


def _latches(fault: Priority, state: GuardState) -> bool:
    """Return whether a fault latches a train from `train_in(state)`: a stall only one that has run."""
    has_run = train_in(state).memory.has_run
    return fault in LATCHING and (has_run or fault is not Priority.LIVENESS)


def _named(fault: Priority, state: GuardState) -> Priority | None:
    """Return the rule that the permit must name: the fault, or a worse one that the state implies."""
    if state is GuardState.LINK_LOST:
        return fault if _latches(fault, state) else min(fault, Priority.LINK)  # its link is still down
    if state in (GuardState.INIT, GuardState.DISARMED) and fault >= Priority.SIGN:
        return None  # it waits to be armed, whatever signs and operator want
    return fault


@pytest.mark.parametrize("state", GuardState)
def test_train_in_reaches_each_state(state: GuardState) -> None:
    assert train_in(state).memory.state is state


def test_ordinary_course_from_start_to_running() -> None:
    train = Train(evidence_age_s=None)
    assert train.step().state is GuardState.INIT
    train.evidence_age_s = 0.0
    assert train.step().state is GuardState.DISARMED
    assert train.step(Order.ARM).state is GuardState.ARMED_STOPPED
    assert train.step(Order.DRIVE) == Permit(GuardState.RUNNING, 60, "cruise")


@pytest.mark.parametrize("missing", ["camera", "detector", "hub"])
def test_start_without_health_never_leaves_init_even_when_ordered(missing: str) -> None:
    train = Train(
        evidence_age_s=None if missing == "camera" else 0.0,
        integrity="no model" if missing == "detector" else "",
        link_trouble="no hub" if missing == "hub" else "",
    )
    for _ in range(100):
        permit = train.step(Order.ARM, Order.DRIVE, Order.REARM)
        assert permit.power_percent is None
        assert permit.state in (GuardState.INIT, GuardState.FAULT_LATCHED)


@pytest.mark.parametrize("state", GuardState)
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_in_each_state_brakes_and_names_itself(state: GuardState, fault: Priority) -> None:
    train = train_in(state)
    permit = inject(train, (fault,))
    assert permit.power_percent is None
    if state is not GuardState.FAULT_LATCHED:
        assert permit.by is (
            Priority.SIGN if state_asks_stop(state) and fault is Priority.OPERATOR else _named(fault, state)
        )
        assert (permit.state is GuardState.FAULT_LATCHED) == _latches(fault, state)


@pytest.mark.parametrize("state", [s for s in GuardState if s is not GuardState.FAULT_LATCHED])
@pytest.mark.parametrize("pair", list(itertools.combinations(FAULTS, 2)), ids=lambda p: f"{p[0].name}+{p[1].name}")
def test_two_faults_at_once_the_most_restrictive_wins(state: GuardState, pair: tuple[Priority, Priority]) -> None:
    train = train_in(state)
    permit = inject(train, pair)
    assert permit.power_percent is None
    assert permit.state is GuardState.DISARMED or "armed" not in permit.reason
    latched = [fault for fault in pair if _latches(fault, state)]
    assert (permit.state is GuardState.FAULT_LATCHED) == bool(latched)
    assert permit.by is (min(latched) if latched else _named(min(pair), state))
    if Priority.LINK in pair and not latched:
        expected = GuardState.INIT if state is GuardState.INIT else GuardState.LINK_LOST
        assert permit.state is expected


def test_stall_before_the_train_ever_ran_brakes_and_is_over_with_it() -> None:
    """Else a start on a busy machine ends in a fault that a person has to clear, with the unit activating for good."""
    train = Train(loop_stalled=True)
    assert train.step().state is GuardState.INIT
    train.loop_stalled = False
    assert train.step().state is GuardState.DISARMED
    train.step(Order.ARM, Order.DRIVE)
    train.step(Order.DISARM)
    train.loop_stalled = True
    assert train.step().state is GuardState.FAULT_LATCHED, "it has run since"


def test_stale_picture_brakes_and_a_fresh_one_lets_it_run_again() -> None:
    train = train_in(GuardState.RUNNING)
    train.evidence_age_s = 0.3
    assert train.step().power_percent == 60, "exactly the lease is still fresh"
    train.evidence_age_s = 0.31
    assert train.step() == Permit(
        GuardState.STOPPING, None, "no fresh picture was understood for 300 ms", Priority.FRESHNESS
    )
    train.evidence_age_s = 0.0
    assert train.step().state is GuardState.RUNNING


@pytest.mark.parametrize(
    ("age_s", "state"), [(2.0, GuardState.STOPPING), (2.01, GuardState.FAULT_LATCHED)], ids=["not yet", "too long"]
)
def test_blind_train_latches_after_two_seconds(age_s: float, state: GuardState) -> None:
    train = train_in(GuardState.RUNNING)
    train.evidence_age_s = age_s
    assert train.step().state is state


def test_silent_hub_brakes_and_its_answer_lets_the_train_run_again() -> None:
    train = train_in(GuardState.RUNNING)
    train.unanswered_age_s = 0.29
    assert train.step().power_percent == 60
    train.unanswered_age_s = 0.31
    assert train.step() == Permit(GuardState.STOPPING, None, "the hub has not answered for 300 ms", Priority.HUB_SILENT)
    train.unanswered_age_s = None
    assert train.step().state is GuardState.RUNNING


@pytest.mark.parametrize(
    ("answer_s", "age_s", "power_percent"),
    [(0.05, 0.29, 60), (0.05, 0.31, None), (0.1, 0.49, 60), (0.1, 0.51, None), (9.0, 1.99, 60), (9.0, 2.01, None)],
)
def test_hub_with_a_long_connection_interval_may_take_five_of_them(
    answer_s: float, age_s: float, power_percent: int | None
) -> None:
    """However slow it is, what latches brakes."""
    train = train_in(GuardState.RUNNING)
    train.answer_s, train.unanswered_age_s = answer_s, age_s
    assert train.step().power_percent == power_percent


@pytest.mark.parametrize(
    ("age_s", "state"),
    [(1.99, GuardState.STOPPING), (2.01, GuardState.FAULT_LATCHED), (math.nan, GuardState.FAULT_LATCHED)],
)
def test_hub_that_stays_silent_latches(age_s: float, state: GuardState) -> None:
    train = train_in(GuardState.RUNNING)
    train.unanswered_age_s = age_s
    assert train.step().state is state


@pytest.mark.parametrize("state", [GuardState.INIT, GuardState.LINK_LOST])
def test_silent_hub_does_not_latch_while_starting_or_reconnecting(state: GuardState) -> None:
    train = train_in(state)
    train.unanswered_age_s = 60.0
    assert train.step().state is state


def test_blind_start_waits_without_latching() -> None:
    train = Train(evidence_age_s=60.0)
    assert train.step().state is GuardState.INIT


def test_braked_train_counts_as_standing_only_after_its_stopping_time() -> None:
    train = train_in(GuardState.RUNNING)
    train.request = SIGN_STOP
    assert train.step().state is GuardState.STOPPING
    assert train.step(after_s=0.69).state is GuardState.STOPPING
    assert train.step(after_s=0.02).state is GuardState.ARMED_STOPPED


def test_sign_stop_released_while_stopping_drives_on() -> None:
    train = train_in(GuardState.STOPPING)
    train.request = CRUISE
    assert train.step().power_percent == 60


def test_reconnect_lands_disarmed_and_needs_arm_and_drive() -> None:
    train = train_in(GuardState.RUNNING)
    train.link_trouble = "out of range"
    assert train.step().state is GuardState.LINK_LOST
    assert train.step(Order.ARM, Order.DRIVE, Order.REARM).state is GuardState.LINK_LOST
    train.link_trouble = ""
    assert train.step() == Permit(GuardState.DISARMED, None, "waits to be armed")
    assert train.step(Order.ARM).power_percent is None, "arming alone moves nothing"
    assert train.step(Order.DRIVE).power_percent == 60


def test_latched_fault_needs_cause_gone_train_standing_and_rearm() -> None:
    train = train_in(GuardState.RUNNING)
    train.hub_trouble = "high current"
    assert train.step().state is GuardState.FAULT_LATCHED
    train.hub_trouble = ""
    assert train.step(Order.ARM, Order.DRIVE, Order.DISARM).state is GuardState.FAULT_LATCHED
    assert train.step(Order.REARM).state is GuardState.FAULT_LATCHED, "it may still be rolling"
    train.hub_trouble = "high current"
    assert train.step(Order.REARM, after_s=1.0).state is GuardState.FAULT_LATCHED, "the cause is still there"
    train.hub_trouble = ""
    permit = train.step(Order.REARM)
    assert (permit.state, permit.power_percent) == (GuardState.DISARMED, None)
    assert train.memory.latched == ""


def test_latched_fault_keeps_its_reason_until_a_worse_one_comes() -> None:
    train = train_in(GuardState.RUNNING)
    train.hub_trouble = "low voltage"
    train.step()
    train.loop_stalled = True
    assert train.step().reason == "the event loop stalled"
    train.loop_stalled = False
    train.hub_trouble = "high current"
    permit = train.step()
    assert (permit.reason, permit.by) == ("the event loop stalled", Priority.LIVENESS)


def test_rearmed_without_link_is_link_lost() -> None:
    train = train_in(GuardState.FAULT_LATCHED)
    train.link_trouble = "out of range"
    assert train.step(after_s=1.0).state is GuardState.FAULT_LATCHED
    assert train.step(Order.REARM).state is GuardState.LINK_LOST


def test_stop_beats_drive_orders_around_it() -> None:
    train = train_in(GuardState.RUNNING)
    orders = [Order.DRIVE] * 500 + [Order.STOP] + [Order.DRIVE] * 500
    assert train.step(*orders).by is Priority.OPERATOR


def test_drive_while_stopping_is_ignored() -> None:
    train = train_in(GuardState.RUNNING)
    train.step(Order.STOP)
    assert train.step(Order.DRIVE).state is GuardState.STOPPING
    train.step(after_s=1.0)
    assert train.step(Order.DRIVE).state is GuardState.RUNNING


@pytest.mark.parametrize("state", [GuardState.ARMED_STOPPED, GuardState.RUNNING, GuardState.STOPPING])
def test_disarm_of_an_armed_train_brakes_and_forgets_the_wish_to_drive(state: GuardState) -> None:
    train = train_in(state)
    train.request = CRUISE
    permit = train.step(Order.DISARM)
    assert (permit.state, permit.power_percent) == (GuardState.DISARMED, None)
    assert train.step(Order.ARM).power_percent is None


def test_since_is_when_the_state_was_entered() -> None:
    train = train_in(GuardState.RUNNING)
    entered_s = train.memory.since_s
    train.step()
    assert train.memory.since_s == entered_s < train.now_s


_inputs = st.builds(
    dict,
    orders=st.lists(st.sampled_from(Order), max_size=3),
    request=st.sampled_from([CRUISE, PowerRequest(30, "slow"), SIGN_STOP]),
    link_trouble=st.sampled_from(["", "", "out of range"]),
    integrity=st.sampled_from(["", "", "", "broken"]),
    hub_trouble=st.sampled_from(["", "", "", "low voltage"]),
    loop_stalled=st.sampled_from([False, False, False, True]),
    evidence_age_s=st.sampled_from([None, 0.0, 0.1, 0.3, 0.4, 3.0, -0.01, math.nan, math.inf]),
    unanswered_age_s=st.sampled_from([None, None, 0.0, 0.2, 0.4, 3.0, -0.01, math.nan]),
    after_s=st.sampled_from([0.01, 0.05, 1.0]),
)


@given(st.lists(_inputs, max_size=40))
def test_any_history_never_moves_without_every_reason_to(history: list[dict]) -> None:
    """Motion is permitted only while running, linked, intact, with fresh evidence and without a stop."""
    train = train_in(GuardState.RUNNING)
    for inputs in history:
        orders, after_s = inputs.pop("orders"), inputs.pop("after_s")
        for name, value in inputs.items():
            setattr(train, name, value)
        latched_before = train.memory.state is GuardState.FAULT_LATCHED
        permit = train.step(*orders, after_s=after_s)
        if permit.power_percent is None:
            continue
        assert permit.state is GuardState.RUNNING
        assert not any((train.link_trouble, train.integrity, train.hub_trouble, train.loop_stalled))
        assert train.evidence_age_s is not None
        assert 0 <= train.evidence_age_s <= 0.3
        assert train.unanswered_age_s is None or 0 <= train.unanswered_age_s <= 0.3
        assert permit.power_percent == train.request.power_percent is not None
        assert not {Order.EMERGENCY_STOP, Order.STOP, Order.DISARM} & set(orders)
        assert not latched_before or Order.REARM in orders
