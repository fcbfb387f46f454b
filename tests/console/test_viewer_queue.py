"""What a viewer gets: never more under way than it shows, never an older frame than one it has had."""

import json

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.console.viewer_queue import FORGIVE_MS, MAX_TEXTS, WINDOW, FrameMessage, ViewerQueue


def picture(number: int, train: str = "a") -> FrameMessage:
    head = json.dumps({"train": train, "frame_id": str(number), "sequence": number})[:-1]
    return FrameMessage(train, str(number), head, b"jpeg")


def header(message: str | bytes | None) -> dict[str, object]:
    assert isinstance(message, bytes)
    end = 4 + int.from_bytes(message[:4], "big")
    assert message[end:] == b"jpeg"
    found: dict[str, object] = json.loads(message[4:end])
    return found


def test_frame_goes_with_its_header_and_picture() -> None:
    viewer = ViewerQueue("a")
    viewer.show(picture(7))
    expected = {"train": "a", "frame_id": "7", "sequence": 7, "sent_ms": 50, "skipped": 0}
    assert header(viewer.take(50)) == expected
    assert viewer.take(50) is None


def test_viewer_that_shows_nothing_gets_no_more_than_the_window_and_then_the_newest() -> None:
    viewer = ViewerQueue("a")
    sent = []
    for number in range(10):
        viewer.show(picture(number))
        if (message := viewer.take(number)) is not None:
            sent.append(header(message)["sequence"])
    assert sent == list(range(WINDOW))
    viewer.shown("a", "1")
    last = header(viewer.take(10))
    assert (last["sequence"], last["skipped"]) == (9, 10 - WINDOW - 1)


def test_frame_that_is_never_shown_is_forgiven() -> None:
    viewer = ViewerQueue("a")
    for number in range(WINDOW):
        viewer.show(picture(number))
        viewer.take(0)
    viewer.show(picture(WINDOW))
    assert viewer.take(FORGIVE_MS - 1) is None
    assert header(viewer.take(FORGIVE_MS))["sequence"] == WINDOW


def test_trains_take_turns() -> None:
    viewer = ViewerQueue(None)
    for train in ("a", "b", "a", "b"):
        viewer.show(picture(1, train))
    assert [header(viewer.take(0))["train"] for _ in range(2)] == ["a", "b"]


def test_words_go_before_frames_and_states_replace_each_other() -> None:
    viewer = ViewerQueue("a")
    viewer.show(picture(1))
    viewer.state("boxes", "a", "old boxes")
    viewer.state("boxes", "a", "new boxes")
    viewer.tell("item")
    assert [viewer.take(0), viewer.take(0)] == ["item", "new boxes"]
    assert header(viewer.take(0))["sequence"] == 1


def test_viewer_that_reads_nothing_is_told_from_one_that_is_slow() -> None:
    viewer = ViewerQueue("a")
    for number in range(MAX_TEXTS):
        viewer.tell(str(number))
    assert not viewer.overflown
    viewer.tell("one more")
    assert viewer.overflown


def test_viewer_that_looks_elsewhere_gets_nothing_of_the_train_before() -> None:
    viewer = ViewerQueue("a")
    viewer.show(picture(1))
    viewer.state("boxes", "a", "boxes")
    viewer.watch("b")
    assert viewer.take(0) is None
    assert viewer.wants("b")
    assert not viewer.wants("a")


@given(st.lists(st.one_of(st.just("show"), st.just("take"), st.integers(0, 30), st.just("wait")), max_size=200))
def test_frames_under_way_are_bounded_in_order_and_all_accounted_for(steps: list[str | int]) -> None:
    viewer, now_ms, taken, under_way, total = ViewerQueue("a"), 0, 0, dict[str, int](), 0
    last = -1
    for step in steps:
        if step == "show":
            viewer.show(picture(taken))
            taken += 1
        elif step == "wait":
            now_ms += 700
        elif step == "take":
            if (message := viewer.take(now_ms)) is None:
                continue
            found = header(message)
            number = int(str(found["sequence"]))
            total += 1 + int(str(found["skipped"]))
            assert number > last
            assert number + 1 == total
            last = number
            under_way[str(number)] = now_ms
            under_way = {name: sent for name, sent in under_way.items() if now_ms - sent < FORGIVE_MS}
            assert len(under_way) <= WINDOW
        else:
            viewer.shown("a", str(step))
            if str(step) in under_way:
                under_way = {name: sent for name, sent in under_way.items() if int(name) > int(step)}
