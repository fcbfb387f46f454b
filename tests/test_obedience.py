"""What the seeds' report calls in time, late, never, twice and wrong."""

import json
from pathlib import Path

import numpy as np

from edge_agent.events import Box, Detection, Frame
from edge_agent.perception.vision import CameraPicture

from .films import judge_film
from .support.obedience import Obedience, Verdict, Witness, judge

STOP, LIMIT = frozenset({"stop"}), frozenset({"speed_limit_30"})
PICTURES = {"stop": STOP, "limit": LIMIT, "empty": frozenset[str]()}


def sign(
    label: str, at_mm: float, passed_s: float | None, *, counts: bool = True, disobeyed: bool = False
) -> dict[str, object]:
    return {"sign": label, "at_mm": at_mm, "counts": counts, "passed_s": passed_s, "disobeyed": disobeyed}


def judged(signs: list[dict[str, object]], *actions: tuple[float, str, str]) -> Obedience:
    told = [{"t_s": t_s, "sign": label, "frame_id": frame} for t_s, label, frame in actions]
    return judge(signs, told, PICTURES)


def test_sign_that_acted_once_before_it_was_passed_is_obeyed_in_time() -> None:
    found = judged([sign("stop", 900, 9.0)], (7.0, "stop", "stop"))
    assert found == Obedience((("stop", 900, Verdict.IN_TIME),), ())


def test_sign_that_acted_and_was_passed_against_its_rule_is_late() -> None:
    found = judged([sign("stop", 900, 9.0, disobeyed=True)], (8.9, "stop", "stop"))
    assert [verdict for *_, verdict in found.signs] == [Verdict.LATE]


def test_sign_that_did_not_act_is_never_obeyed_and_one_that_acted_again_twice() -> None:
    signs = [sign("stop", 900, 9.0), sign("speed_limit_30", 1900, 14.0), sign("stop", 2900, 20.0)]
    found = judged(signs, (8.0, "stop", "stop"), (8.3, "stop", "stop"), (12.0, "speed_limit_30", "limit"))
    assert [verdict for *_, verdict in found.signs] == [Verdict.TWICE, Verdict.IN_TIME, Verdict.NEVER]


def test_action_for_what_is_not_in_its_picture_or_not_ahead_is_wrong() -> None:
    found = judged(
        [sign("stop", 900, 9.0)], (8.0, "speed_limit_30", "stop"), (8.0, "stop", "empty"), (9.5, "stop", "stop")
    )
    assert found.wrong == ("speed_limit_30", "stop", "stop")
    assert [verdict for *_, verdict in found.signs] == [Verdict.NEVER]


def test_sign_that_does_not_count_takes_its_action_and_is_in_no_count() -> None:
    found = judged([sign("stop", 500, 5.0, counts=False), sign("stop", 1900, 14.0)], (4.0, "stop", "stop"))
    assert found == Obedience((("stop", 1900, Verdict.NEVER),), ())


def test_signs_that_the_train_never_came_to_are_left_out() -> None:
    signs = [sign("stop", 900, 9.0), sign("danger", 1900, None), sign("stop", 2900, None)]
    assert len(judged(signs).signs) == 1
    witnessed = judge(signs, [{"t_s": 12.0, "sign": "danger", "frame_id": "d"}], {"d": frozenset({"danger"})})
    assert [verdict for *_, verdict in witnessed.signs] == [Verdict.NEVER, Verdict.IN_TIME]


def test_witness_remembers_the_labels_in_each_picture() -> None:
    witness = Witness()
    picture = CameraPicture(np.zeros((4, 6, 3), np.uint8))
    witness.feed(Frame("f", 0, picture, 0.0, 0.0, (Detection("stop", 1.0, Box(0, 0, 2, 2)),)))
    assert witness.labels == {"f": STOP}


def test_film_is_judged_by_the_pictures_around_an_action(tmp_path: Path) -> None:
    film = tmp_path / "seed-1.mp4"
    frames = [{"frame": n, "detections": [{"label": "stop"}] if n >= 70 else []} for n in range(90)]
    film.with_suffix(".jsonl").write_text("\n".join(json.dumps(one) for one in ({"prediction_of": 0}, *frames)))
    film.with_suffix(".json").write_text(json.dumps({"signs": [sign("stop", 900, 9.0, disobeyed=True)]}))
    in_time, early = (
        judge_film(film, {"actions": [{"t_s": t_s, "sign": "stop", "frame_id": "x"}]}) for t_s in (7.2, 3.0)
    )
    assert in_time == Obedience((("stop", 900, Verdict.IN_TIME),), ())
    assert early == Obedience((("stop", 900, Verdict.NEVER),), ("stop",))
