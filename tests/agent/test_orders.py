"""A stop is a stop: what orders come to, in any sequence, with real policy, guard, control, driver and handler."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from pydantic import SecretStr

from edge_agent.control.commands import Channel, Code, CommandRules, Verb
from edge_agent.control.guard import Order
from edge_agent.events import GuardState, TrainState
from tests.support.commands import TOKEN
from tests.support.ordered_train import FRAME_S, WRITE_S, OrderedTrain


@pytest.fixture
def train() -> Iterator[OrderedTrain]:
    with closing(OrderedTrain()) as train:
        yield train


def at_danger(train: OrderedTrain) -> None:
    """Drive until a danger sign has stopped the train, which may still be rolling."""
    train.drive()
    train.signs = ("danger",)
    train.advance(0.6)
    assert train.state is GuardState.STOPPING


def test_order_to_drive_while_a_sign_stops_the_train_is_refused_and_the_stop_stays(train: OrderedTrain) -> None:
    at_danger(train)
    result = train.order(Verb.DRIVE)
    assert (result.accepted, result.code, result.reason) == (False, Code.WRONG_STATE, "the train is still stopping")
    train.advance(5.0)
    assert (train.state, train.control.permit.reason) == (GuardState.ARMED_STOPPED, "danger sign")
    assert train.order(Verb.DRIVE).state == "running", "at once: it stands, and somebody has looked"
    train.advance(0.2)
    assert train.moves


def test_rearm_of_a_train_that_a_sign_stopped_does_not_release_it(train: OrderedTrain) -> None:
    at_danger(train)
    train.advance(2.0)
    assert train.order(Verb.REARM).code == Code.WRONG_STATE
    train.advance(1.0)
    assert not train.moves


@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize("stop", [Verb.STOP, Verb.DISARM, Verb.EMERGENCY_STOP, Verb.CAPTURE_STOP])
def test_command_that_came_before_a_stop_is_not_executed_after_it(
    train: OrderedTrain, stop: Verb, channel: Channel
) -> None:
    train.order(Verb.ARM)
    driven = train.submit(Verb.DRIVE, Channel.CONSOLE)  # admitted, and not executed before the stop has come
    stopped = train.submit(stop, channel)
    train.advance(5.0)
    assert (driven[0].accepted, driven[0].code, stopped[0].accepted) == (False, Code.STOPPED, True)
    assert not any(write.kind == "drive" for write in train.hub.log)


def test_command_whose_token_is_read_while_a_stop_comes_is_refused_even_without_a_pause_after_stops() -> None:
    with closing(OrderedTrain(CommandRules(SecretStr(TOKEN), hold_s=0.0))) as train:
        train.order(Verb.ARM)
        train.meanwhile = lambda: train.submit(Verb.STOP, Channel.KAFKA) and None
        assert train.order(Verb.DRIVE).code == Code.STOPPED
        assert train.order(Verb.DRIVE).accepted, "this one came after the stop"


def test_command_that_waited_too_long_for_the_train_is_too_old(train: OrderedTrain) -> None:
    train.order(Verb.ARM)
    driven = train.submit(Verb.DRIVE)
    train.loop._jump.now_s += 11.0
    train.advance(0.001)
    assert (driven[0].accepted, driven[0].code) == (False, Code.STALE)


def test_command_whose_token_took_long_to_read_is_too_old(train: OrderedTrain) -> None:
    def slow_disk() -> None:
        train.loop._jump.now_s += 11.0

    train.order(Verb.ARM)
    train.meanwhile = slow_disk
    assert train.order(Verb.DRIVE).code == Code.STALE


def test_order_to_drive_a_disarmed_train_is_refused_and_arming_alone_moves_nothing(train: OrderedTrain) -> None:
    result = train.order(Verb.DRIVE)
    assert (result.accepted, result.code, result.state) == (False, Code.WRONG_STATE, "disarmed")
    train.advance(3600.0)
    assert train.order(Verb.ARM).accepted
    train.advance(5.0)
    assert not any(write.kind == "drive" for write in train.hub.log)


def test_latched_train_accepts_nothing_but_stops_and_a_rearm_when_the_cause_is_gone(train: OrderedTrain) -> None:
    train.drive()
    train.hub.raise_alert("low_voltage")
    train.advance(2.0)
    for verb in (Verb.ARM, Verb.DRIVE, Verb.REARM):
        result = train.order(verb)
        assert (result.accepted, result.code, result.state) == (False, Code.WRONG_STATE, "fault_latched")
        assert "the hub reports low voltage" in result.reason
    assert train.order(Verb.STOP).accepted


def test_order_is_answered_by_what_is_known_when_it_is_executed(train: OrderedTrain) -> None:
    train.order(Verb.ARM)
    train.hub.raise_alert("low_voltage")  # since the last step
    assert train.order(Verb.DRIVE).reason == "re-arm the train first: the hub reports low voltage"


def test_capture_stopped_by_command_brakes_at_once_is_no_fault_and_ends_when_it_is_started(train: OrderedTrain) -> None:
    train.drive()
    result = train.order(Verb.CAPTURE_STOP, channel=Channel.CRAZY_TRAIN)
    assert (result.accepted, result.reason) == (True, "capturing was stopped by command")
    train.advance(0.1)
    assert not train.moves
    train.advance(60.0)
    assert (train.state, train.faults) == (GuardState.ARMED_STOPPED, {})
    assert train.order(Verb.CAPTURE_START).accepted
    train.advance(0.5)
    assert (train.moves, train.faults) == (True, {})


def test_camera_that_is_gone_when_capturing_starts_again_is_a_fault(train: OrderedTrain) -> None:
    train.drive()
    train.order(Verb.CAPTURE_STOP)
    train.camera = False
    train.advance(60.0)
    train.order(Verb.CAPTURE_START)
    train.advance(1.0)
    assert list(train.faults) == ["blind"]
    train.advance(2.0)
    assert train.state is GuardState.FAULT_LATCHED


def test_train_that_starts_by_itself_waits_for_the_disk() -> None:
    with closing(OrderedTrain(auto_arm=True, storage="3 MB are free")) as train:
        assert train.state is GuardState.DISARMED
        train.storage = ""
        train.advance(0.2)
        assert train.state is GuardState.RUNNING


@pytest.mark.parametrize("verb", [Verb.STOP, Verb.DISARM])
def test_train_that_starts_by_itself_does_not_after_a_stop(verb: Verb) -> None:
    with closing(OrderedTrain(auto_arm=True, storage="3 MB are free")) as train:
        assert train.order(verb).accepted
        train.storage = ""
        train.advance(5.0)
        assert train.state is GuardState.DISARMED


def test_train_that_starts_by_itself_does_not_after_a_latched_fault() -> None:
    with closing(OrderedTrain(auto_arm=True, storage="3 MB are free")) as train:
        assert train.order(Verb.EMERGENCY_STOP).accepted
        train.advance(1.0)
        train.storage = ""
        assert train.order(Verb.REARM).accepted
        train.advance(5.0)
        assert train.state is GuardState.DISARMED


def test_train_that_started_by_itself_does_not_again_when_its_link_comes_back() -> None:
    with closing(OrderedTrain(auto_arm=True)) as train:
        train.call(lose_link(train))
        train.advance(1.0)
        train.call(train.hub.reconnect())
        train.advance(5.0)
        assert train.state is GuardState.DISARMED


async def lose_link(train: OrderedTrain) -> None:
    train.hub.drop_link()


def test_stop_is_written_at_once_and_not_with_the_next_tick(train: OrderedTrain) -> None:
    train.drive()
    train.advance(0.021)  # in the middle between two ticks
    train.order(Verb.STOP)
    train.advance(WRITE_S)
    assert not train.moves


def test_sign_stops_the_train_with_the_picture_that_confirms_it(train: OrderedTrain) -> None:
    train.drive()
    states: list[TrainState] = []
    train.watch = lambda happened: states.append(happened) if isinstance(happened, TrainState) else None
    train.signs = ("danger", "giraffe")
    train.advance(0.6)
    (action,) = train.stats.actions
    stopped = next(state for state in states if state.guard is GuardState.STOPPING)
    assert (action.sign, action.t_s) == ("danger", round(stopped.at_s - train.stats.started_s, 3))


def test_sign_without_a_rule_is_counted_with_its_picture(train: OrderedTrain) -> None:
    train.signs = ("giraffe",)
    train.advance(1.5 * FRAME_S)
    assert train.stats.unknown_signs == 1


def test_run_that_has_ended_refuses_orders_and_publishes_nothing(train: OrderedTrain) -> None:
    train.order(Verb.ARM)
    happened: list[object] = []
    train.control.close()
    train.watch = happened.append
    assert train.control.order(Order.DRIVE) == train.control.order(Order.REARM) == "the run has ended"
    assert train.control.order(Order.STOP) == ""
    train.advance(3.0)
    assert not any(isinstance(each, TrainState) for each in happened)
    assert not train.moves


def test_state_is_published_at_each_change_and_every_second(train: OrderedTrain) -> None:
    states: list[tuple[int, str]] = []
    began_s = train.loop.time()

    def note(happened: object) -> None:
        if isinstance(happened, TrainState):
            states.append((round(happened.at_s - began_s), happened.guard))

    train.watch = note
    train.order(Verb.ARM)
    train.advance(2.5)
    assert states == [(0, "armed_stopped"), (1, "armed_stopped"), (2, "armed_stopped")]


def test_write_to_the_motor_names_the_decision_that_caused_it(train: OrderedTrain) -> None:
    train.drive()
    before = train.commands[-1].decision_id
    train.signs = ("danger",)
    train.advance(0.6)
    brake = next(command for command in train.commands if command.reason == "danger sign")
    assert before is not None
    assert brake.decision_id not in (None, before)
