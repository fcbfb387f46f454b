"""Edge cases of the guard: exact limits, orders that do not fit the state, latched reasons, frozen values."""

import itertools
import math
from dataclasses import FrozenInstanceError, fields

import pytest

from edge_agent.control.guard import GuardMemory, Health, Inputs, Limits, Order, Permit, Priority, step
from edge_agent.events import GuardState
from tests.support.guarded import CRUISE, SIGN_STOP, train_in


@pytest.mark.parametrize(
    ("age_s", "state"),
    [(0.25, GuardState.RUNNING), (0.2578125, GuardState.STOPPING), (2.0, GuardState.STOPPING)],
    ids=["the lease to the instant", "a little more", "the latch to the instant"],
)
def test_limits_are_still_within_themselves(age_s: float, state: GuardState) -> None:
    """With numbers that are exact in binary: an age equal to the limit is permitted."""
    limits, now_s = Limits(lease_s=0.25, latch_s=2.0, stop_time_s=0.5), 64.0
    running = GuardMemory(GuardState.RUNNING, operator_stop=False)
    memory, _ = step(running, Inputs(now_s, CRUISE, Health(now_s - age_s)), limits)
    assert memory.state is state


@pytest.mark.parametrize("evidence_s", [float("nan"), 64.0625, float("inf"), -float("inf")])
def test_evidence_whose_age_is_unknown_or_in_the_future_is_infinitely_old(evidence_s: float) -> None:
    running = GuardMemory(GuardState.RUNNING, operator_stop=False)
    memory, permit = step(running, Inputs(64.0, CRUISE, Health(evidence_s)), Limits())
    assert (memory.state, permit.power_percent, permit.by) == (GuardState.FAULT_LATCHED, None, Priority.FRESHNESS)


@pytest.mark.parametrize(
    ("age_s", "state"),
    [
        (0.5, GuardState.RUNNING),
        (0.5078125, GuardState.STOPPING),
        (2.0, GuardState.STOPPING),
        (2.0078125, GuardState.FAULT_LATCHED),
    ],
)
def test_limits_of_a_silent_hub_are_still_within_themselves(age_s: float, state: GuardState) -> None:
    limits, now_s = Limits(latch_s=2.0, hub_lease_s=0.5), 64.0
    running = GuardMemory(GuardState.RUNNING, operator_stop=False)
    memory, permit = step(running, Inputs(now_s, CRUISE, Health(now_s, unanswered_s=now_s - age_s)), limits)
    assert memory.state is state
    assert permit.reason in ("cruise", "the hub has not answered for 500 ms")


def test_stopping_time_to_the_instant_is_enough() -> None:
    limits, now_s = Limits(stop_time_s=0.5), 64.0
    stopping = GuardMemory(GuardState.STOPPING, operator_stop=False, brake_since_s=now_s - 0.5)
    memory, _ = step(stopping, Inputs(now_s, SIGN_STOP, Health(now_s)), limits)
    assert memory.state is GuardState.ARMED_STOPPED


def test_stopping_time_counts_from_the_brake_on_a_clock_that_has_just_begun() -> None:
    stopping = GuardMemory(GuardState.STOPPING, operator_stop=False, brake_since_s=1.0)
    memory, _ = step(stopping, Inputs(5.0, SIGN_STOP, Health(5.0)), Limits(stop_time_s=0.5))
    assert memory.state is GuardState.ARMED_STOPPED


def test_blind_train_latches_on_a_clock_that_has_just_begun() -> None:
    running = GuardMemory(GuardState.RUNNING, operator_stop=False)
    memory, _ = step(running, Inputs(4.0, CRUISE, Health(1.0)), Limits(latch_s=2.0))
    assert memory.state is GuardState.FAULT_LATCHED


def test_reason_names_the_lease_as_it_is_set() -> None:
    _, permit = step(GuardMemory(), Inputs(64.0, CRUISE, Health(1.0)), Limits(lease_s=2.0))
    assert permit.reason == "no fresh picture was understood for 2000 ms"


def test_stop_sign_in_view_at_the_start_does_not_keep_it_from_being_ready() -> None:
    _, permit = step(GuardMemory(), Inputs(64.0, SIGN_STOP, Health(64.0)), Limits())
    assert permit.state is GuardState.DISARMED


def test_order_to_drive_before_arming_is_not_kept() -> None:
    train = train_in(GuardState.DISARMED)
    assert train.refusal(Order.DRIVE) == "the train is not armed"
    train.step(Order.DRIVE)
    assert train.step(Order.ARM).by is Priority.OPERATOR


@pytest.mark.parametrize(("waits_s", "power_percent"), [(10.0, 60), (10.25, None)], ids=["in time", "too old"])
def test_order_to_drive_is_kept_no_longer_than_a_command(waits_s: float, power_percent: int | None) -> None:
    train = train_in(GuardState.DISARMED)
    train.request = SIGN_STOP
    train.step(Order.ARM, Order.DRIVE)
    train.now_s = 128.0
    train.step(Order.DRIVE, after_s=0.0)  # once more: the newest order counts
    train.request = CRUISE
    assert train.step(after_s=waits_s).power_percent == power_percent


def test_order_to_drive_ages_from_when_it_was_given() -> None:
    """At a time at which the age is not what a remainder would be."""
    waiting = GuardMemory(GuardState.ARMED_STOPPED, operator_stop=False, drive_s=4.0)
    memory, permit = step(waiting, Inputs(15.0, CRUISE, Health(15.0)), Limits())
    assert (permit.power_percent, permit.by, memory.drive_s) == (None, Priority.OPERATOR, None)


def test_order_that_is_refused_does_not_keep_the_next_from_being_carried_out() -> None:
    train = train_in(GuardState.DISARMED)
    assert train.step(Order.DRIVE, Order.ARM).state is GuardState.ARMED_STOPPED


def test_arming_an_armed_train_that_stops_does_not_end_its_stop() -> None:
    assert train_in(GuardState.STOPPING).step(Order.ARM).state is GuardState.STOPPING


def test_first_picture_after_capturing_was_stopped_may_take_the_lease_to_the_instant() -> None:
    memory = GuardMemory(GuardState.ARMED_STOPPED, operator_stop=False, capture_stopped_s=64.0)
    _, permit = step(memory, Inputs(64.25, CRUISE, Health(60.0)), Limits(lease_s=0.25))
    assert permit.by is Priority.CAPTURE


def test_hub_that_is_silent_latches_whether_or_not_capturing_was_stopped() -> None:
    memory = GuardMemory(GuardState.ARMED_STOPPED, operator_stop=False, capture_stopped_s=64.0)
    inputs = Inputs(64.25, CRUISE, Health(64.25, unanswered_s=60.0))
    assert step(memory, inputs, Limits(latch_s=2.0))[0].latched_by is Priority.HUB_SILENT


@pytest.mark.parametrize("first", [True, False])
def test_order_that_has_moved_the_train_does_not_age(first: bool) -> None:
    train = train_in(GuardState.RUNNING)
    train.request = SIGN_STOP
    train.step()
    train.step(after_s=1.0)
    if not first:
        train.step(Order.DRIVE)  # changes nothing: the train goes on after the sign anyway
    train.step(after_s=60.0)
    train.request = CRUISE
    assert train.step().power_percent == 60


@pytest.mark.parametrize(
    ("state", "order", "reason"),
    [
        (GuardState.INIT, Order.ARM, "the train is still starting"),
        (GuardState.INIT, Order.DRIVE, "the train is still starting"),
        (GuardState.INIT, Order.REARM, "no fault is latched"),
        (GuardState.DISARMED, Order.ARM, ""),
        (GuardState.DISARMED, Order.DRIVE, "the train is not armed"),
        (GuardState.DISARMED, Order.REARM, "no fault is latched"),
        (GuardState.ARMED_STOPPED, Order.ARM, ""),
        (GuardState.ARMED_STOPPED, Order.DRIVE, ""),
        (GuardState.ARMED_STOPPED, Order.REARM, "no fault is latched"),
        (GuardState.RUNNING, Order.ARM, ""),
        (GuardState.RUNNING, Order.DRIVE, ""),
        (GuardState.RUNNING, Order.REARM, "no fault is latched"),
        (GuardState.STOPPING, Order.ARM, ""),
        (GuardState.STOPPING, Order.DRIVE, "the train is still stopping"),
        (GuardState.STOPPING, Order.REARM, "no fault is latched"),
        (GuardState.LINK_LOST, Order.ARM, "the hub is not connected"),
        (GuardState.LINK_LOST, Order.DRIVE, "the hub is not connected"),
        (GuardState.LINK_LOST, Order.REARM, "no fault is latched"),
        (GuardState.FAULT_LATCHED, Order.ARM, "re-arm the train first: emergency stop"),
        (GuardState.FAULT_LATCHED, Order.DRIVE, "re-arm the train first: emergency stop"),
        (GuardState.FAULT_LATCHED, Order.REARM, "the train may still be rolling"),
    ],
)
def test_order_is_accepted_or_refused_with_a_reason(state: GuardState, order: Order, reason: str) -> None:
    assert train_in(state).refusal(order) == reason


@pytest.mark.parametrize("state", GuardState)
@pytest.mark.parametrize("order", [Order.STOP, Order.DISARM, Order.EMERGENCY_STOP])
def test_stop_is_never_refused(state: GuardState, order: Order) -> None:
    train = train_in(state)
    train.capture_stopped, train.arm_trouble = True, "3 MB are free"
    assert train.refusal(order) == ""


@pytest.mark.parametrize("state", [GuardState.ARMED_STOPPED, GuardState.RUNNING, GuardState.STOPPING])
def test_armed_train_is_armed_again_with_a_full_disk(state: GuardState) -> None:
    train = train_in(state)
    train.arm_trouble = "3 MB are free"
    assert train.refusal(Order.ARM) == ""


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("hub_trouble", "low voltage", "low voltage"),
        ("integrity", "broken", "broken"),
        ("evidence_age_s", 2.5, "no fresh picture was understood for 300 ms"),
        ("evidence_age_s", 1.5, ""),
        ("link_trouble", "out of range", ""),
        ("request", SIGN_STOP, ""),
    ],
)
def test_rearm_needs_the_cause_gone(name: str, value: object, reason: str) -> None:
    train = train_in(GuardState.FAULT_LATCHED)
    train.step(after_s=1.0)
    setattr(train, name, value)
    assert train.refusal(Order.REARM) == reason
    assert (train.step(Order.REARM).state is GuardState.FAULT_LATCHED) == bool(reason)


def test_capture_that_was_stopped_by_command_brakes_and_is_no_fault() -> None:
    train = train_in(GuardState.RUNNING)
    train.capture_stopped = True
    for age_s in (0.0, 0.4, 3.0, 3600.0):
        train.evidence_age_s = age_s
        permit = train.step(after_s=1.0)
        assert (permit.power_percent, permit.reason, permit.by) == (
            None,
            "capturing was stopped by command",
            Priority.CAPTURE,
        )
    assert permit.state is GuardState.ARMED_STOPPED
    assert train.refusal(Order.DRIVE) == "capturing was stopped by command"


def test_capture_that_starts_again_lets_the_train_go_on_with_the_first_picture() -> None:
    train = train_in(GuardState.RUNNING)
    train.capture_stopped, train.evidence_age_s = True, 3.0
    train.step()
    train.step(after_s=1.0)
    train.capture_stopped = False
    permit = train.step(after_s=0.25)
    assert (permit.state, permit.by, permit.reason) == (
        GuardState.ARMED_STOPPED,
        Priority.CAPTURE,
        "capturing starts again",
    )
    train.evidence_age_s = 0.0
    assert train.step().state is GuardState.RUNNING


def test_capture_that_starts_again_without_pictures_is_blind_and_latches() -> None:
    train = train_in(GuardState.RUNNING)
    train.now_s = 128.0
    train.capture_stopped, train.evidence_age_s = True, 3.0
    train.step(after_s=0.0)
    train.capture_stopped = False
    assert train.step(after_s=0.5).by is Priority.FRESHNESS
    assert train.step(after_s=1.5).state is not GuardState.FAULT_LATCHED
    assert train.step(after_s=0.25).state is GuardState.FAULT_LATCHED


def test_train_that_stood_for_a_sign_drives_on_by_itself() -> None:
    train = train_in(GuardState.STOPPING)
    assert train.step(after_s=1.0).state is GuardState.ARMED_STOPPED
    train.request = CRUISE
    assert train.step().power_percent == 60


@pytest.mark.parametrize("state", [GuardState.DISARMED, GuardState.ARMED_STOPPED, GuardState.RUNNING])
@pytest.mark.parametrize(
    "orders",
    [
        *itertools.permutations((Order.DISARM, Order.ARM, Order.DRIVE)),
        *itertools.permutations((Order.DISARM, Order.DRIVE)),
    ],
)
def test_disarming_wins_over_orders_around_it(state: GuardState, orders: tuple[Order, ...]) -> None:
    train = train_in(state)
    train.request = CRUISE
    permit = train.step(*orders)
    assert (permit.state, permit.power_percent) == (GuardState.DISARMED, None)
    assert train.step(Order.ARM).power_percent is None, "the wish to drive is gone with it"


@pytest.mark.parametrize("state", [s for s in GuardState if s is not GuardState.FAULT_LATCHED])
def test_rearm_where_nothing_is_latched_changes_nothing(state: GuardState) -> None:
    train = train_in(state)
    if state is GuardState.INIT:
        train.evidence_age_s = None
    train.step(after_s=1.0)
    before = train.memory.state
    assert train.step(Order.REARM, after_s=1.0).state is before


def test_same_fault_with_other_words_keeps_the_first_reason() -> None:
    train = train_in(GuardState.RUNNING)
    train.hub_trouble = "low voltage"
    train.step()
    train.hub_trouble = "high current"
    assert train.step().reason == "low voltage"


def test_lost_link_that_is_blind_too_long_latches_for_being_blind() -> None:
    train = train_in(GuardState.RUNNING)
    train.link_trouble, train.evidence_age_s = "out of range", 3.0
    permit = train.step()
    assert (permit.state, permit.by) == (GuardState.FAULT_LATCHED, Priority.FRESHNESS)


def test_values_start_safe_and_cannot_be_changed() -> None:
    memory = GuardMemory()
    assert (memory.state, memory.since_s, memory.operator_stop) == (GuardState.INIT, 0.0, True)
    assert (memory.latched, memory.latched_by, memory.brake_since_s) == ("", None, None)
    health = Health(None)
    assert (health.link_trouble, health.integrity, health.hub_trouble, health.loop_stalled) == ("", "", "", False)
    assert (health.arm_trouble, health.capture_stopped) == ("", False)
    assert (memory.drive_s, memory.capture_stopped_s) == (None, -math.inf)
    limits = Limits()
    assert (limits.order_age_s, limits.hub_lease_s, health.unanswered_s) == (10.0, 0.3, None)
    assert (limits.lease_s, limits.latch_s, limits.stop_time_s) == (0.3, 2.0, 0.7)
    for value in (memory, health, limits, CRUISE, Inputs(0.0, CRUISE, health), Permit(GuardState.INIT, None, "")):
        with pytest.raises(FrozenInstanceError):
            setattr(value, fields(value)[0].name, None)


def test_full_disk_forbids_arming_anew_and_says_so() -> None:
    train = train_in(GuardState.DISARMED)
    train.arm_trouble = "3 MB are free"
    permit = train.step(Order.ARM)
    assert (permit.state, permit.reason, permit.by) == (GuardState.DISARMED, "cannot be armed: 3 MB are free", None)
    train.arm_trouble = ""
    assert train.step(Order.ARM).state is GuardState.ARMED_STOPPED


@pytest.mark.parametrize("state", [GuardState.ARMED_STOPPED, GuardState.RUNNING, GuardState.STOPPING])
def test_full_disk_lets_an_armed_train_drive_on(state: GuardState) -> None:
    train = train_in(state)
    train.arm_trouble, train.request = "3 MB are free", CRUISE
    assert train.step().power_percent == 60


def test_priorities_are_numbered_from_zero() -> None:
    assert [priority.value for priority in sorted(Priority)] == list(range(10))
