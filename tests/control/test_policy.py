"""What the signs ask for: confirmation, distance, priority, holds, and a sign that acts only once."""

from dataclasses import dataclass, field, replace

import pytest

from edge_agent.config import AfterHold, Confirm, SignRule
from edge_agent.control.policy import PolicyMemory, PolicyOutput, Tuning, evaluate, observe, release
from edge_agent.events import Action, Box, Detection, Prediction

RULES = {
    "speed_limit_30": SignRule(action=Action.SLOW, power_percent=40, near_height_px=26),
    "speed_limit_50": SignRule(action=Action.CRUISE, power_percent=55, near_height_px=26),
    "stop": SignRule(action=Action.STOP, hold_s=3.0, then=AfterHold.RESUME, near_height_px=32),
    "danger": SignRule(action=Action.STOP, then=AfterHold.STAY, near_height_px=20),
    "no_entry": SignRule(action=Action.STOP, then=AfterHold.STAY, near_height_px=24),
    "pedestrian_crossing": SignRule(
        action=Action.SLOW, power_percent=45, hold_s=4.0, then=AfterHold.RESUME, near_height_px=28
    ),
    "yield": SignRule(action=Action.SLOW, power_percent=30, hold_s=2.0, then=AfterHold.CRUISE, near_height_px=10),
    "no_horn": SignRule(action=Action.NONE),
    "tunnel": SignRule(action=Action.LIGHTS, power_percent=100, near_height_px=10),
}
TUNING = Tuning(cruise_power_percent=75, rules=RULES)
FRAME_S = 0.1


def sign(label: str, height: float = 40.0, x: float = 100.0, score: float = 0.9) -> Detection:
    return Detection(label, score, Box(x, 100.0, x + height, 100.0 + height))


@dataclass
class PolicyRunner:
    """Runs a policy frame by frame."""

    memory: PolicyMemory = field(default_factory=PolicyMemory)
    now_s: float = 50.0
    frame: int = 0
    width: int = 600
    height: int = 400

    def show(self, *detections: Detection, frames: int = 1, standing: bool = False) -> tuple[PolicyOutput, ...]:
        """Observe the same detections for some frames; return the outputs of signs that acted."""
        acted: tuple[PolicyOutput, ...] = ()
        for _ in range(frames):
            self.frame += 1
            self.now_s += FRAME_S
            prediction = Prediction(
                f"frame-{self.frame}",
                self.frame,
                self.now_s,
                0.0,
                self.width,
                self.height,
                detections,
                1.0,
                self.now_s,
            )
            self.memory, now_acted = observe(self.memory, prediction, self.now_s, TUNING, standing=standing)
            acted += now_acted
        return acted

    @property
    def output(self) -> PolicyOutput:
        return evaluate(self.memory, self.now_s, TUNING)


def test_no_sign_cruises() -> None:
    assert PolicyRunner().output == PolicyOutput(Action.CRUISE, 75, "no sign asks for anything else")


def test_sign_acts_when_enough_frames_agree_and_names_its_frame() -> None:
    runner = PolicyRunner()
    assert runner.show(sign("danger"), frames=2) == ()
    (acted,) = runner.show(sign("danger"))
    assert acted == PolicyOutput(
        Action.STOP, None, "danger sign", "danger", "frame-3", runner.now_s, sign("danger").box
    )
    assert runner.output == acted


def test_reason_names_the_sign_in_words() -> None:
    (acted,) = PolicyRunner().show(sign("speed_limit_30"), frames=3)
    assert acted.reason == "speed limit 30 sign"


def test_flicker_is_bridged_within_the_frames_considered() -> None:
    runner = PolicyRunner()
    runner.show(sign("danger"))
    runner.show()
    runner.show(sign("danger"))
    runner.show()
    assert runner.show(sign("danger")), "three of the last five"


def test_single_false_boxes_never_act() -> None:
    runner = PolicyRunner()
    for _ in range(50):
        assert runner.show(sign("danger")) == ()
        assert runner.show(frames=4) == ()


def test_boxes_at_different_places_do_not_confirm_each_other() -> None:
    runner = PolicyRunner()
    for x in (20.0, 150.0, 300.0, 450.0):
        assert runner.show(sign("danger", x=x)) == ()


def test_label_that_changes_from_frame_to_frame_does_not_act_until_it_settles() -> None:
    runner = PolicyRunner()
    for label in ("stop", "danger", "stop", "danger"):
        assert runner.show(sign(label)) == ()
    assert runner.show(sign("danger"))[0].sign == "danger"


@pytest.mark.parametrize("size", [(600, 400), (1200, 800), (640, 480), (1280, 720), (480, 640), (720, 1280)])
def test_sign_acts_at_the_same_distance_whatever_the_pictures_size_and_shape(size: tuple[int, int]) -> None:
    """A camera with 500 px of focal length at 600 px: the angle along the longer side is the same in all its modes."""
    runner = PolicyRunner(width=size[0], height=size[1])
    focal_px = 500 * max(size) / 600
    distance_mm, acted = 600.0, False
    while not acted and distance_mm > 0:
        distance_mm -= 2
        acted = bool(runner.show(sign("stop", height=focal_px * 17.5 / distance_mm, x=0.4 * size[0])))
    assert distance_mm == 272, "500 px times 17.5 mm by 32 px are 273.4 mm"


def test_approaching_sign_keeps_its_track_as_it_grows_and_moves() -> None:
    runner = PolicyRunner()
    acted = [runner.show(sign("stop", height=14 * 1.12**n, x=300 + 9.0 * n)) for n in range(14)]
    assert sum(map(len, acted)) == 1


def test_sign_acts_once_while_it_stays_in_view() -> None:
    runner = PolicyRunner()
    assert len(runner.show(sign("stop"), frames=100)) == 1


def test_stop_holds_then_resumes_what_was_before() -> None:
    runner = PolicyRunner()
    runner.show(sign("speed_limit_30"), frames=3)
    runner.show(sign("stop", x=400), frames=3)
    assert runner.output.power_percent is None
    assert evaluate(runner.memory, runner.now_s + 2.99, TUNING).power_percent is None
    assert evaluate(runner.memory, runner.now_s + 3.0, TUNING).power_percent == 40
    runner.show(frames=40)
    assert runner.output.sign == "speed_limit_30"


def test_then_cruise_forgets_the_limit_that_held_before() -> None:
    runner = PolicyRunner()
    runner.show(sign("speed_limit_50"), frames=3)
    runner.show(sign("yield", x=400), frames=3)
    assert runner.output.power_percent == 30
    assert evaluate(runner.memory, runner.now_s + 2.0, TUNING) == PolicyOutput(Action.CRUISE, 75, "yield sign obeyed")
    runner.show(frames=25)
    assert runner.output == PolicyOutput(Action.CRUISE, 75, "yield sign obeyed")


def test_stop_that_stays_needs_a_release() -> None:
    runner = PolicyRunner()
    runner.show(sign("danger"), frames=3)
    runner.show(frames=1000)
    assert runner.output.power_percent is None
    runner.memory = release(runner.memory)
    assert runner.output.power_percent == 75


def test_release_leaves_a_timed_hold_alone() -> None:
    runner = PolicyRunner()
    runner.show(sign("stop"), frames=3)
    assert release(runner.memory) == runner.memory


def test_lost_and_found_sign_does_not_act_again_within_its_cooldown() -> None:
    runner = PolicyRunner()
    assert runner.show(sign("stop"), frames=3)
    runner.show(frames=8)  # forgotten after half a second
    assert runner.show(sign("stop", height=44), frames=10) == ()


def test_sign_out_of_view_for_longer_than_its_cooldown_acts_again() -> None:
    runner = PolicyRunner()
    runner.show(sign("stop"), frames=3)
    runner.show(frames=27)
    assert runner.show(sign("stop"), frames=3)


def test_second_sign_of_the_same_kind_acts_although_the_first_is_still_seen() -> None:
    runner = PolicyRunner()
    near, far = sign("stop", height=60, x=10), sign("stop", height=20, x=400)
    assert len(runner.show(near, far, frames=5)) == 1
    assert len(runner.show(near, sign("stop", height=40, x=400), frames=5)) == 1


def test_second_sign_seen_small_after_the_first_left_is_a_new_one() -> None:
    runner = PolicyRunner()
    runner.show(sign("stop", height=60), frames=3)
    runner.show(frames=8)
    runner.show(sign("stop", height=20), frames=3)
    assert runner.show(sign("stop", height=34), frames=3), "the first was taller when last seen"


@pytest.mark.parametrize("order", [("danger", "stop"), ("stop", "danger"), ("speed_limit_30", "danger")])
def test_signs_in_conflict_the_most_restrictive_wins(order: tuple[str, str]) -> None:
    runner = PolicyRunner()
    runner.show(sign(order[0], x=20), sign(order[1], x=300), frames=3)
    assert runner.output.sign == "danger"
    runner.show(frames=100)
    assert runner.output.sign == "danger"


def test_two_limits_in_one_frame_the_slower_lasts() -> None:
    runner = PolicyRunner()
    runner.show(sign("speed_limit_30", x=20), sign("speed_limit_50", x=300), frames=3)
    assert runner.output.power_percent == 40


def test_danger_during_a_hold_wins_and_a_slow_one_does_not() -> None:
    runner = PolicyRunner()
    runner.show(sign("stop"), frames=3)
    runner.show(sign("pedestrian_crossing", x=400), frames=3)
    assert runner.output.sign == "stop"
    runner.show(sign("danger", x=200), frames=3)
    runner.show(frames=100)
    assert runner.output.sign == "danger"


def test_limit_seen_during_a_stop_holds_afterwards() -> None:
    runner = PolicyRunner()
    runner.show(sign("stop"), frames=3)
    runner.show(sign("speed_limit_30", x=400), frames=3)
    assert runner.output.power_percent is None
    runner.show(frames=40)
    assert runner.output.power_percent == 40


def test_timed_slow_never_speeds_up_a_slower_train() -> None:
    runner = PolicyRunner()
    runner.show(sign("speed_limit_30"), frames=3)
    runner.show(sign("pedestrian_crossing", x=400), frames=3)
    assert runner.output.power_percent == 40


def test_sign_with_action_none_and_lights_do_not_change_the_power() -> None:
    runner = PolicyRunner()
    assert runner.show(sign("no_horn"), frames=5) == ()
    acted = runner.show(sign("tunnel", x=400), frames=5)
    assert [(w.action, w.sign) for w in acted] == [(Action.LIGHTS, "tunnel")]
    assert runner.output.power_percent == 75


def test_label_without_a_rule_does_nothing_and_is_counted() -> None:
    runner = PolicyRunner()
    assert runner.show(sign("giraffe"), frames=7) == ()
    assert runner.memory.unknown == {"giraffe": 7}
    assert runner.memory.tracks == ()


@pytest.mark.parametrize(
    ("box", "acts"),
    [
        (Box(100, 100, 140, 140), True),
        (Box(0, 100, 40, 140), False),
        (Box(560, 100, 600, 140), False),
        (Box(100, 0, 140, 40), False),
        (Box(100, 360, 140, 400), False),
    ],
    ids=["whole", "cut left", "cut right", "cut above", "cut below"],
)
def test_box_cut_by_the_frames_edge_is_no_vote(box: Box, acts: bool) -> None:
    assert bool(PolicyRunner().show(Detection("danger", 0.9, box), frames=5)) == acts


@pytest.mark.parametrize(("score", "acts"), [(0.6, True), (0.59, False)])
def test_detection_below_its_rules_score_is_no_vote(score: float, acts: bool) -> None:
    runner = PolicyRunner()
    outputs = [runner.show(sign("danger", height, score=score)) for height in (30, 33, 36, 39, 42)]
    assert any(outputs) == acts


@pytest.mark.parametrize(
    ("heights", "score", "acts"),
    [
        ((22, 24, 27), 0.7, True),  # 400 mm/s, a toy sign 400 mm ahead
        ((24, 25, 24, 26, 25, 26, 25, 24), 0.7, False),  # a lamp or a leaf far behind the track
        ((25, 26, 22, 27), 0.7, True),  # a box that shakes: from its least height on
        ((130,) * 8, 0.89, False),  # a cushion beside the camera of a train that stands still
        ((40,) * 3, 0.9, True),  # armed in front of a sign that nobody could mistake
    ],
)
def test_sign_acts_when_it_has_come_nearer(heights: tuple[float, ...], score: float, acts: bool) -> None:
    """Things that are taken for signs are mostly large and far, so that they hardly grow while the train drives on."""
    runner = PolicyRunner()
    outputs = [runner.show(sign("danger", height, score=score)) for height in heights]
    assert any(outputs) == acts


@pytest.mark.parametrize(("width", "acts"), [(22.0, True), (21.9, False), (60.0, True)])
def test_box_much_higher_than_wide_is_no_vote(width: float, acts: bool) -> None:
    assert bool(PolicyRunner().show(Detection("no_entry", 0.9, Box(100, 100, 100 + width, 140)), frames=5)) == acts


@pytest.mark.parametrize(("top", "acts"), [(60.0, True), (59.0, False)])
def test_box_in_the_upper_part_of_the_frame_is_no_sign(top: float, acts: bool) -> None:
    tuning = Tuning(75, RULES, ignore_above=0.2)
    memory, acted = PolicyMemory(), ()
    for n in range(3):
        lamp = Detection("danger", 0.9, Box(100, top, 140, top + 40))
        prediction = Prediction(f"f{n}", n, n / 10, 0.0, 600, 400, (lamp,), 1.0, n / 10)
        memory, acted = observe(memory, prediction, n / 10, tuning)
    assert bool(acted) == acts


def test_confirm_one_of_one_acts_at_once() -> None:
    rules = {"danger": RULES["danger"].model_copy(update={"confirm": Confirm(agree=1, of=1)})}
    prediction = Prediction("f", 1, 1.0, 0.0, 600, 400, (sign("danger"),), 1.0, 1.0)
    _, acted = observe(PolicyMemory(), prediction, 1.0, Tuning(75, rules))
    assert len(acted) == 1


def cushion(number: int, *, still: bool) -> Detection:
    """Return the edge of a yellow cushion: score and box tremble, as if it had come nearer."""
    height, score = ((24, 0.60), (30, 0.65), (26, 0.58), (29, 0.62), (31, 0.64))[number % 5]
    found = sign("danger", height, score=score)
    return replace(found, still=still)


def test_standing_train_takes_one_still_picture_for_one_vote() -> None:
    """At a STOP the edge of a cushion at 0.60 to 0.65 must not become "danger: stay" by being looked at for long."""
    runner = PolicyRunner()
    (stopped,) = runner.show(sign("stop", x=300.0), frames=3)
    assert stopped.sign == "stop"
    for number in range(60):
        assert runner.show(cushion(number, still=number > 0), standing=True) == ()
    assert evaluate(runner.memory, runner.now_s, TUNING).action is Action.CRUISE


def test_standing_train_obeys_a_sign_that_is_carried_into_view() -> None:
    runner = PolicyRunner()
    shown = [runner.show(cushion(number, still=False), standing=True) for number in range(5)]
    assert [output.sign for outputs in shown for output in outputs] == ["danger"]


def test_moving_train_counts_what_looks_the_same() -> None:
    """Far ahead on a straight a small sign hardly moves from one picture to the next."""
    runner = PolicyRunner()
    shown = [runner.show(cushion(number, still=True)) for number in range(5)]
    assert [output.sign for outputs in shown for output in outputs] == ["danger"]


def test_standing_train_keeps_its_tracks_for_when_it_moves_on() -> None:
    runner = PolicyRunner()
    runner.show(sign("danger"), frames=2)
    assert runner.show(*(replace(sign("danger"), still=True),), frames=40, standing=True) == ()
    (acted,) = runner.show(sign("danger"))
    assert acted.sign == "danger"
