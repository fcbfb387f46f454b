"""What a viewer receives: a bounded number of frames in flight, and never an older frame after a newer one."""

import json

from hypothesis import given, strategies as st

from edge_agent.console.viewer_queue import ACK_TIMEOUT_MS, MAX_TEXTS, WINDOW, FrameMessage, ViewerQueue


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
    viewer.add_frame(picture(7))
    expected = {"train": "a", "frame_id": "7", "sequence": 7, "sent_ms": 50, "skipped": 0}
    assert header(viewer.pop(50)) == expected
    assert viewer.pop(50) is None


def test_viewer_that_acknowledges_nothing_gets_the_window_and_later_the_newest() -> None:
    viewer = ViewerQueue("a")
    sent = []
    for number in range(10):
        viewer.add_frame(picture(number))
        if (message := viewer.pop(number)) is not None:
            sent.append(header(message)["sequence"])
    assert sent == list(range(WINDOW))
    viewer.acknowledge("a", "1")
    last = header(viewer.pop(10))
    assert (last["sequence"], last["skipped"]) == (9, 10 - WINDOW - 1)


def test_frame_that_is_never_acknowledged_times_out() -> None:
    viewer = ViewerQueue("a")
    for number in range(WINDOW):
        viewer.add_frame(picture(number))
        viewer.pop(0)
    viewer.add_frame(picture(WINDOW))
    assert viewer.pop(ACK_TIMEOUT_MS - 1) is None
    assert header(viewer.pop(ACK_TIMEOUT_MS))["sequence"] == WINDOW


def test_frames_of_trains_are_sent_in_turns() -> None:
    viewer = ViewerQueue(None)
    for train in ("a", "b", "a", "b"):
        viewer.add_frame(picture(1, train))
    assert [header(viewer.pop(0))["train"] for _ in range(2)] == ["a", "b"]


def test_texts_go_before_frames_and_states_replace_each_other() -> None:
    viewer = ViewerQueue("a")
    viewer.add_frame(picture(1))
    viewer.set_state("boxes", "a", "old boxes")
    viewer.set_state("boxes", "a", "new boxes")
    viewer.add_text("item")
    assert [viewer.pop(0), viewer.pop(0)] == ["item", "new boxes"]
    assert header(viewer.pop(0))["sequence"] == 1


def test_viewer_that_reads_nothing_overflows() -> None:
    viewer = ViewerQueue("a")
    for number in range(MAX_TEXTS):
        viewer.add_text(str(number))
    assert not viewer.overflowed
    viewer.add_text("one more")
    assert viewer.overflowed


def test_viewer_that_watches_another_train_gets_nothing_of_the_first() -> None:
    viewer = ViewerQueue("a")
    viewer.add_frame(picture(1))
    viewer.set_state("boxes", "a", "boxes")
    viewer.watch("b")
    assert viewer.pop(0) is None
    assert viewer.watches("b")
    assert not viewer.watches("a")


@given(st.lists(st.one_of(st.just("show"), st.just("take"), st.integers(0, 30), st.just("wait")), max_size=200))
def test_frames_in_flight_are_bounded_in_order_and_all_accounted_for(steps: list[str | int]) -> None:
    viewer, now_ms, taken, in_flight, total = ViewerQueue("a"), 0, 0, dict[str, int](), 0
    last = -1
    for step in steps:
        if step == "show":
            viewer.add_frame(picture(taken))
            taken += 1
        elif step == "wait":
            now_ms += 700
        elif step == "take":
            if (message := viewer.pop(now_ms)) is None:
                continue
            found = header(message)
            number = int(str(found["sequence"]))
            total += 1 + int(str(found["skipped"]))
            assert number > last
            assert number + 1 == total
            last = number
            in_flight[str(number)] = now_ms
            in_flight = {name: sent for name, sent in in_flight.items() if now_ms - sent < ACK_TIMEOUT_MS}
            assert len(in_flight) <= WINDOW
        else:
            viewer.acknowledge("a", str(step))
            if str(step) in in_flight:
                in_flight = {name: sent for name, sent in in_flight.items() if int(name) > int(step)}
