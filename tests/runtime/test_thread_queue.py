"""The way from the loop to a thread: bounded, counted, and woken once."""

from edge_agent.runtime.queues import ThreadQueue


class Wakes:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def test_values_come_out_in_order_and_wake_once() -> None:
    wakes = Wakes()
    handover: ThreadQueue[int] = ThreadQueue(wakes)
    assert all(handover.offer(number) for number in range(5))
    assert wakes.count == 1
    handover.look()
    assert [handover.take() for _ in range(6)] == [0, 1, 2, 3, 4, None]
    handover.offer(5)
    assert wakes.count == 2


def test_full_handover_refuses_and_counts_instead_of_waiting() -> None:
    handover: ThreadQueue[int] = ThreadQueue(Wakes(), max_items=3)
    assert [handover.offer(number) for number in range(5)] == [True, True, True, False, False]
    assert (handover.lost, len(handover)) == (2, 3)
    handover.take()
    assert handover.offer(5)


def test_pictures_have_a_bound_of_their_own_and_leave_room_for_events() -> None:
    handover: ThreadQueue[str] = ThreadQueue(Wakes(), max_items=10, max_bulky=2)
    assert [handover.offer("picture", bulky=True) for _ in range(4)] == [True, True, False, False]
    assert handover.offer("event")
    assert (handover.lost, handover.lost_bulky) == (0, 2)
    handover.take()
    assert handover.offer("picture", bulky=True)
