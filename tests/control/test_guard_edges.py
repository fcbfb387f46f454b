"""Edge cases of the guard: exact limits, orders that do not fit the state, latched reasons, frozen values."""

import itertools
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


def test_wish_to_drive_given_before_arming_is_kept() -> None:
    train = train_in(GuardState.DISARMED)
    train.step(Order.DRIVE)
    assert train.step(Order.ARM).power_percent == 60


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
    assert health.arm_trouble == ""
    limits = Limits()
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
    assert [priority.value for priority in sorted(Priority)] == list(range(8))
